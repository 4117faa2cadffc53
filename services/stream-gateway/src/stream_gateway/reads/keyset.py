"""The keyset of a page: after which row the next page begins, as an opaque text."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import NamedTuple

from lifecycle.errors import Problem


class Before(NamedTuple):
    """Rows older than this: the time, and within it the row's sequence number."""

    occurred_at: datetime
    seq: int


class After(NamedTuple):
    """Rows behind this: a value of what the list is sorted by, and within it the name."""

    value: str | int | datetime
    name: str


_LARGEST_INT = (1 << 63) - 1


def format_before(before: Before) -> str:
    """The text of a keyset of times."""
    return _pack([before.occurred_at.isoformat(), before.seq])


def parse_before(text: str) -> Before:
    """The keyset of a text: what a page's `next` said, or a time; raises Problem."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is not None:
        return Before(_utc(at, "before"), -1)
    match _unpack(text, "before"):
        case [str(time), int(seq)] if 0 <= seq <= _LARGEST_INT:
            try:
                return Before(_utc(datetime.fromisoformat(time), "before"), seq)
            except ValueError as error:
                raise _invalid("before") from error
    raise _invalid("before")


def format_after(sort: str, value: str | int | datetime, name: str) -> str:
    """The text of a keyset of a list sorted by `sort`: the last row's value of it, and its name."""
    return _pack([sort, value.isoformat() if isinstance(value, datetime) else value, name])


def parse_after(text: str, sort: str, kind: type[str] | type[int] | type[datetime]) -> After:
    """The keyset of a text: what a page's `next` said of a list sorted alike; raises Problem."""
    match _unpack(text, "after"):
        case [str(by), str() | int() as value, str(name)] if by == sort and _is_text(name):
            if kind is str and isinstance(value, str) and _is_text(value):
                return After(value, name)
            if kind is int and type(value) is int and 0 <= value <= _LARGEST_INT:
                return After(value, name)
            if kind is datetime and isinstance(value, str):
                try:
                    return After(_utc(datetime.fromisoformat(value), "after"), name)
                except ValueError as error:
                    raise _invalid("after") from error
    raise _invalid("after")


def _is_text(name: str) -> bool:
    return "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _utc(at: datetime, field: str) -> datetime:
    """The same moment in UTC; no zone, or a year that UTC has not, makes it no place to go on from."""
    if at.tzinfo is None:
        raise _invalid(field)
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise _invalid(field) from error


def _pack(values: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def _unpack(text: str, field: str) -> object:
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacked: object = json.loads(packed)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _invalid(field) from error
    return unpacked


def _invalid(field: str) -> Problem:
    hint = "Pass on what `next` of the page before said" + (
        ", or a time such as 2026-11-22T09:30:00Z." if field == "before" else "."
    )
    return Problem(400, "invalid_keyset", f"{field}= is not a place to go on from.", field=field, hint=hint)
