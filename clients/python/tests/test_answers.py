"""What answers mean."""

import json
from datetime import datetime, timezone

import pytest

from footfall_client.answers import MAX_RETRY_AFTER_S, Again, Answer, Settled, read_answer

EVENTS = [b'{"id":"a"}', b'{"id":"b"}', b'{"id":"c"}']
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=timezone.utc)
_MISSING = {"code": "missing_action", "message": "The event has no `action`.", "field": "action"}


def _read(status: int, told: object = None, **headers: str) -> Settled | Again:
    body = b"" if told is None else json.dumps(told).encode()
    return read_answer(Answer(status, body, **headers), EVENTS, NOW)


def test_rejections_are_those_of_the_events_at_their_index() -> None:
    said = _read(200, {"accepted": 2, "rejected": [{"index": 1, **_MISSING}]})
    assert isinstance(said, Settled)
    assert said.accepted == 2
    (rejection,) = said.rejections
    assert (rejection.event, rejection.code, rejection.field) == ({"id": "b"}, "missing_action", "action")


def test_all_rejected_tells_each_ones_own_reason() -> None:
    rejected = [{"index": n, **_MISSING, "code": f"c{n}"} for n in range(3)]
    said = _read(400, {"code": "all_rejected", "message": "None.", "accepted": 0, "rejected": rejected})
    assert isinstance(said, Settled)
    assert [(r.event["id"], r.code) for r in said.rejections] == [("a", "c0"), ("b", "c1"), ("c", "c2")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 301, 308])
def test_a_refused_body_is_told_for_each_event_and_not_sent_again(status: int) -> None:
    said = _read(status, {"code": "why", "message": "Because.", "hint": "Do this."})
    assert isinstance(said, Settled)
    assert said.accepted == 0
    assert [r.event["id"] for r in said.rejections] == ["a", "b", "c"]
    assert {r.status for r in said.rejections} == {status}


def test_a_redirect_says_where_to() -> None:
    said = _read(301, location="https://footfall.example/v1/events")
    assert isinstance(said, Settled)
    assert "https://footfall.example" in said.rejections[0].message


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_sent_again(status: int) -> None:
    assert isinstance(_read(status, {"code": "x", "message": "y"}), Again)


@pytest.mark.parametrize(
    "told", [None, [], "<html>Log in", {"ok": True}, {"accepted": "many", "rejected": []}]
)
def test_a_200_that_is_not_footfalls_counts_for_nothing(told: object) -> None:
    assert isinstance(_read(200, told), Again)


@pytest.mark.parametrize(
    ("retry_after", "date", "after_s"),
    [
        ("7", None, 7.0),
        (" 0 ", None, 0.0),
        ("99999999999999999999", None, MAX_RETRY_AFTER_S),
        ("Sun, 22 Nov 2026 09:30:20 GMT", None, 20.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", None, 0.0),
        ("Sun, 22 Nov 2026 10:00:20 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 20.0),
        ("Sun, 22 Nov 2036 10:00:20 GMT", None, MAX_RETRY_AFTER_S),
        ("soon", None, None),
        ("-3", None, None),
        ("²", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    retry_after: str | None, date: str | None, after_s: float | None
) -> None:
    said = read_answer(Answer(503, retry_after=retry_after, date=date), EVENTS, NOW)
    assert isinstance(said, Again)
    assert said.after_s == after_s
