"""Ordinary events in one pass, where the compiled reader is installed: docs/decisions/0023."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from admission.limits import (
    MAX_ACTION_CHARS,
    MAX_AHEAD,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    MAX_ID_CHARS,
    MAX_SKEW,
    MIN_SKEW,
)
from admission.placeholders import PLACEHOLDERS
from eventmodel import DEFAULT_ACTIONS, ProjectId, Sender

try:
    from ordinary.reader import Reader
except ImportError:
    # It was installed without a C compiler.
    Reader = None  # type: ignore[assignment, misc]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_encode = msgspec.json.Encoder().encode
_reader = (
    None
    if Reader is None
    else Reader(
        max_events=MAX_EVENTS,
        max_event_bytes=MAX_EVENT_BYTES,
        max_depth=MAX_DEPTH,
        max_id_chars=MAX_ID_CHARS,
        max_action_chars=MAX_ACTION_CHARS,
        placeholders=PLACEHOLDERS,
        default_actions=DEFAULT_ACTIONS,
        max_ahead_us=MAX_AHEAD // _MICROSECOND,
        min_skew_us=MIN_SKEW // _MICROSECOND,
        max_skew_us=MAX_SKEW // _MICROSECOND,
    )
)


def admit_ordinary(
    body: bytes, *, project: ProjectId, received_at: datetime, sender: Sender | None = None
) -> list[tuple[bytes, bytes]] | None:
    """The records of a live body's events, as `admit` writes them under no policy; None where it must look itself.

    That is always so where no compiled reader is installed. Numbers with a fraction keep the text they were sent in.
    """
    written = _project(project)
    if _reader is None or written is None:
        return None
    return _reader.read(
        body,
        project=written,
        received_at=_encode(received_at),
        received_us=(received_at - _EPOCH) // _MICROSECOND,
        sender=_written(sender),
    )


@lru_cache(maxsize=4_096)
def _project(project: ProjectId) -> bytes | None:
    return project.encode() if project.isalnum() and project.isascii() else None


@lru_cache(maxsize=4_096)
def _written(sender: Sender | None) -> bytes:
    return b"" if sender is None else _encode(sender)
