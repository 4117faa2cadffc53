"""Reads the times senders give, and says when something happened by our clock."""

import re
from contextlib import suppress
from datetime import UTC, datetime

from admission.limits import MAX_AHEAD, MAX_SKEW, MIN_SKEW
from admission.refusal import Fault, Refused
from eventmodel.event import Mark

_LEAP_SECOND = re.compile(r"(?<=[0-9]:[0-5][0-9]:)60")
_EXAMPLE = "2026-11-22T09:30:00Z"
_MIN_EPOCH_S = 100_000_000
_MIN_EPOCH_MS = 100_000_000_000
_MAX_EPOCH_MS = 100_000_000_000_000


def read_time(value: object, field: str) -> datetime:
    """The instant, in UTC. Raises Refused.

    ISO 8601 with its zone (RFC 3339 is part of it); digits beyond microseconds are cut off. A number is Unix
    seconds from 1973 up to year 5138, milliseconds from there on, so none can be read both ways.
    """
    if isinstance(value, str):
        return _from_text(value, field)
    if isinstance(value, datetime):
        return _in_utc(value, field)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value, field)
    raise _unreadable(field, "is not a time")


def happened(
    time: datetime | None, sent_at: datetime | None, received_at: datetime, *, sent_to_us: bool
) -> tuple[datetime, list[Mark]]:
    """When it happened by our clock, and what was changed for that.

    A sender whose clock is wrong shows it in `sent_at`: what lies between that and our receipt is added. Not
    when it is short, when it is so long that the body must be an old one, or when `time` was not taken from
    the same clock before sending. `sent_to_us` says that `received_at` is when the sender's body came in: an
    import's file was written for somebody else.
    """
    if time is None:
        return received_at, []
    marks: list[Mark] = []
    if sent_at is not None and sent_to_us and time <= sent_at + MIN_SKEW:
        skew = received_at - sent_at
        if MIN_SKEW <= abs(skew) <= MAX_SKEW:
            try:
                time += skew
                marks = ["skew_corrected"]
            except OverflowError:
                # At the ends of the calendar there is nowhere to move to.
                marks = []
    if time > received_at and time - received_at > MAX_AHEAD:
        return received_at, [*marks, "clamped"]
    return time, marks


def _from_text(value: str, field: str) -> datetime:
    # Most times are written plainly; only what is not is looked at a second time.
    with suppress(ValueError):
        return _in_utc(datetime.fromisoformat(value), field)
    try:
        return _in_utc(datetime.fromisoformat(_LEAP_SECOND.sub("59", value.strip().upper())), field)
    except ValueError as error:
        raise _unreadable(field, f"{value[:40]!r} is not a time") from error


def _in_utc(moment: datetime, field: str) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise _unreadable(field, f"{moment.isoformat()} has no zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise _unreadable(field, f"{moment.isoformat()} lies outside the years 1 to 9999") from error


def _from_epoch(value: float, field: str) -> datetime:
    if _MIN_EPOCH_S <= value < _MIN_EPOCH_MS:
        return datetime.fromtimestamp(value, UTC)
    if _MIN_EPOCH_MS <= value < _MAX_EPOCH_MS:
        return datetime.fromtimestamp(value / 1000, UTC)
    raise _unreadable(field, f"{value!r} is neither Unix seconds nor milliseconds")


def _unreadable(field: str, problem: str) -> Refused:
    return Refused(
        Fault("invalid_time", f"`{field}` {problem}.", field, f"Send it as {_EXAMPLE}, with Z or an offset.")
    )
