"""The compiled reader gives the records that admission gives without it, or leaves the body alone."""

import json
import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission import Wire, admit, ordinary
from admission.admit import _admitted
from admission.events import Receipt
from admission.limits import MAX_DEPTH, MAX_EVENT_BYTES, MAX_EVENTS, MAX_ID_CHARS
from admission.ordinary import admit_ordinary
from admission.placeholders import PLACEHOLDERS
from eventmodel import Origin, ProjectId, Sender
from eventmodel.wire import decode, encode

PROJECT = ProjectId("pabcdefgh234")
NOW = datetime(2026, 11, 22, 9, 31, 0, 250_000, tzinfo=UTC)
SENDER = Sender(key="kq4rtz6mxk2a", sdk="python-requests/2.31.0")
INSTALLED = ordinary._reader is not None
"""Without a compiler there is no reader, and every body is left to Python."""
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _records(body: bytes) -> list[Wire] | None:
    """What the reader made of the body, which is what Python makes of it."""
    records = admit_ordinary(body, project=PROJECT, received_at=NOW, sender=SENDER)
    if records is not None:
        expected = _admitted(body, Receipt(PROJECT, NOW, sender=SENDER))
        assert not expected.rejections
        assert not expected.quarantined
        assert not expected.warnings
        assert expected.senders == [SENDER] * len(records)
        assert len(records) == len(expected.messages)
        for ours, theirs in zip(records, expected.messages, strict=True):
            _assert_same(_known(ours, body), _known(theirs, body))
    return records


def _known(wire: Wire, body: bytes) -> Wire:
    """The record with a word in place of an id that was made for it."""
    key, value = wire
    made = decode(value).id
    if made.encode() in body:
        return wire
    assert UUID7.fullmatch(made)
    return key.replace(made.encode(), b"made"), value.replace(made.encode(), b"made")


def _assert_same(ours: Wire, theirs: Wire) -> None:
    assert ours[0] == theirs[0]
    # Only numbers with a fraction may be written otherwise, as in 1.50.
    if ours[1] != theirs[1]:
        event = decode(ours[1])
        assert any(map(_has_fraction, (event.properties, event.traits, event.context)))
        assert encode(event) == theirs[1]
        assert len(json.dumps(json.loads(ours[1]))) == len(json.dumps(json.loads(theirs[1])))


def _has_fraction(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_fraction, value.values()))
    return any(map(_has_fraction, value)) if isinstance(value, list) else isinstance(value, float)


def _event(**fields: str) -> str:
    """An event as text; each field is JSON, or "" to be left out."""
    fields = {"user": '"ada"', "action": '"opened report"', "id": '"e1"'} | fields
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if text) + "}"


def _spelled(second: datetime, fraction: str = "") -> str:
    return json.dumps(f"{second:%Y-%m-%dT%H:%M:%S}{fraction}Z")


def _ago(**ago: float) -> str:
    return _spelled(NOW - timedelta(**ago))


ORDINARY = [
    _event(),
    f"[{_event()}]",
    f" [ {_event()} ,\r\n\t{_event()} ] \n",
    f"{_event()}\n{_event()}",
    f"{_event()} \r\n\n {_event()}\n\n",
    _event().replace(":", " :\t").replace(",", "\n,"),
    _event(id=""),
    _event(id="null", account="null", time="null", type="null", properties="null", context="null"),
    _event(user="", anonymous_id='"x 1~"', previous_id='"b"', account='"acme"', id=""),
    _event(user="", account='"acme"'),
    _event(user="", id=""),
    _event(user='" ada "'),
    _event(user='"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"'),
    _event(user='"00000000-0000-0000-0000-000000000001"'),
    _event(user=f'"{"u" * MAX_ID_CHARS}"'),
    _event(id='"null"'),
    _event(action='" x"'),
    _event(action='"résumé"'),
    _event(action='"é"'),
    _event(action='"報告"'),
    _event(action='"𝄞"'),
    _event(action=f'"{"a" * 256}"'),
    *(_event(type=f'"{kind}"') for kind in ("track", "page", "screen", "identify")),
    *(_event(type=f'"{kind}"', action="") for kind in ("page", "screen", "identify")),
    _event(type='"identify"', user="", anonymous_id='"x1"', action="", traits='{"name":"Ada"}'),
    _event(type='"group"', account='"acme"', action=""),
    _event(type='"alias"', previous_id='"x1"', action=""),
    _event(time=_ago(days=3)),
    _event(time='"2024-02-29T23:59:59.1Z"'),
    _event(time='"2000-02-29T00:00:00.000001Z"'),
    _event(time='"1970-01-01T00:00:00Z"'),
    _event(time='"2026-11-22T09:30:00.1234567899Z"'),
    _event(time=_spelled(NOW + timedelta(minutes=5))),
    _event(time=_spelled(NOW + timedelta(minutes=5), ".250")),
    _event(time=_spelled(NOW + timedelta(minutes=5), ".250001")),
    _event(time=_spelled(NOW + timedelta(days=400))),
    _event(sent_at=_ago(hours=1)),
    _event(time=_ago(hours=2), sent_at=_ago(hours=1)),
    _event(time=_ago(hours=1), sent_at=_ago(hours=2)),
    _event(time=_ago(days=8, hours=1), sent_at=_ago(days=8)),
    _event(time=_ago(days=7, hours=1), sent_at=_spelled(NOW - timedelta(days=7), ".250")),
    _event(time=_ago(days=7, hours=1), sent_at=_spelled(NOW - timedelta(days=7), ".249999")),
    _event(time=_ago(seconds=50), sent_at=_spelled(NOW - timedelta(seconds=10), ".250")),
    _event(time=_ago(seconds=50), sent_at=_spelled(NOW - timedelta(seconds=10), ".250001")),
    _event(time=_ago(seconds=50), sent_at=_ago(seconds=60)),
    _event(time=_ago(seconds=50), sent_at=_ago(seconds=61)),
    _event(time=_spelled(NOW + timedelta(hours=9)), sent_at=_spelled(NOW + timedelta(hours=1))),
    _event(time=_spelled(NOW + timedelta(hours=2)), sent_at=_spelled(NOW + timedelta(hours=2))),
    _event(properties="{ }", traits="{}", context="{}"),
    _event(properties='{"a":[1,-2,0,true,false,null,[],{}, {"a":{"a":1}}],"b" : { "c":"d" } }'),
    _event(properties='{"n":[999999999999999999,-999999999999999999,0.5,-0.0,1.50,1234567890.1234567]}'),
    _event(properties=r'{"s":"\"\\\/\b\f\n\r\t","u":"\u00e9\u00E9\u4e2d\ud83d\ude00\u0022\u005c\u007f\u0020"}'),
    _event(properties='{"é":"\x7f\u2028é中😀","":""}'),
    _event(properties=json.dumps({str(n): n for n in range(64)})),
    _event(properties='{"":' * (MAX_DEPTH - 2) + "{}" + "}" * (MAX_DEPTH - 2)),
    _event(properties='{"":' + "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2) + "}"),
    _event(context='{"page":{"ip":1,"library":"x"},"ipv":"1"}'),
    _event(properties='{"ip":"203.0.113.9","library":1}'),
]  # fmt: skip

DOUBTED = [
    "", " ", "[]", "{}", "null", "1", f"\ufeff{_event()}", f" {_event()}", f"[{_event()}",
    f"[{_event()},]", f"[{_event()}]]",
    f"[{_event()} {_event()}]", f"[{_event()},1]", f"[{_event()},[]]", f"{_event()}{_event()}",
    f"{_event()} {_event()}",
    f"{_event()},{_event()}", f"{_event()}\nx", f"[{_event()}]\n{_event()}", f"{_event()}\n[{_event()}]",
    f"{_event()}\0",
    _event()[:-1], _event()[:-1] + ",}", "{," + _event()[1:], _event().replace(",", ",,", 1),
    _event().replace(":", "", 1),
    _event(x="1"), _event(users="1"), _event(uses="1"), _event(timely="1"), _event(propertiez="{}"),
    _event(anonymous_iD='"x"'),
    _event()[:-1] + ',"user":"bob"}', _event()[:-1] + ',"user":null}',
    _event(account="null")[:-1] + ',"account":null}',
    _event().replace("user", r"u\u0073er"),
    _event(user="1"), _event(user="true"), _event(user="nul"), _event(user="[]"), _event(user='""'),
    _event(user='"   "'),
    _event(user='"é"'), _event(user=r'"a\/b"'), _event(user='"a\x7f"'), _event(user='"a\tb"'),
    _event(user=f'"{"u" * 513}"'),
    _event(id='""'), _event(id='" "'), _event(id=f'"{"u" * 513}"'), _event(id="1"), _event(id='"é"'),
    *(_event(**{field: json.dumps(word)}) for word in sorted(PLACEHOLDERS) for field in ("user", "account")),
    *(_event(**{field: '" NULL "'}) for field in ("user", "anonymous_id", "previous_id", "account")),
    _event(user=f'"{" " * 40}None"'),
    _event(action=""), _event(action='""'), _event(action='" "'),
    _event(action='"\u00a0\u2003\u3000"'), _event(action="1"),
    _event(action=f'"{"a" * 257}"'), _event(action=r'"a\tb"'), _event(type='"track"', action=""),
    _event(action="{}"),
    _event(type='"Track"'), _event(type='""'), _event(type='"tracks"'), _event(type="1"),
    _event(type='"identify"', user=""), _event(type='"group"'), _event(type='"alias"'),
    _event(type='"alias"', user="", previous_id='"x"', anonymous_id='"y"'),
    *(
        _event(**{field: json.dumps(text)})
        for field in ("time", "sent_at")
        for text in (
            "", "2026-11-22", "2026-11-22T09:30:00", "2026-11-22T09:30:00+00:00", "2026-11-22 09:30:00Z",
            "2026-11-22t09:30:00Z",
            "2026-11-22T09:30:00z", "2026-11-22T09:30Z", "2026-11-22T09:30:00.Z", "2026-11-22T09:30:00,5Z",
            "2026-11-22T09:30:00.5xZ",
            "2026-02-29T09:30:00Z", "2100-02-29T09:30:00Z", "2026-04-31T09:30:00Z", "2026-13-01T09:30:00Z",
            "2026-00-01T09:30:00Z",
            "2026-01-00T09:30:00Z", "2026-11-22T24:00:00Z", "2026-11-22T09:60:00Z", "2026-11-22T09:30:60Z",
            "1969-12-31T23:59:59Z",
            "3000-01-01T00:00:00Z", " 2026-11-22T09:30:00Z", "2026-11-22T09:30:00Z ",
            "2026/11/22T09:30:00Z", "2026-11-22T09.30.00Z",
            "2026-11-22T+9:30:00Z", "2026-11-22T09:30:00.123456789012345678901Z",
        )
    ),
    _event(time="1700000000"), _event(sent_at="1700000000"),
    _event(time='"1970-01-01T00:00:00Z"', sent_at=_spelled(NOW + timedelta(hours=1))),
    *(_event(**{field: text}) for field in ("properties", "traits", "context") for text in ("[]", '"x"',
    "1", "true", "nul")),
    *(
        _event(properties='{"a":' + text + "}")
        for text in (
            "", "x", "01", "-", "-0", "+1", ".5", "1.", "1.x", "1e5", "1.5e5", "1E5", "1234567890123456789",
            "-1234567890123456789",
            "1.12345678901234567", "12345678901234567890.5", "0x1", "1_0", "NaN", "Infinity", "tru", "truE",
            "nulL", "fals", '"', '"\\"',
            r'"\x"', r'"\u12"', r'"\u12g4"', r'"\u0000"', r'"\u001f"', r'"\ud800"', r'"\ud800x"',
            r'"\udc00"', r'"\ud800\u0041"',
            r'"\ud800\ud800"', '"\x1f"', '"\n"', "[1,]", "[,]", "[1 2]", "[", "{", "{1:1}", '{"a"}',
            '{"a":1,}', '{"a" "b"}', "'a'",
            '{"a":1,"a":1}', '{"a":1,"b":{},"a":1}', '{"\\u0061":1}', '{"a":{"b":1},"c":[{"d":1,"d":2}]}',
        )
    ),
    _event(properties=json.dumps({str(n): n for n in range(65)})),
    _event(properties='{"":' * (MAX_DEPTH - 1) + "{}" + "}" * (MAX_DEPTH - 1)),
    _event(properties='{"":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"),
    _event(context='{"ip":"203.0.113.9"}'), _event(context='{"library":{"name":"x"}}'),
]  # fmt: skip

NO_UTF8 = [
    b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xff", b"\xc3\xc3", b"\xe4\xb8\xc3",
    b"\xf0\x9f\x98\xc3",
]  # fmt: skip


@pytest.mark.parametrize("body", ORDINARY)
def test_what_is_ordinary_is_read_at_once(body: str) -> None:
    assert (_records(body.encode()) is not None) == INSTALLED


@pytest.mark.parametrize("body", DOUBTED)
def test_what_may_not_be_ordinary_is_left_to_admission(body: str) -> None:
    assert admit_ordinary(body.encode(), project=PROJECT, received_at=NOW) is None


@pytest.mark.parametrize("wrong", NO_UTF8)
@pytest.mark.parametrize("place", ["ada", "opened", "here", "key"])
def test_what_is_not_utf_8_is_left_to_admission(wrong: bytes, place: str) -> None:
    body = _event(properties='{"key":"here"}').encode()
    assert admit_ordinary(body.replace(place.encode(), wrong), project=PROJECT, received_at=NOW) is None


def test_a_body_holds_so_many_events() -> None:
    text = ",".join([_event()] * MAX_EVENTS)
    assert (_records(f"[{text}]".encode()) is not None) == INSTALLED
    assert _records(f"[{text},{_event()}]".encode()) is None


@pytest.mark.parametrize("form", ["[%s]", "%s\n", "[%s,%s]", "%s\n%s"])
def test_an_event_is_so_large(form: str) -> None:
    room = MAX_EVENT_BYTES - len(_event(properties='{"a":""}')) - 2
    full, more = (_event(properties='{"a":"' + "x" * length + '"}') for length in (room, room + 3))
    assert (_records(form.replace("%s", full).encode()) is not None) == INSTALLED
    assert _records(form.replace("%s", more).encode()) is None


def test_space_around_an_event_counts_as_its_own() -> None:
    assert _records(f"[{_event()}{' ' * MAX_EVENT_BYTES}]".encode()) is None


def test_nobody_need_have_sent_it() -> None:
    body = _event().encode()
    records = admit_ordinary(body, project=PROJECT, received_at=NOW)
    assert records == (_admitted(body, Receipt(PROJECT, NOW)).messages if INSTALLED else None)


def test_a_project_that_needs_escapes_is_left_to_admission() -> None:
    for project in ('p"', "p\\", "pé", "p:1", ""):
        assert admit_ordinary(_event().encode(), project=ProjectId(project), received_at=NOW) is None


def test_ids_are_made_of_the_time_and_of_chance() -> None:
    body = ("[" + ",".join([_event(id="", user="")] * 1_000) + "]").encode()
    before_ms = time.time_ns() // 1_000_000
    made = [decode(value).id for _, value in _admitted_records(body)]
    after_ms = time.time_ns() // 1_000_000
    assert len(set(made)) == 1_000
    assert len({id[-12:] for id in made}) == 1_000
    assert all(UUID7.fullmatch(id) for id in made)
    assert all(before_ms <= int(id.replace("-", "")[:12], 16) <= after_ms for id in made)


def test_the_reader_is_used_by_admission(monkeypatch: pytest.MonkeyPatch) -> None:
    body = _event(properties='{"n":1.50}').encode()
    assert (b"1.50" in _admitted_records(body)[0][1]) == INSTALLED
    monkeypatch.setattr(ordinary, "_reader", None)
    assert b"1.50" not in _admitted_records(body)[0][1]


@pytest.mark.parametrize(
    ("origin", "run"), [("import", "i1"), ("replay", "r1"), ("import", None), ("live", "r1")]
)
def test_an_event_of_a_run_says_so(origin: Origin, run: str | None) -> None:
    body = _event().encode()
    [(_, value)] = admit(body, project=PROJECT, received_at=NOW, origin=origin, run=run).messages
    assert (decode(value).origin, decode(value).run) == (origin, run)


@pytest.mark.parametrize("body", ORDINARY)
def test_without_the_reader_nothing_else_differs(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = _admitted_records(body.encode())
    monkeypatch.setattr(ordinary, "_reader", None)
    for one, other in zip(ours, _admitted_records(body.encode()), strict=True):
        _assert_same(_known(one, body.encode()), _known(other, body.encode()))


def _admitted_records(body: bytes) -> list[Wire]:
    admitted = admit(body, project=PROJECT, received_at=NOW, sender=SENDER)
    assert admitted.senders == [SENDER] * admitted.taken
    return admitted.messages


# Bodies by chance: half of them calm, so that most are ordinary, and the others not quite.

_space = st.sampled_from(["", "", "", "", " ", "\t", "\n ", "\r\n"])


def _strings(calm: bool) -> st.SearchStrategy[str]:
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"] if calm else ["Cs"]), max_size=12)
    parts = st.sampled_from(
        [r"\/", r"\n", r"\u0041", r"\u00e9", r"\u0022", r"\u005c", r"\ud83d\ude00", "é", " "]
    )
    return st.one_of(
        text.map(json.dumps),
        text.map(lambda text: json.dumps(text, ensure_ascii=False)),
        st.lists(parts).map(lambda parts: '"' + "".join(parts) + '"'),
    )


def _leaves(calm: bool) -> st.SearchStrategy[str]:
    leaves = [
        _strings(calm),
        st.integers(-(10**18) + 1, 10**18 - 1).map(str),
        st.decimals(-1000, 1000, places=3).map(str),
        st.sampled_from(["true", "false", "null", "{}", "[]"]),
    ]
    if not calm:
        leaves.append(st.floats(allow_nan=False, allow_infinity=False).map(repr))
    return st.one_of(leaves)


def _objects_of(values: st.SearchStrategy[str], calm: bool) -> st.SearchStrategy[str]:
    keys = st.sampled_from(["a", "b", "plan", "é", "中", "", "a b"]).map(lambda key: f'"{key}"')
    if not calm:
        keys |= st.sampled_from(['"ip"', '"library"']) | _strings(calm)
    member = st.tuples(_space, keys, _space, _space, values, _space)
    return st.lists(member, max_size=4, unique_by=(lambda member: member[1]) if calm else None).map(
        lambda members: (
            "{" + ",".join(f"{a}{key}{b}:{c}{value}{d}" for a, key, b, c, value, d in members) + "}"
        )
    )


def _arrays_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.tuples(_space, values, _space).map("".join), max_size=4)
    return items.map(lambda items: "[" + ",".join(items) + "]")


def _objects(calm: bool) -> st.SearchStrategy[str]:
    values = st.recursive(
        _leaves(calm), lambda inner: _objects_of(inner, calm) | _arrays_of(inner), max_leaves=10
    )
    return _objects_of(values, calm)


def _fields(calm: bool) -> dict[str, st.SearchStrategy[str]]:
    """What each field may hold; the calm ones are seldom refused."""
    types = ['"track"', '"page"', '"screen"']
    actions = ['"opened report"', '"é"', '"報告"']
    ids = st.from_regex(r"[A-Za-z0-9@._ -]{1,20}x", fullmatch=True).map(json.dumps)
    times = (
        st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda time: f'"{time.isoformat()}Z"')  # noqa: DTZ001
        | st.integers(-(10**6), 10**6).map(
            lambda ms: json.dumps((NOW + timedelta(milliseconds=ms)).isoformat()[:-6] + "Z")
        )
        | st.integers(-800_000, 800_000).map(lambda seconds: _ago(seconds=seconds))
    )
    if not calm:
        types += ['"identify"', '"group"', '"alias"', '"x"']
        actions += ['" "', '"\u3000"', '"a\\n"']
        ids |= st.sampled_from(sorted(PLACEHOLDERS)).map(json.dumps)
        ids |= st.sampled_from(['"Null"', '" 0 "', "7", '"é"', '""', '"\\u0061"'])
        times |= st.sampled_from(
            ['"2026-11-22"', "1763803860", '"2026-11-22T09:30:00+01:00"', '"2026-02-30T00:00:00Z"', '""']
        )
    return (
        {"action": st.sampled_from(actions), "type": st.sampled_from(types)}
        | dict.fromkeys(("user", "anonymous_id", "previous_id", "account", "id"), ids)
        | dict.fromkeys(("time", "sent_at"), times)
        | dict.fromkeys(("properties", "traits", "context"), _objects(calm))
    )


_ODD = [
    "-0", "01", "1.", "1e5", "9223372036854775808", "NaN", "nul", '"\\ud800"', '"\\u0000"', '"\\u001f"',
    '"\t"',
    '{"a":1,"a":2}', "[1,]", "{}", "null", "[]", "true",
]  # fmt: skip


@st.composite
def _events(draw: st.DrawFn, calm: bool) -> str:
    strategies = _fields(calm)
    fields = draw(
        st.fixed_dictionaries(
            {"action": strategies["action"]},
            optional={name: values for name, values in strategies.items() if name != "action"},
        )
    )
    if not calm and draw(st.booleans()):
        fields[draw(st.sampled_from([*fields, "x"]))] = draw(st.sampled_from(_ODD))
    members = [
        f'"{name}"{draw(_space)}:{draw(_space)}{text}'
        for name, text in draw(st.permutations(list(fields.items())))
    ]
    if not calm and draw(st.booleans()):
        members.append(draw(st.sampled_from(members)))
    return "{" + f"{draw(_space)},{draw(_space)}".join(members) + draw(_space) + "}"


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    calm = draw(st.booleans())
    events = draw(st.lists(_events(calm), min_size=1, max_size=3))
    if draw(st.booleans()):
        text = draw(_space) + "[" + f"{draw(_space)},{draw(_space)}".join(events) + draw(_space) + "]"
    else:
        text = draw(st.sampled_from(["\n", "\r\n", " \n\n"] if calm else ["\n", " ", ""])).join(events)
    return (text + draw(_space)).encode()


@given(_bodies())
def test_a_body_by_chance_gives_what_admission_makes_of_it(body: bytes) -> None:
    _records(body)


_changes = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from("=+-"), st.integers(0, 255)), min_size=1, max_size=3
)


@given(_bodies(), _changes)
def test_a_body_with_wrong_bytes_gives_what_admission_makes_of_it(
    body: bytes, changes: list[tuple[int, str, int]]
) -> None:
    changed = bytearray(body)
    for place, change, byte in changes:
        at = place % (len(changed) + 1)
        changed[at : at + (change != "+")] = b"" if change == "-" else bytes([byte])
    _records(bytes(changed))


_WHOLE = (
    _event(
        id="", account='"acme"', previous_id='"p"', time=_ago(hours=2), sent_at=_ago(hours=1),
        traits='{"a" : [null,-1.5,12,true]}',
        properties=r'{"report":"ch\u00farn \ud83d\ude00 é中😀","rows":120,"filters":["plan",{"a":1,"b":{}}],"x":false}',
    )
    + "\r\n"
    + _event(type='"identify"', action="", user="", anonymous_id='"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"')
).encode()  # fmt: skip


@pytest.mark.parametrize(
    "wrapped", [lambda body: body, lambda body: b"[" + body.replace(b"\r\n", b",") + b"]"]
)
def test_no_byte_of_a_body_is_passed_over(wrapped: Callable[[bytes], bytes]) -> None:
    body = wrapped(_WHOLE)
    assert (_records(body) is not None) == INSTALLED
    for end in range(len(body)):
        _records(body[:end])
        _records(body[end:])
    chance = random.Random(7)
    for _ in range(10_000):
        changed = bytearray(body)
        changed[chance.randrange(len(body))] = (
            chance.choice(b'"\\{}[]:,0e.- \n\x00\x80\xff') if chance.random() < 0.5 else chance.randrange(256)
        )
        _records(bytes(changed))
