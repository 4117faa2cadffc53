import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission import Kept, admit, admit_event
from admission.limits import MAX_ACTION_CHARS, MAX_DEPTH, MAX_EVENT_BYTES, MAX_ID_CHARS
from eventmodel import Event, ProjectId, Rejection, wire

PROJECT = ProjectId("p0123456789a")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def _accepted(body: object, **how: Any) -> Event:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    admitted = admit(raw, project=PROJECT, received_at=NOW, **how)
    assert admitted.rejections == []
    ((key, value),) = admitted.messages
    event = wire.decode(value)
    assert key == wire.event_key(event)
    return event


def _rejected(body: object) -> Rejection:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    admitted = admit(raw, project=PROJECT, received_at=NOW)
    assert admitted.messages == []
    assert admitted.rejected_bodies == [Kept(raw)]
    (rejection,) = admitted.rejections
    assert rejection.message.endswith((".", ")."))
    return rejection


def test_every_field_reaches_the_record() -> None:
    event = _accepted(
        {
            "user": "ada@acme.example",
            "action": "opened report",
            "account": "acme",
            "anonymous_id": "visitor",
            "previous_id": "before",
            "time": "2026-11-22T10:29:00+01:00",
            "sent_at": "2026-11-22T09:29:58Z",
            "id": "one",
            "type": "screen",
            "properties": {"rows": 12, "deep": [{"a": None}]},
            "traits": {"plan": "pro"},
            "context": {"page": "/"},
        }
    )
    assert event == Event(
        id=event.id,
        project=PROJECT,
        kind="screen",
        action="opened report",
        occurred_at=NOW - timedelta(minutes=1),
        received_at=NOW,
        origin="live",
        user="ada@acme.example",
        anonymous_id="visitor",
        previous_id="before",
        account="acme",
        sent_at=NOW - timedelta(seconds=2),
        properties={"rows": 12, "deep": [{"a": None}]},
        traits={"plan": "pro"},
        context={"page": "/"},
    )
    assert event.id == "one"


def test_null_is_missing() -> None:
    nothing = dict.fromkeys(
        ["user", "account", "time", "sent_at", "id", "type", "properties", "traits", "context", "x"]
    )
    event = _accepted({"action": "a", **nothing})
    assert (event.kind, event.occurred_at, event.user, event.context) == ("track", NOW, None, {})
    assert event.subject == f"e:{event.id}"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(7, "7"), (-2, "-2"), (12.0, "12"), (0.5, "0.5"), (" x ", " x "), ("ä" * 512, "ä" * 512)],
)
def test_ids_are_text(sent: object, kept: str) -> None:
    event = _accepted({"action": "a", "user": sent, "account": sent, "id": sent})
    assert (event.user, event.account, event.id) == (kept, kept, kept)


@pytest.mark.parametrize("field", ["user", "account", "anonymous_id", "previous_id", "id"])
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "empty_id"),
        (" \n", "empty_id"),
        (True, "wrong_type"),
        ({}, "wrong_type"),
        (["x"], "wrong_type"),
        ("x" * (MAX_ID_CHARS + 1), "too_long"),
        ("世" * MAX_ID_CHARS, "too_long"),
    ],
)
def test_an_id_must_be_usable(field: str, sent: object, code: str) -> None:
    rejection = _rejected({"action": "a", field: sent})
    assert (rejection.code, rejection.field) == (code, field)


@pytest.mark.parametrize("field", ["user", "account", "anonymous_id", "previous_id"])
@pytest.mark.parametrize(
    "sent",
    [
        *("00000000-0000-0000-0000-000000000000", " 00000000-0000-0000-0000-000000000000", "0" * 32),
        *("null", "NULL", "Nil", "none", "undefined", "Unknown", "n/a", "NA", "NaN"),
        *(
            "<nil>",
            "(null)",
            "anon",
            "Anonymous",
            " null\n",
            "            null",
            "true",
            "False",
            "[]",
            "{}",
            "[object Object]",
        ),
        *("0", 0, 0.0, -0.0, "-1", -1),
    ],
)
def test_what_stands_for_a_missing_id_is_nobodys(field: str, sent: object) -> None:
    rejection = _rejected({"action": "a", field: sent})
    assert (rejection.code, rejection.field) == ("invalid_id", field)
    assert rejection.hint is not None
    assert "null" in rejection.hint


@pytest.mark.parametrize("sent", ["00", "1", "nullable", "anon-7", "none of it", "Å", "u0", "0.5", "N A"])
def test_what_only_resembles_a_missing_id_is_one(sent: str) -> None:
    event = _accepted({"action": "a", "user": sent, "account": sent, "anonymous_id": sent})
    assert (event.user, event.account, event.anonymous_id) == (sent, sent, sent)


@pytest.mark.parametrize("sent", ["0", "null", 0])
def test_an_events_own_id_may_be_any_text(sent: object) -> None:
    assert _accepted({"action": "a", "id": sent}).id == str(sent)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({}, "missing_action"),
        ({"action": ""}, "missing_action"),
        ({"action": "  "}, "missing_action"),
        ({"action": 5}, "wrong_type"),
        ({"action": "x" * (MAX_ACTION_CHARS + 1)}, "too_long"),
        ({"action": "a", "type": "click"}, "unknown_type"),
        ({"action": "a", "type": ["track"]}, "unknown_type"),
        ({"action": "a", "properties": []}, "wrong_type"),
        ({"action": "a", "traits": "x"}, "wrong_type"),
        ({"action": "a", "context": 1}, "wrong_type"),
        ({"type": "identify"}, "missing_user"),
        ({"type": "group", "user": "ada"}, "missing_account"),
        ({"type": "alias", "previous_id": "b"}, "missing_user"),
        ({"type": "alias", "user": "ada"}, "missing_previous_id"),
    ],
)
def test_what_an_event_needs(sent: object, code: str) -> None:
    assert _rejected(sent).code == code


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("identify", "identified"),
        ("group", "joined account"),
        ("page", "viewed page"),
        ("screen", "viewed screen"),
        ("alias", "merged identity"),
    ],
)
def test_other_types_name_their_action(kind: str, action: str) -> None:
    event = _accepted({"type": kind, "user": "ada", "account": "acme", "previous_id": "before"})
    assert (event.kind, event.action) == (kind, action)


@pytest.mark.parametrize(
    ("sent", "hint"),
    [
        ({"event": "opened"}, 'You sent "event": call it "action".'),
        ({"eventName": "opened"}, 'You sent "eventName": call it "action".'),
        ({"batch": [{"action": "a"}]}, 'Send the array itself, not an object with "batch".'),
        ({"user": "ada", "traits": {"plan": "pro"}}, "identify"),
    ],
)
def test_a_missing_action_comes_with_what_to_do(sent: object, hint: str) -> None:
    rejection = _rejected(sent)
    assert rejection.code == "missing_action"
    assert hint in (rejection.hint or "")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("userId", "user"),
        ("distinct_id", "user"),
        ("timestamp", "time"),
        ("acount", "account"),
        ("Properties", "properties"),
        ("anonymousId", "anonymous_id"),
        ("messageId", "id"),
        ("$insert_id", "id"),
        ("groupId", "account"),
        ("sentAt", "sent_at"),
    ],
)
def test_a_misspelt_field_is_refused_with_its_name(name: str, field: str) -> None:
    rejection = _rejected({"action": "a", name: "x"})
    assert (rejection.code, rejection.field, rejection.hint) == ("unknown_field", name, f'Call it "{field}".')


def test_fields_of_the_senders_own_are_kept() -> None:
    event = _accepted(
        {"action": "a", "user": "ada", "userId": 7, "plan": "pro", "context": {"extra": {"b": 1}}}
    )
    assert event.context == {"extra": {"b": 1, "userId": 7, "plan": "pro"}}
    assert _rejected({"action": "a", "plan": "pro", "context": {"extra": 1}}).field == "context.extra"


TIMES = {
    "2026-11-22T09:30:00Z": NOW,
    "2026-11-22t09:30:00z": NOW,
    "2026-11-22 09:30:00.000000000+00:00": NOW,
    "2026-11-22T15:00:00+0530": NOW,
    "2016-12-31T23:59:60Z": datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC),
    "0001-01-01T00:00:00Z": datetime(1, 1, 1, tzinfo=UTC),
    1_795_339_800: NOW,
    1_795_339_800_500: NOW + timedelta(milliseconds=500),
}


@pytest.mark.parametrize(("sent", "occurred_at"), TIMES.items())
def test_times_are_read(sent: object, occurred_at: datetime) -> None:
    assert _accepted({"action": "a", "time": sent}).occurred_at == occurred_at


@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-22T09:30:00",
        "2026-11-22",
        "yesterday",
        "",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "2026-13-01T00:00:00Z",
        "1767225600",
        0,
        99,
        -1_767_225_600,
        1_767_225_600_000_000,
        True,
        {},
    ],
)
@pytest.mark.parametrize("field", ["time", "sent_at"])
def test_a_time_that_cannot_be_read_is_refused(field: str, sent: object) -> None:
    rejection = _rejected({"action": "a", field: sent})
    assert (rejection.code, rejection.field) == ("invalid_time", field)


def _at(moment: datetime) -> str:
    return moment.isoformat()


def test_a_time_ahead_is_clamped_and_marked() -> None:
    near = _accepted({"action": "a", "time": _at(NOW + timedelta(minutes=5))})
    assert (near.occurred_at, near.marks) == (NOW + timedelta(minutes=5), [])
    far = _accepted({"action": "a", "time": _at(NOW + timedelta(minutes=5, seconds=1))})
    assert (far.occurred_at, far.marks) == (NOW, ["clamped"])
    assert _accepted({"action": "a", "time": "9999-12-31T23:59:59Z"}).marks == ["clamped"]


@pytest.mark.parametrize(
    "skew", [timedelta(minutes=5), timedelta(hours=-1), timedelta(days=-2), timedelta(days=6)]
)
def test_a_wrong_clock_is_corrected(skew: timedelta) -> None:
    sender_now = NOW - skew
    event = _accepted(
        {"action": "a", "time": _at(sender_now - timedelta(seconds=10)), "sent_at": _at(sender_now)}
    )
    assert (event.occurred_at, event.marks) == (NOW - timedelta(seconds=10), ["skew_corrected"])


@pytest.mark.parametrize(
    ("time", "sent_at"),
    [
        (NOW - timedelta(hours=1), NOW - timedelta(seconds=3)),
        (NOW - timedelta(days=400), NOW - timedelta(days=300)),
        (NOW - timedelta(minutes=1), NOW - timedelta(hours=1)),
    ],
    ids=["under way", "kept for long", "not the same clock"],
)
def test_a_sending_time_that_shows_no_skew_changes_nothing(time: datetime, sent_at: datetime) -> None:
    event = _accepted({"action": "a", "time": _at(time), "sent_at": _at(sent_at)})
    assert (event.occurred_at, event.marks) == (time, [])


def test_the_end_of_the_calendar_is_no_trap() -> None:
    event = _accepted(
        {"action": "a", "time": "0001-01-01T00:00:00Z", "sent_at": _at(NOW + timedelta(hours=1))}
    )
    assert event.occurred_at == datetime(1, 1, 1, tzinfo=UTC)


def test_imports_keep_their_times_and_their_run() -> None:
    event = _accepted(
        {"action": "a", "time": _at(NOW - timedelta(hours=3)), "sent_at": _at(NOW - timedelta(hours=2))},
        origin="import",
        run="r1",
    )
    assert (event.occurred_at, event.origin, event.run) == (NOW - timedelta(hours=3), "import", "r1")


def test_a_replay_is_read_as_it_would_have_been_at_its_receipt() -> None:
    sent_at = NOW - timedelta(minutes=5)
    event = _accepted(
        {"action": "a", "time": _at(sent_at), "sent_at": _at(sent_at)}, origin="replay", run="r1"
    )
    assert (event.occurred_at, event.marks) == (NOW, ["skew_corrected"])
    assert (event.received_at, event.origin, event.run) == (NOW, "replay", "r1")


def test_an_idempotency_key_derives_the_ids_a_body_lacks() -> None:
    body = b'[{"action":"a"},{"action":5},{"action":"b","id":"own"},{"action":"c"}]'

    def ids(key: str, project: str = PROJECT) -> list[str]:
        admitted = admit(body, project=ProjectId(project), received_at=NOW, idempotency_key=key)
        return [wire.decode(value).id for _, value in admitted.messages]

    assert ids("k") == ids("k")
    assert len({*ids("k"), *ids("l"), *ids("k", "pother")}) == 7
    assert ids("k")[1] == "own"


def test_without_any_id_each_event_gets_its_own() -> None:
    admitted = admit(b'[{"action":"a"},{"action":"a"}]', project=PROJECT, received_at=NOW)
    assert len({wire.decode(value).id for _, value in admitted.messages}) == 2


def test_a_batch_answers_by_index() -> None:
    body = b'[{"action":"a"},{"user":"x"},7,{"action":"b"},{"action":"c","x":NaN}]'
    admitted = admit(body, project=PROJECT, received_at=NOW)
    assert len(admitted.messages) == 2
    assert [(r.index, r.code) for r in admitted.rejections] == [
        (1, "missing_action"),
        (2, "not_an_object"),
        (4, "not_finite"),
    ]
    assert admitted.rejected_bodies == [Kept(b'{"user":"x"}'), Kept(b"7"), Kept(b'{"action":"c","x":NaN}')]


FAULTY: dict[str, tuple[bytes, str, str | None, str]] = {
    "NaN": (b'{"action":"a","properties":{"x":[1,NaN]}}', "not_finite", "properties.x[1]", "NaN"),
    "Infinity": (b'{"action":"a","properties":{"x":-Infinity}}', "not_finite", "properties.x", "Infinity"),
    "1e999": (b'{"action":"a","properties":{"x":1e999}}', "not_finite", "properties.x", "1.8e308"),
    "NUL": (b'{"action":"a","properties":{"x":"a\\u0000"}}', "nul_character", "properties.x", "U+0000"),
    "NUL in a key": (
        b'{"action":"a","properties":{"x\\u0000":1}}',
        "nul_character",
        "properties.x\ufffd",
        "U+0000",
    ),
    "lone surrogate": (b'{"action":"a","user":"\\ud800"}', "lone_surrogate", "user", "surrogate"),
    "duplicate key": (b'{"action":"a","user":"x","user":"y"}', "duplicate_key", "user", "more than once"),
    "duplicate below": (
        b'{"action":"a","traits":{"b":[{"c":1,"c" :1}]}}',
        "duplicate_key",
        "traits.b[0].c",
        "once",
    ),
    "duplicate by escape": (b'{"action":"a","\\u0061ction":"b"}', "duplicate_key", "action", "once"),
    "2^63": (
        b'{"action":"a","properties":{"x":9223372036854775808}}',
        "number_out_of_range",
        "properties.x",
        "64",
    ),
    "5,000 digits": (
        b'{"action":"a","properties":{"x":' + b"1" * 5_000 + b"}}",
        "number_out_of_range",
        "properties.x",
        "string",
    ),
    "33 levels": (
        b'{"action":"a","properties":' + b'{"a":' * 32 + b"1" + b"}" * 33,
        "too_deep",
        None,
        "byte 182",
    ),
    "100,000 levels": (
        b'{"action":"a","properties":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "too_deep",
        None,
        "32 levels",
    ),
    "not UTF-8": (b'{"action":"a\xff"}', "invalid_utf8", None, "Byte 12"),
    "control character": (b'{"action":"a\n"}', "invalid_json", None, "byte 12"),
    "cut short": (b'{"action":"a"', "invalid_json", None, "byte 13"),
    "single quotes": (b"{'action':'a'}", "invalid_json", None, "byte 1"),
    "too large": (
        b'{"action":"a","x":"' + b"x" * MAX_EVENT_BYTES + b'"}',
        "event_too_large",
        None,
        "524,288",
    ),
    "grows": (
        b'{"action":"a","properties":{"x":[' + b"1e15," * 100_000 + b"1]}}",
        "event_too_large",
        None,
        "bytes",
    ),
}


@pytest.mark.parametrize(("raw", "code", "field", "said"), FAULTY.values(), ids=FAULTY)
def test_faulty_json_is_refused_with_its_place(raw: bytes, code: str, field: str | None, said: str) -> None:
    rejection = _rejected(raw)
    assert (rejection.code, rejection.field) == (code, field)
    assert said in rejection.message + (rejection.hint or "")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"action":"a","properties":{"x":"\\\\u0000"}}',
        b'{"action":"say \\":\\"","properties":{"\\":":"\\" :"}}',
        b'{"action":"a","properties":{"x":9223372036854775807,"y":-9223372036854775808,"z":1e308}}',
        b'{"action" : "a" , "properties"\n:{"a":{"a":{"a":1}}}}',
        b'{"action":"a","properties":' + b'{"a":' * 31 + b"1" + b"}" * 32,
        '{"action":"😀","user":"\\ud83d\\ude00"}'.encode(),
    ],
)
def test_what_only_looks_faulty_is_accepted(raw: bytes) -> None:
    event = _accepted(raw)
    sent = json.loads(raw)
    assert event.properties == sent.get("properties", {})


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["user", "action", "type", "time", "properties", "context", "z"]), ANYTHING
    )
)
@settings(deadline=None, max_examples=300)
def test_decoded_and_encoded_events_meet_the_same_verdict(sent: dict[str, Any]) -> None:
    body = json.dumps(sent).encode()
    of_bytes = admit(body, project=PROJECT, received_at=NOW)
    of_object = admit_event(sent, project=PROJECT, received_at=NOW, origin="live")
    if isinstance(of_object, Rejection):
        (rejection,) = of_bytes.rejections
        assert rejection.code == of_object.code
    else:
        ((_, value),) = of_bytes.messages
        first, second = wire.decode(value), wire.decode(of_object[1])
        assert (first.action, first.user, first.properties) == (second.action, second.user, second.properties)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_accepted_or_refused_in_words(junk: bytes) -> None:
    for raw in (junk, b'{"action":"a","properties":' + junk + b"}"):
        admitted = admit(b'{"action":"a"}\n' + raw, project=PROJECT, received_at=NOW)
        for _, value in admitted.messages:
            assert wire.decode(value).project == PROJECT
        assert all(rejection.message for rejection in admitted.rejections)


def test_the_importer_may_pass_times() -> None:
    moment = NOW - timedelta(days=900)
    record = admit_event(
        {"user": "ada", "action": "a", "time": moment, "id": "i"},
        project=PROJECT,
        received_at=NOW,
        origin="import",
        run="r1",
    )
    assert not isinstance(record, Rejection)
    assert record[0] == b"p0123456789a:u:ada"
    assert wire.decode(record[1]).occurred_at == moment


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"x": math.nan}, "not_finite"),
        ({"x": b"bytes"}, "wrong_type"),
        ({5: "key"}, "wrong_type"),
        ({"x": "\ud800"}, "lone_surrogate"),
        ({"x": NOW}, "wrong_type"),
    ],
)
def test_the_importer_meets_the_same_rules(properties: dict[Any, Any], code: str) -> None:
    rejection = admit_event(
        {"action": "a", "properties": properties}, project=PROJECT, received_at=NOW, origin="import", index=7
    )
    assert isinstance(rejection, Rejection)
    assert (rejection.index, rejection.code) == (7, code)


def test_depth_counts_the_event_itself() -> None:
    nested: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 2):
        nested = {"a": nested}
    sent = {"action": "a", "properties": nested}
    assert not isinstance(admit_event(sent, project=PROJECT, received_at=NOW, origin="live"), Rejection)
    rejection = admit_event(
        {"action": "a", "properties": {"a": nested}}, project=PROJECT, received_at=NOW, origin="live"
    )
    assert isinstance(rejection, Rejection)
    assert rejection.code == "too_deep"
