"""One call to the bytes of one event, in the words of the native API."""

import json
import uuid
from datetime import date, datetime, timezone
from typing import Any, Final, Literal

Kind = Literal["track", "identify", "group", "page", "screen", "alias"]

MAX_EVENT_BYTES: Final = 512 * 1024
"""Footfall refuses larger ones."""


def new_event(kind: Kind, *, time: datetime | None, id: str | None, **fields: Any) -> tuple[str, bytes]:
    """The event's id and its JSON, which later changes of the caller's objects do not reach.

    Without `id` it gets a random one, without `time` the present. Fields that are None are left out. Raises
    ValueError for what can be no event.
    """
    event_id = str(uuid.uuid4()) if id is None else id
    given = {name: value for name, value in fields.items() if value is not None}
    event = {"type": kind, "id": event_id, "time": _utc(time), **given}
    try:
        text = json.dumps(
            event, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The event cannot be written as JSON: {error}.") from error
    if len(text) > MAX_EVENT_BYTES:
        raise ValueError(f"The event has {len(text):,} bytes; Footfall takes at most {MAX_EVENT_BYTES:,}.")
    return event_id, text


def body_of(events: list[bytes], sent_at: datetime) -> bytes:
    """The events as the body of one request, stamped with our clock, by which Footfall corrects their times."""
    stamp = b',"sent_at":"' + _text(sent_at).encode() + b'"}'
    return b"[" + b",".join(event[:-1] + stamp for event in events) + b"]"


def _utc(time: datetime | None) -> str:
    if time is None:
        return _text(datetime.now(timezone.utc))
    if time.tzinfo is None:
        raise ValueError("`time` has no time zone. Give it one: datetime.now(timezone.utc).")
    return _text(time)


def _text(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> object:
    """What JSON has no form for: times as ISO 8601, sets as arrays, anything else as its text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return list(value)
    return str(value)
