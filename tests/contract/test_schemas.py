"""The contracts of the topics against their examples and against what the code reads and writes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from admission import admit, admit_event, named_in, sender_of
from eventmodel import Event, ProjectId, RejectedRecord, Rejection, new_event_id, wire
from eventmodel.event import ACTIVITY_KINDS, KINDS
from rule_engine.actions import Action

CONTRACTS = Path(__file__).parents[2] / "contracts"
PROJECT = ProjectId("pq4rtz6mxk2a")
NOW = datetime(2026, 11, 22, 9, 30, 0, 412345, UTC)
READERS: dict[str, msgspec.json.Decoder[Any]] = {
    "event": msgspec.json.Decoder(Event),
    "rejection": msgspec.json.Decoder(RejectedRecord),
    "action": msgspec.json.Decoder(Action),
}
# What only the producer is held to: a reader that refused more would stop at what a newer producer adds.
READERS_ALLOW = {
    "event": {
        "action_too_long",
        "alias_without_previous_id",
        "blank_action",
        "empty_user",
        "foreign_project_id",
        "group_without_account",
        "identify_of_nobody",
        "import_without_run",
        "live_with_run",
        "sdk_too_long",
        "sender_with_the_key_itself",
        "sender_without_anything",
        "time_in_another_zone",
        "time_without_zone",
        "unknown_field",
        "user_too_long",
    },
    "rejection": {
        "body_that_is_no_base64",
        "code_as_sentence",
        "empty_message",
        "event_that_is_no_object",
        "sdk_too_long",
        "sender_with_the_key_itself",
        "sender_without_anything",
        "time_without_zone",
        "unknown_field",
        "without_place",
    },
    "action": {
        "event_with_more",
        "sent_with_reason",
        "subject_without_kind",
        "suppressed_without_reason",
        "time_without_zone",
        "unknown_field",
        "version_zero",
    },
}


def _schema(name: str) -> Draft202012Validator:
    schema = json.loads((CONTRACTS / "schemas" / f"{name}.v1.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


VALIDATORS = {name: _schema(name) for name in READERS}


def _properties(name: str) -> dict[str, Any]:
    schema = VALIDATORS[name].schema
    assert isinstance(schema, dict)
    properties: dict[str, Any] = schema["properties"]
    return properties


def _examples(verdict: str) -> list[Any]:
    paths = sorted(
        path for name in READERS for path in (CONTRACTS / "examples" / name / "v1" / verdict).glob("*.json")
    )
    assert len(paths) > len(READERS)
    return [pytest.param(path.parts[-4], path, id=f"{path.parts[-4]}-{path.stem}") for path in paths]


@pytest.mark.parametrize(("name", "path"), _examples("valid"))
def test_a_valid_example_keeps_the_contract_and_survives_a_round_trip(name: str, path: Path) -> None:
    given = json.loads(path.read_bytes())
    VALIDATORS[name].validate(given)
    written = json.loads(msgspec.json.encode(READERS[name].decode(path.read_bytes())))
    VALIDATORS[name].validate(written)
    assert _instants(written) == _instants(given)


def _instants(value: Any) -> Any:
    """The value with times compared as instants: `.5Z` and `.500000Z` are the same."""
    if isinstance(value, dict):
        return {
            name: datetime.fromisoformat(item) if name.endswith("_at") else _instants(item)
            for name, item in value.items()
        }
    return value


@pytest.mark.parametrize(("name", "path"), _examples("invalid"))
def test_an_invalid_example_is_refused(name: str, path: Path) -> None:
    assert not VALIDATORS[name].is_valid(json.loads(path.read_bytes()))
    if path.stem not in READERS_ALLOW[name]:
        with pytest.raises(msgspec.MsgspecError):
            READERS[name].decode(path.read_bytes())
    else:
        READERS[name].decode(path.read_bytes())


def test_the_schemas_name_every_field_the_code_writes() -> None:
    for name, kind in (("event", Event), ("rejection", RejectedRecord), ("action", Action)):
        written = {field.encode_name for field in msgspec.structs.fields(kind)}
        assert _properties(name).keys() == written


def test_the_kinds_are_the_schemas() -> None:
    assert set(_properties("event")["type"]["enum"]) == KINDS
    assert ACTIVITY_KINDS < KINDS


TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
IDS = st.none() | TEXT | st.integers() | st.floats() | st.booleans()
TIMES = (
    st.none()
    | st.datetimes().map(datetime.isoformat)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.floats(0, 1e15)
)
SENT = st.fixed_dictionaries(
    {},
    optional={
        "action": st.none() | TEXT,
        "type": st.none() | st.sampled_from([*sorted(KINDS), "click"]),
        **dict.fromkeys(["user", "anonymous_id", "previous_id", "account", "id"], IDS),
        **dict.fromkeys(["time", "sent_at"], TIMES),
        **dict.fromkeys(
            ["properties", "traits", "context"], st.none() | st.dictionaries(TEXT, VALUES, max_size=4)
        ),
        "plan": VALUES,
    },
)


LIBRARIES = st.fixed_dictionaries(
    {"library": VALUES | st.dictionaries(st.sampled_from(["name", "version"]), VALUES)}
)


@given(TEXT, LIBRARIES)
@settings(deadline=None, max_examples=300)
def test_whoever_sent_it_keeps_the_contract(user_agent: str, context: dict[str, Any]) -> None:
    body = msgspec.json.encode({"action": "a", "context": context})
    sender = sender_of("kq4rtz6mxk2a", user_agent)
    assert sender is not None
    for _, value in admit(body, project=PROJECT, received_at=NOW, sender=sender).messages:
        VALIDATORS["event"].validate(json.loads(value))
        assert wire.decode(value).sender == named_in(body, sender)


@given(SENT)
@settings(deadline=None, max_examples=500)
def test_whatever_is_admitted_keeps_the_contract(sent: dict[str, Any]) -> None:
    body = msgspec.json.encode(sent)
    for idempotency_key in (None, "k"):
        admitted = admit(body, project=PROJECT, received_at=NOW, idempotency_key=idempotency_key)
        assert len(admitted.messages) + len(admitted.rejections) == 1
        for _, value in admitted.messages:
            VALIDATORS["event"].validate(json.loads(value))


@given(SENT)
@settings(deadline=None, max_examples=200)
def test_whatever_is_imported_keeps_the_contract(sent: dict[str, Any]) -> None:
    record = admit_event(sent, project=PROJECT, received_at=NOW, origin="import", run="r1")
    if not isinstance(record, Rejection):
        VALIDATORS["event"].validate(json.loads(record[1]))


@given(st.binary(max_size=100) | TEXT.map(str.encode))
@settings(deadline=None, max_examples=200)
def test_whatever_is_rejected_is_kept_by_the_contract(body: bytes) -> None:
    reason = Rejection(index=3, code="invalid_json", message="The event is not JSON.")
    record = RejectedRecord(
        id=new_event_id(),
        project=PROJECT,
        received_at=NOW,
        source="ingest",
        code=reason.code,
        message=reason.message,
        place={"path": "/v1/events", "index": reason.index},
        **wire.body_fields(body, 50),
    )
    VALIDATORS["rejection"].validate(json.loads(wire.encode(record)))
