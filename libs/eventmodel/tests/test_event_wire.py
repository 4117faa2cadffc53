"""The wire form: what goes into the log comes back, one line, readable, under the right key."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventmodel import Event, EventId, ProjectId, RejectedRecord
from eventmodel.wire import MalformedRecord, body_fields, decode, encode, event_key, record_key, split_key

AT = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def event(**fields: object) -> Event:
    values: dict[str, object] = {
        "id": EventId("e1"),
        "project": ProjectId("p1"),
        "kind": "track",
        "action": "opened report",
        "occurred_at": AT,
        "received_at": AT,
        "origin": "live",
    }
    return Event(**(values | fields))  # type: ignore[arg-type]


@given(
    user=st.none() | TEXT,
    account=st.none() | TEXT,
    action=TEXT,
    properties=st.dictionaries(TEXT, JSON, max_size=4),
    at=st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)),  # noqa: DTZ001 (made aware below)
)
def test_an_event_survives_the_log(
    user: str | None, account: str | None, action: str, properties: dict[str, object], at: datetime
) -> None:
    sent = event(
        user=user, account=account, action=action, properties=properties, occurred_at=at.replace(tzinfo=UTC)
    )
    raw = encode(sent)
    assert decode(raw) == sent
    assert b"\n" not in raw
    assert b"\r" not in raw


def test_a_record_reads_as_the_contract_says() -> None:
    assert json.loads(encode(event(user="ada", account="acme", properties={"n": 1}))) == {
        "id": "e1",
        "project": "p1",
        "type": "track",
        "action": "opened report",
        "occurred_at": "2026-11-22T09:30:00.123456Z",
        "received_at": "2026-11-22T09:30:00.123456Z",
        "origin": "live",
        "user": "ada",
        "account": "acme",
        "properties": {"n": 1},
    }


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"id":"x"}', b"\xff", b'{"id":1}', b"[" * 100_000])
def test_what_is_no_event_is_refused_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(MalformedRecord, match="not a canonical event"):
        decode(raw)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"user": "ada", "anonymous_id": "v", "account": "acme"}, b"p1:u:ada"),
        ({"anonymous_id": "v", "account": "acme"}, b"p1:a:v"),
        ({"account": "acme"}, b"p1:g:acme"),
        ({}, b"p1:e:e1"),
        ({"user": "with:colon ü"}, "p1:u:with:colon ü".encode()),
    ],
)
def test_the_key_names_the_project_and_whom_the_event_is_about(fields: dict[str, str], key: bytes) -> None:
    assert event_key(event(**fields)) == key
    assert record_key(*split_key(key)) == key


@pytest.mark.parametrize("key", [b"", b"no colon", b"\xff:u:x"])
def test_a_foreign_key_is_refused(key: bytes) -> None:
    with pytest.raises(MalformedRecord):
        split_key(key)


@pytest.mark.parametrize(
    ("body", "max_bytes", "kept"),
    [
        (b"abc", 10, {"body": "abc"}),
        (b"abcdef", 3, {"body": "abc", "body_truncated": True}),
        (b"\xff\x00", 10, {"body": "/wA=", "body_encoding": "base64"}),
    ],
)
def test_the_bytes_of_a_rejection_are_kept_bounded(
    body: bytes, max_bytes: int, kept: dict[str, object]
) -> None:
    assert body_fields(body, max_bytes) == kept
    record = RejectedRecord(
        id="r1",
        project=ProjectId("p1"),
        received_at=AT,
        source="ingest",
        code="missing_action",
        message="The event has no `action`.",
        place={"index": 0},
        **body_fields(body, max_bytes),
    )
    assert json.loads(encode(record))["body"] == kept["body"]
