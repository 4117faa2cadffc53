import json
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission import BodyRefused
from admission.framing import Broken, split
from admission.limits import MAX_EVENTS

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
# More than is split at once, so that the other way is taken too.
PADDING = b" " * (1024 * 1024 + 1)


def _raws(body: bytes) -> list[bytes | Broken]:
    return [piece if isinstance(piece, Broken) else bytes(piece) for piece in split(body)]


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["at once", "one by one"])
@given(st.lists(ANYTHING, max_size=5), st.sampled_from([None, 2]))
@settings(deadline=None, max_examples=30)
def test_an_array_is_its_elements(padding: bytes, values: list[object], indent: int | None) -> None:
    body = json.dumps(values, indent=indent).encode() + padding
    assert [json.loads(bytes(piece)) for piece in split(body) if not isinstance(piece, Broken)] == values


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["at once", "one by one"])
@given(
    st.lists(st.dictionaries(st.text(), ANYTHING), min_size=1, max_size=5),
    st.sampled_from(["", "\n", "\r\n\n", " "]),
)
@settings(deadline=None, max_examples=30)
def test_objects_may_follow_one_another(padding: bytes, values: list[object], between: str) -> None:
    body = between.join(json.dumps(value) for value in values).encode() + padding
    assert [json.loads(bytes(piece)) for piece in split(body) if not isinstance(piece, Broken)] == values


def test_one_object_over_several_lines_is_one_event() -> None:
    assert _raws(b'\n{\n  "a": 1\n}\n') == [b'{\n  "a": 1\n}']


def test_a_byte_order_mark_is_skipped() -> None:
    assert _raws(b'\xef\xbb\xbf{"a":1}') == [b'{"a":1}']


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["at once", "one by one"])
def test_a_broken_line_falls_alone(padding: bytes) -> None:
    body = b'{"a":1}\n{"b":\n{"c":3}\n{"d":4,}\n{"e":5}' + padding
    assert [type(piece) is Broken for piece in split(body)] == [False, True, False, True, False]


def test_a_broken_object_over_several_lines_is_one_rejection() -> None:
    assert _raws(b'{\n  "a": 1,\n}\n{"b":2}') == [Broken(b'{\n  "a": 1,\n}'), b'{"b":2}']


@pytest.mark.parametrize("bad", [b"NaN", b"-Infinity", b'"\\ud800"', b'"a\tb"'])
@pytest.mark.parametrize("padding", [b"", PADDING], ids=["at once", "one by one"])
def test_what_lenient_readers_take_breaks_one_element_only(bad: bytes, padding: bytes) -> None:
    broken = b'{"a": ' + bad + b', "b": {"c": 1}}'
    assert _raws(b'[{"x":1}, ' + broken + b' , {"y":2}]' + padding) == [
        b'{"x":1}',
        Broken(broken),
        b'{"y":2}',
    ]
    assert _raws(b'{"x":1}\n ' + broken + b' \n{"y":2}' + padding) == [b'{"x":1}', Broken(broken), b'{"y":2}']


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (b'[{"a":1}', 8),
        (b'[{"a":1},', 9),
        (b'[{"a":1} {"b":2}]', 9),
        (b'[{"a":1}] x', 10),
        (b'[{"a":tru}]', 6),
        (b'[{"a":1},]', 9),
        (b"[,]", 1),
        (b'["' + b"x" * 600_000, 1),
        (b'["' + b"x" * 2_000_000 + b"\x01", 1),
    ],
)
def test_an_unreadable_array_is_refused_whole_with_the_byte(body: bytes, at: int) -> None:
    with pytest.raises(BodyRefused) as refused:
        split(body)
    assert refused.value.code == "invalid_json"
    assert f"byte {at:,}" in refused.value.message


@pytest.mark.parametrize("body", [b"", b"  \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused) as refused:
        split(body)
    assert refused.value.code == "empty_body"


@pytest.mark.parametrize("body", [b"user=ada", b'"text"', b"\x00{}", b"\xff\xfe{\0}\0", b"null"])
def test_a_body_that_is_no_json_container_says_how_it_begins(body: bytes) -> None:
    with pytest.raises(BodyRefused) as refused:
        split(body)
    assert "must begin with { or [" in refused.value.message


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" + b'{"a":' * 100_000])
def test_endless_nesting_in_an_array_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused) as refused:
        split(body)
    assert refused.value.code == "too_deep"


def test_a_hundred_thousand_levels_in_a_line_fall_alone() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert [type(piece) is Broken for piece in split(b'{"a":1}\n' + deep + b'\n{"b":2}')] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("separator", [b",", b"\n"])
def test_the_number_of_events_is_bounded(separator: bytes) -> None:
    opening, closing = (b"[", b"]") if separator == b"," else (b"", b"")
    assert len(split(opening + separator.join([b"{}"] * MAX_EVENTS) + closing)) == MAX_EVENTS
    with pytest.raises(BodyRefused) as refused:
        split(opening + separator.join([b"{}"] * (MAX_EVENTS + 1)) + closing)
    assert refused.value.code == "too_many_events"


HOSTILE = {
    "many numbers": b"[" + b"1," * 10_000_000 + b"1]",
    "many objects": b"{}" * 10_000_000,
    "lines that open arrays": b'{"a":[' + b"1," * 200_000 + (b'\n{"a":[' + b"1," * 250) * 9_000,
    "broken elements": b"[" + b",".join([b'{"a":NaN,"b":"' + b"x" * 5_000 + b'"}'] * 4_000) + b"]",
    "one endless string": b'["' + b"x" * 19_000_000,
    "quotes and braces": b'{"' * 9_000_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_costs_bounded_memory_and_no_quadratic_time(body: bytes) -> None:
    tracemalloc.start()
    try:
        with suppress(BodyRefused):
            split(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * len(body) + 20_000_000
