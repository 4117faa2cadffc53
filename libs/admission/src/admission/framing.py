"""Finds the events of a body: one object, an array, or objects one after another (NDJSON).

The first byte decides, never the Content-Type, which browsers' beacons set to text/plain. Whatever the body
holds, splitting it costs time in proportion to its length and never more memory than some copies of it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

import msgspec

from admission.limits import MAX_EVENT_BYTES, MAX_EVENTS
from admission.refusal import BodyRefused

# Splitting at once makes an object per element, and `[1,1,1,…]` has one every two bytes.
_AT_ONCE_BYTES = 1024 * 1024
_NEAR_BYTES = 4 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_VALUE = re.compile(rb"[^ \t\r\n]")

_one = msgspec.json.Decoder(msgspec.Raw)
_array = msgspec.json.Decoder(list[msgspec.Raw])
# Accepts NaN, lone surrogates and raw control characters, so that an event holding them falls alone.
_lenient = json.JSONDecoder(strict=False)


class Broken(NamedTuple):
    """Bytes that stand where an event should and are not JSON."""

    raw: bytes


Piece: TypeAlias = bytes | msgspec.Raw | Broken


def split(body: bytes) -> list[Piece]:
    """The body's events in order, still as bytes; at most MAX_EVENTS. Raises BodyRefused."""
    start = _first(body, len(_BYTE_ORDER_MARK) if body.startswith(_BYTE_ORDER_MARK) else 0)
    opening = body[start : start + 1]
    if opening == b"[":
        return _bounded(_array_at_once(body, start) or _elements(body, start + 1))
    if opening == b"{":
        return _bounded(_lines_at_once(body, start) or _values(body, start))
    if not opening:
        raise BodyRefused("malformed", "empty_body", "The body is empty.", "Send one event as a JSON object.")
    raise BodyRefused(
        "malformed",
        "invalid_json",
        f"The body begins with {_shown(opening)}; it must begin with {{ or [ (at byte {start:,}).",
        "Send one JSON object, an array of objects, or one object per line.",
    )


def _array_at_once(body: bytes, start: int) -> list[msgspec.Raw] | None:
    """None when the array must be taken apart element by element, also to say what is wrong with it."""
    if len(body) > _AT_ONCE_BYTES:
        return None
    try:
        return _array.decode(memoryview(body)[start:])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _lines_at_once(body: bytes, start: int) -> list[msgspec.Raw] | None:
    """None when the values must be taken one by one."""
    if len(body) > _AT_ONCE_BYTES:
        return None
    try:
        return _one.decode_lines(memoryview(body)[start:])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _bounded(pieces: Iterable[Piece]) -> list[Piece]:
    taken = list(islice(pieces, MAX_EVENTS + 1))
    if len(taken) > MAX_EVENTS:
        raise BodyRefused(
            "too_large",
            "too_many_events",
            f"The body holds more than {MAX_EVENTS:,} events.",
            "Split it into several requests.",
        )
    return taken


def _elements(body: bytes, at: int) -> Iterator[Piece]:
    """The elements of the array whose first may begin at `at`. Raises BodyRefused where the framing breaks."""
    at = _first(body, at)
    if body[at : at + 1] == b"]":
        _check_end(body, at + 1)
        return
    while True:
        end = _value_end(body, at)
        if end is None:
            end = _lenient_end(body, at)
            yield Broken(body[at:end])
        else:
            yield body[at:end].rstrip(_SPACE)
        at = _first(body, end)
        match body[at : at + 1]:
            case b",":
                at = _first(body, at + 1)
            case b"]":
                _check_end(body, at + 1)
                return
            case b"":
                raise _unreadable(at, "the array is not closed; the body may be cut short")
            case other:
                raise _unreadable(at, f"expected a comma or ], found {_shown(other)}")


def _check_end(body: bytes, at: int) -> None:
    rest = _first(body, at)
    if rest < len(body):
        raise _unreadable(rest, "there is something after the array's end")


def _values(body: bytes, at: int) -> Iterator[Piece]:
    """Values that follow one another. Where one is no JSON at all, the next begins with a line's `{`."""
    while at < len(body):
        end = _value_end(body, at)
        if end is not None:
            yield body[at:end].rstrip(_SPACE)
            at = _first(body, end)
            continue
        try:
            end = _lenient_end(body, at)
        except BodyRefused:
            break
        yield Broken(body[at:end])
        at = _first(body, end)
    # From here each line is read alone, lest every line be searched to the end of the body.
    while at < len(body):
        newline = body.find(b"\n{", at)
        end = newline + 1 if newline >= 0 else len(body)
        yield from _line(body[at:end].rstrip(_SPACE))
        at = end


def _line(line: bytes) -> Iterator[Piece]:
    at = 0
    while at < len(line):
        end = _value_end(line, at)
        if end is None:
            yield Broken(line[at:])
            return
        yield line[at:end].rstrip(_SPACE)
        at = _first(line, end)


def _value_end(body: bytes, at: int) -> int | None:
    """Where the value that begins at `at` ends (space after it may be counted in); None when it is no JSON."""
    try:
        _one.decode(memoryview(body)[at:])
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        return at + int(trailing[1]) - 1 if trailing else None
    except RecursionError:
        return None
    return len(body)


def _lenient_end(body: bytes, at: int) -> int:
    """Where a value ends that only a lenient reader takes. Raises BodyRefused."""
    for window_bytes in (_NEAR_BYTES, MAX_EVENT_BYTES):
        # As Latin-1 every byte is one character, so positions are bytes.
        text = body[at : at + window_bytes].decode("latin-1")
        try:
            return at + _lenient.raw_decode(text)[1]
        except json.JSONDecodeError as error:
            where, problem = at + error.pos, error.msg[:1].lower() + error.msg[1:]
        except RecursionError:
            raise _too_deep(at) from None
        except ValueError:
            where, problem = at, "a number has too many digits"
        if at + window_bytes >= len(body):
            raise _unreadable(where, problem)
    raise _unreadable(at, f"an event is broken or longer than {MAX_EVENT_BYTES:,} bytes")


def _too_deep(at: int) -> BodyRefused:
    return BodyRefused(
        "malformed", "too_deep", f"The value at byte {at:,} of the body is nested too deeply to be read."
    )


def _unreadable(at: int, problem: str) -> BodyRefused:
    return BodyRefused("malformed", "invalid_json", f"The body is not JSON: {problem} (at byte {at:,}).")


def _first(body: bytes, at: int) -> int:
    """The first byte from `at` on that is no space; the length when there is none."""
    found = _VALUE.search(body, at)
    return found.start() if found else len(body)


def _shown(byte: bytes) -> str:
    return repr(byte.decode("latin-1")) if byte.isascii() and byte > b" " else f"byte 0x{byte[0]:02x}"
