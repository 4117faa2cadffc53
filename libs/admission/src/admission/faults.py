"""Says exactly what is wrong with an event's JSON, and where: slow, only for what the fast path suspects."""

import json
import math
import re
from typing import Any

from admission.limits import MAX_DEPTH
from admission.refusal import Fault

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_SHOWN_CHARS = 60
_MAX_INT_DIGITS = 20


class _Repeating(dict[str, Any]):
    """An object in whose text `repeated` stood more than once."""

    repeated: str


def explain(raw: bytes) -> Fault | None:
    """The first fault in the bytes of one event; None when every rule of JSON values is kept."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Fault(
            "invalid_utf8",
            f"Byte {error.start:,} of the event is not UTF-8.",
            hint="Send JSON encoded as UTF-8.",
        )
    deep = _first_too_deep(raw)
    if deep is not None:
        return _too_deep(f"at byte {deep:,} of the event", None)
    try:
        value = _exact.decode(text)
    except json.JSONDecodeError as error:
        at = len(text[: error.pos].encode())
        problem = error.msg[:1].lower() + error.msg[1:]
        return Fault("invalid_json", f"The event is not JSON: {problem} (at byte {at:,} of the event).")
    return inspect(value)


def inspect(value: object, path: str = "", depth: int = 1) -> Fault | None:
    """The first fault in a value made of dicts, lists, strings, numbers, booleans and None."""
    match value:
        case None | bool():
            return None
        case str():
            return _of_text(value, path)
        case int():
            return None if INT_MIN <= value <= INT_MAX else _out_of_range(path)
        case float():
            return None if math.isfinite(value) else _not_finite(value, path)
        case dict():
            return _of_object(value, path, depth)
        case list() | tuple():
            return _of_array(value, path, depth)
        case _:
            return Fault("wrong_type", f"{_at(path)} is no JSON value.", path or None)


def _of_object(value: dict[Any, Any], path: str, depth: int) -> Fault | None:
    if depth > MAX_DEPTH:
        return _too_deep(f"in {path}", path)
    if isinstance(value, _Repeating):
        where = _child(path, value.repeated)
        return Fault(
            "duplicate_key",
            f"{_at(where)} stands more than once, and only one of them could be kept.",
            where,
            "Send every key once.",
        )
    for key, item in value.items():
        if type(key) is not str:
            return Fault("wrong_type", f"{_at(path)} has a key that is not a string.", path or None)
        where = _child(path, key)
        fault = _of_text(key, where) or inspect(item, where, depth + 1)
        if fault:
            return fault
    return None


def _of_array(value: list[Any] | tuple[Any, ...], path: str, depth: int) -> Fault | None:
    if depth > MAX_DEPTH:
        return _too_deep(f"in {path}", path)
    for number, item in enumerate(value):
        fault = inspect(item, f"{path}[{number}]", depth + 1)
        if fault:
            return fault
    return None


def _of_text(text: str, path: str) -> Fault | None:
    if "\0" in text:
        return Fault(
            "nul_character",
            f"{_at(path)} holds the character U+0000, which no database here can store as text.",
            path or None,
            "Remove it before sending.",
        )
    if _SURROGATE.search(text):
        return Fault(
            "lone_surrogate",
            f"{_at(path)} holds half of a surrogate pair (\\ud800 to \\udfff), which is no character.",
            path or None,
            "The text was probably cut inside an emoji: cut between characters.",
        )
    return None


def _not_finite(value: float, path: str) -> Fault:
    name = "NaN" if math.isnan(value) else "Infinity, or a number beyond 1.8e308"
    return Fault(
        "not_finite", f"{_at(path)} is {name}; JSON has no such number.", path or None, "Send null instead."
    )


def _out_of_range(path: str) -> Fault:
    return Fault(
        "number_out_of_range",
        f"{_at(path)} is an integer beyond 64 bits (−2^63 to 2^63−1).",
        path or None,
        "Send it as a string.",
    )


def _too_deep(where: str, path: str | None) -> Fault:
    return Fault(
        "too_deep",
        f"The event is nested deeper than {MAX_DEPTH} levels ({where}).",
        path[:_MAX_SHOWN_CHARS] if path else None,
        "Flatten the properties.",
    )


def _first_too_deep(raw: bytes) -> int | None:
    depth = 0
    for token in _TOKEN.finditer(raw):
        match raw[token.start()]:
            case 0x7B | 0x5B:
                depth += 1
                if depth > MAX_DEPTH:
                    return token.start()
            case 0x7D | 0x5D:
                depth -= 1
    return None


def _child(path: str, key: str) -> str:
    shown = key if len(key) <= _MAX_SHOWN_CHARS else key[: _MAX_SHOWN_CHARS - 1] + "…"
    shown = _SURROGATE.sub("\ufffd", shown).replace("\0", "\ufffd")
    return f"{path}.{shown}" if path else shown


def _at(path: str) -> str:
    return f"`{path}`" if path else "The event"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) == len(pairs):
        return held
    repeating = _Repeating(held)
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            repeating.repeated = key
            break
        seen.add(key)
    return repeating


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else INT_MAX + 1


_exact = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)
