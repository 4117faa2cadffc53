"""A stream's cursor: a vector of positions with the log id, so that any replica resumes any client.

Text form: base64url without padding of a version byte, the 8-byte log id and one varint (LEB128) per
partition. What a client sends back is hostile until parsed.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

_VERSION = 1
_MAX_CHARS = 512
_MAX_POSITION = (1 << 63) - 1


class InvalidCursor(ValueError):
    """The text is not a cursor of this stream; the sentence says in what way."""


class Cursor(NamedTuple):
    """Positions by part of the topic's life `log_id` (16 hex digits)."""

    log_id: str
    positions: tuple[int, ...]


def format_cursor(log_id: str, positions: Sequence[int]) -> str:
    """The text of a cursor; ASCII, and at most 119 characters for 16 partitions of 2^35 records."""
    raw = bytearray((_VERSION,))
    raw += bytes.fromhex(log_id)
    for position in positions:
        rest = position
        while rest > 0x7F:
            raw.append(rest & 0x7F | 0x80)
            rest >>= 7
        raw.append(rest)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse_cursor(text: str) -> Cursor:
    """The cursor of a text; raises InvalidCursor. Which stream it belongs to is the caller's question."""
    if len(text) > _MAX_CHARS:
        raise InvalidCursor(f"The cursor is longer than {_MAX_CHARS} characters.")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor("The cursor is not base64url.") from error
    if len(raw) < 9 or raw[0] != _VERSION:
        raise InvalidCursor("The cursor is of an unknown version or too short.")
    positions: list[int] = []
    position = shift = 0
    for byte in raw[9:]:
        position |= (byte & 0x7F) << shift
        if position > _MAX_POSITION:
            raise InvalidCursor("A position of the cursor is too large.")
        if byte & 0x80:
            shift += 7
            continue
        positions.append(position)
        position = shift = 0
    if shift:
        raise InvalidCursor("The cursor is cut off.")
    cursor = Cursor(raw[1:9].hex(), tuple(positions))
    if format_cursor(*cursor) != text:
        raise InvalidCursor("The cursor is not written as this server writes it.")
    return cursor
