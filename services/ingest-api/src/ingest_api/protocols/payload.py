"""Bodies as SDKs really send them: JSON whatever the header says, base64 with spaces, gzip nobody announced."""

import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from admission import BodyRefused, inflate
from admission.limits import MAX_EVENTS

_decode = msgspec.json.Decoder().decode
_lines = msgspec.json.Decoder().decode_lines
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_NO_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?")
_GZIP: Final = b"\x1f\x8b\x08"


def read_json(body: bytes) -> Any:
    """The JSON value of a body; several values, one a line, become a list. Raises BodyRefused."""
    if not body.strip():
        raise BodyRefused("malformed", "empty_body", "The request has no body.", "Send the events as JSON.")
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if body.lstrip()[:1] == b"{" and b"\n" in body.strip():
            try:
                return _lines(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                # The first reading says better what is wrong.
                return _refuse(error)
        return _refuse(error)


def read_base64(text: str) -> bytes:
    """The bytes of base64 in either alphabet, padded or not, its plus signs perhaps turned into spaces.

    Undoes gzip within. Raises BodyRefused.
    """
    raw = text.strip().encode().replace(b" ", b"+").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        decoded = binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)
    except binascii.Error as error:
        raise BodyRefused(
            "malformed", "invalid_base64", f"The data is neither JSON nor base64: {error}.", "Send JSON."
        ) from error
    return inflate(decoded, "") if decoded.startswith(_GZIP) else decoded


def objects_in(value: Any) -> Sequence[Any]:
    """The value as a list of events: a list as it is, anything else alone. Raises BodyRefused when too many."""
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_EVENTS:
        raise BodyRefused(
            "too_large",
            "too_many_events",
            f"The request has {len(items):,} events; at most {MAX_EVENTS:,} are taken at once.",
            "Send smaller batches.",
        )
    return items


def text_of(value: object) -> str | None:
    """An id as text: numbers are written out, anything else is none."""
    if type(value) is str:
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def time_of(value: object) -> object:
    """A time as admission reads it: digits are a number also as text, and what names no zone is UTC, as vendors say."""
    if type(value) is not str or value.endswith("Z"):
        return value
    if _NUMBER.fullmatch(value):
        return float(value)
    return f"{value}Z" if _NO_ZONE.fullmatch(value) else value or None


def id_of(value: object) -> object:
    """An id as it was given, for admission to judge; the empty string that some senders write for none is none."""
    return None if value == "" else value


def with_extra(context: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The context with fields that have no other place under `extra`; a missing value is none."""
    unplaced = present(fields)
    if not unplaced:
        return context
    extra = context.get("extra")
    held = extra if isinstance(extra, dict) else present({"extra": extra})
    return {**context, "extra": {**held, **unplaced}}


def object_of(value: object) -> dict[str, Any]:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def _refuse(error: Exception) -> Any:
    raise BodyRefused(
        "malformed", "invalid_json", f"The body is not JSON: {error}.", "Send JSON encoded as UTF-8."
    ) from error
