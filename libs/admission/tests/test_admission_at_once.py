"""A body decoded at once gives what its events give when each is looked at alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission import Admitted, admit
from eventmodel import ProjectId

NOW = datetime(2026, 11, 22, 9, 31, tzinfo=UTC)
# A body that begins with it is always taken apart.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_names = st.sampled_from(["user", "action", "id", "account", "properties", "time", "x", 'q\\":', "a :b"])
_space = st.sampled_from(["", "", "", " ", "\t", "\n ", "\r\n"])
_plain = st.sampled_from(
    [
        '"ada"', '"opened report"', '"a\\u0000b"', '"x\\":y"', '"\\": "', '" : "', "1", "-1", "1.5", "true", "null",
        "18446744073709551616", "-9223372036854775809", "1e400", "[]", "{}", "nonsense",
    ]
)  # fmt: skip


def _members(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects as text: names may repeat, and space may stand around colons."""
    member = st.tuples(_names, _space, _space, values).map(lambda m: f'"{m[0]}"{m[1]}:{m[2]}{m[3]}')
    return st.lists(member, max_size=5).map(lambda members: "{" + ",".join(members) + "}")


_values = st.recursive(
    _plain,
    lambda inner: (
        _members(inner) | st.lists(inner, max_size=3).map(lambda found: "[" + ",".join(found) + "]")
    ),
    max_leaves=8,
)
_good = st.sampled_from(
    [
        '{"user":"ada","action":"opened report"}',
        '{"user": "bob", "action": "invited", "properties": {"n": 1}}',
    ]
)
_events = st.lists(_good | _members(_values) | _values, min_size=1, max_size=4)


def _admitted(body: bytes) -> Admitted:
    return admit(body, project=ProjectId("pabcdefgh234"), received_at=NOW, idempotency_key="one")


@given(_events, st.sampled_from(["array", "lines", "deep"]))
def test_nothing_tells_whether_a_body_was_decoded_at_once(events: list[str], form: str) -> None:
    if form == "lines":
        text = "\n".join(event.replace("\n", " ").replace("\r", " ") for event in events)
    else:
        text = "[" + ",".join(events) + "]"
    if form == "deep":
        text = text.replace("[]", "[" * 40 + "]" * 40)
    body = text.encode()
    assert _outcome(body) == _outcome(BYTE_ORDER_MARK + body)


@pytest.mark.parametrize("space", [" ", "\t", "\r", "\n", " \n"])
def test_a_repeated_key_is_found_whatever_stands_before_its_colon(space: str) -> None:
    text = f'[{{"action":"a","user":"ada","user"{space}:"bob"}}]'
    assert [rejection.code for rejection in _admitted(text.encode()).rejections] == ["duplicate_key"]


def _outcome(body: bytes) -> object:
    try:
        return _admitted(body)
    except Exception as refused:
        # Places are counted from the body's first byte, which the mark moves.
        return type(refused), getattr(refused, "code", None)
