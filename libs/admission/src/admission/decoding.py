"""JSON to events, quickly where it may be and slowly where a rule may be broken that the decoder does not keep."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from admission.faults import INT_MAX, INT_MIN, explain
from admission.framing import Broken, Piece
from admission.limits import MAX_DEPTH, MAX_EVENT_BYTES, MAX_EVENTS
from admission.refusal import Fault, Refused

_decode = msgspec.json.Decoder().decode
_decode_array = msgspec.json.Decoder(list[dict[str, Any]]).decode
_decode_lines = msgspec.json.Decoder(dict[str, Any]).decode_lines
_KEY = re.compile(rb'"\s*:')
_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")

UNREADABLE = Fault("invalid_json", "The event is not JSON.")


def decode_plainly(body: bytes) -> list[dict[str, Any]] | None:
    """The events of a body, decoded at once; None where one of them is to be looked at alone.

    That is where the body is large, not JSON, holds something else than objects, or may break one of the rules
    that the decoder does not keep.
    """
    if len(body) > MAX_EVENT_BYTES or b"\\u0000" in body:
        return None
    decode = _decode_lines if body.startswith(b"{") else _decode_array
    try:
        events = decode(body)
        if len(events) <= MAX_EVENTS and _keys_in(events, 0) == _key_ends(body):
            return events
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, SuspiciousError):
        return None
    return None


def decode_object(piece: Piece, raw: bytes) -> dict[str, Any]:
    """The decoded event, when its JSON keeps every rule; raises Refused.

    The decoder lets a few things pass (repeated keys, U+0000, integers of any length). What might hold one is
    read again, slowly.
    """
    if len(raw) > MAX_EVENT_BYTES:
        raise Refused(event_too_large(len(raw), "Leave out what nobody will look at, such as page contents."))
    if isinstance(piece, Broken):
        raise Refused(explain(raw) or UNREADABLE)
    try:
        given: object = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused(explain(raw) or UNREADABLE) from None
    if not isinstance(given, dict):
        raise Refused(
            Fault("not_an_object", "The event is not a JSON object.", hint='Send {"user": …, "action": …}.')
        )
    if _is_suspicious(given, raw):
        fault = explain(raw)
        if fault:
            raise Refused(fault)
    return given


def _is_suspicious(given: dict[str, Any], raw: bytes) -> bool:
    if b"\\u0000" in raw:
        return True
    try:
        return keys_of_object(given, 1) != _key_ends(raw)
    except SuspiciousError:
        return True


def _key_ends(raw: bytes) -> int:
    """How many quotes stand before a colon, with or without space between them."""
    if any(space in raw for space in _SPACED_COLONS):
        return len(_KEY.findall(raw))
    return raw.count(b'":')


class SuspiciousError(Exception):
    """The value breaks a rule, or may."""


def keys_of_object(value: Mapping[str, Any], depth: int) -> int:
    """How many keys the object and what is in it have.

    In JSON text a quote before a colon ends each key, and stands elsewhere only inside strings: as many such
    places as keys means that none was repeated.
    """
    return len(value) + _keys_in(value.values(), depth)


def _keys_in(items: Iterable[Any], depth: int) -> int:
    if depth > MAX_DEPTH:
        raise SuspiciousError
    keys = 0
    for item in items:
        kind = type(item)
        if kind is dict:
            keys += keys_of_object(item, depth + 1)
        elif kind is list:
            keys += _keys_in(item, depth + 1)
        elif kind is int and not INT_MIN <= item <= INT_MAX:
            raise SuspiciousError
    return keys


def event_too_large(size_bytes: int, hint: str) -> Fault:
    """The fault of an event of so many bytes."""
    return Fault(
        "event_too_large",
        f"The event has {size_bytes:,} bytes; at most {MAX_EVENT_BYTES:,} are kept.",
        hint=hint,
    )
