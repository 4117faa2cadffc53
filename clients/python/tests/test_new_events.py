"""What a call becomes."""

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from footfall_client.events import body_of, new_event

_TIME = datetime(2026, 11, 22, 10, 30, tzinfo=timezone(timedelta(hours=1)))


def _event(**fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"time": _TIME, "id": "e1", **fields}
    _, event = new_event("track", **given)
    return dict(json.loads(event))


def test_fields_are_those_given_and_times_are_utc() -> None:
    assert _event(user="ada", action="opened report", account=None) == {
        "type": "track",
        "id": "e1",
        "time": "2026-11-22T09:30:00.000Z",
        "user": "ada",
        "action": "opened report",
    }


def test_values_that_json_lacks_get_their_plain_form() -> None:
    properties = {
        "at": _TIME,
        "day": date(2026, 11, 22),
        "price": Decimal("9.90"),
        "order": UUID(int=1),
        "tags": {"a"},
        "世": "界",
    }
    assert _event(properties=properties)["properties"] == {
        "at": "2026-11-22T10:30:00+01:00",
        "day": "2026-11-22",
        "price": "9.90",
        "order": "00000000-0000-0000-0000-000000000001",
        "tags": ["a"],
        "世": "界",
    }


def _endless() -> dict[str, Any]:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    return endless


@pytest.mark.parametrize(
    "fields",
    [
        {"time": datetime(2026, 11, 22)},  # noqa: DTZ001 (without a zone on purpose)
        {"properties": {"rate": float("nan")}},
        {"properties": {"text": "\ud800"}},
        {"properties": {("a", "b"): 1}},
        {"properties": {"text": "x" * 600_000}},
        {"properties": _endless()},
    ],
    ids=["no zone", "nan", "half a character", "a key that is no text", "too large", "endless"],
)
def test_what_can_be_no_event_is_refused_at_once(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        _event(**fields)


def test_ids_are_made_and_differ() -> None:
    made = {new_event("track", time=None, id=None, user="ada", action="a")[0] for _ in range(100)}
    assert len(made) == 100


def test_a_body_is_an_array_stamped_with_the_time_of_sending() -> None:
    body = body_of([b'{"id":"a"}', b'{"id":"b"}'], _TIME)
    assert json.loads(body) == [
        {"id": "a", "sent_at": "2026-11-22T09:30:00.000Z"},
        {"id": "b", "sent_at": "2026-11-22T09:30:00.000Z"},
    ]
