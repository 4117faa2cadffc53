"""The cursor's text form, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_gateway.live.cursor import Cursor, InvalidCursor, format_cursor, parse_cursor


@given(
    log_id=st.binary(min_size=8, max_size=8).map(bytes.hex),
    positions=st.lists(st.integers(0, 2**63 - 1), max_size=24),
)
def test_a_cursor_survives_its_text(log_id: str, positions: list[int]) -> None:
    assert parse_cursor(format_cursor(log_id, positions)) == Cursor(log_id, tuple(positions))


def test_sixteen_partitions_fit_what_a_browser_may_send_across_origins() -> None:
    assert len(format_cursor("00" * 8, [2**35 - 1] * 16)) <= 119


@given(st.text(max_size=600))
def test_any_text_parses_or_is_refused_with_a_sentence(text: str) -> None:
    try:
        parsed = parse_cursor(text)
    except InvalidCursor:
        return
    assert parse_cursor(format_cursor(*parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AQ",
        "!" * 20,
        format_cursor("00" * 8, [1])[:-1] + "_",
        "A" * 513,
        format_cursor("00" * 8, [2**64]),
    ],
)
def test_hostile_cursors_are_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_cursor(text)
