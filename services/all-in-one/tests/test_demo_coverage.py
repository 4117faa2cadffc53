from datetime import UTC, datetime, timedelta
from pathlib import Path

from footfall.demo.coverage import Coverage, Span, joined, pieces

_ZERO = datetime(2026, 11, 1, tzinfo=UTC)


def _at(day: float) -> datetime:
    return _ZERO + timedelta(days=day)


def _span(start: float, end: float) -> Span:
    return Span(_at(start), _at(end))


def test_spans_that_touch_or_overlap_become_one() -> None:
    assert joined([_span(5, 6), _span(1, 2), _span(2, 3), _span(2.5, 4), _span(7, 7)]) == [
        _span(1, 4),
        _span(5, 6),
    ]


async def test_what_is_missing_is_told_and_kept_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    coverage = Coverage(file, "p1")
    assert coverage.missing(_span(0, 10)) == [_span(0, 10)]
    assert coverage.end() is None
    await coverage.add(_span(8, 9))
    await coverage.add(_span(2, 3))
    await coverage.keep_rules()
    again = Coverage(file, "p1")
    assert again.has_rules
    assert again.end() == _at(9)
    assert again.missing(_span(0, 10)) == [_span(0, 2), _span(3, 8), _span(9, 10)]
    assert again.missing(_span(2.2, 2.8)) == []
    assert again.missing(_span(2.5, 8.5)) == [_span(3, 8)]
    assert again.missing(_span(0, 1)) == [_span(0, 1)]


async def test_another_project_and_a_broken_file_begin_anew(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    await Coverage(file, "p1").add(_span(0, 1))
    assert Coverage(file, "p2").missing(_span(0, 1)) == [_span(0, 1)]
    file.write_text("{")
    assert Coverage(file, "p1").missing(_span(0, 1)) == [_span(0, 1)]


def test_introductions_come_first_then_the_newest_two_days_then_weeks_into_the_past() -> None:
    introduction = _span(0, 0.5)
    assert pieces([_span(0, 30)], introduction) == [
        introduction,
        _span(28, 30),
        _span(21, 28),
        _span(14, 21),
        _span(7, 14),
        _span(0.5, 7),
    ]
    assert pieces([_span(29, 29.5)], introduction) == [_span(29, 29.5)]
    assert pieces([_span(3, 4), _span(29, 30)], introduction) == [_span(29, 30), _span(3, 4)]
    assert pieces([], introduction) == []
