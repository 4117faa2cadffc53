"""How rejected events look to readers."""

from typing import Any

import msgspec

from admission.refusal import Refused
from eventmodel import RejectedRecord, Rejection
from stream_gateway.rejected.fixes import probable_fix
from stream_gateway.rejected.native_form import native_form
from stream_gateway.rejected.reads import CodeCount, Kept


def listed(kept: Kept) -> dict[str, Any]:
    """A rejection in a list: all but the bytes. `fix` is what would probably mend it."""
    record = kept.record
    return {
        "id": record.id,
        "received_at": record.received_at,
        "source": record.source,
        "code": record.code,
        "message": record.message,
        "field": record.field,
        "hint": record.hint,
        "place": record.place,
        "sender": record.sender,
        "run": record.run,
        "quarantined": record.quarantined,
        "state": kept.state,
        "fix": probable_fix(record),
    }


def whole(kept: Kept) -> dict[str, Any]:
    """A rejection with what was kept of it, how it could be replayed, and what became of it.

    `event` is what a replay would hand in, as text; null, and `obstacle` says why, where there is none.
    """
    record = kept.record
    event, obstacle = _replayable(record)
    return listed(kept) | {
        "body": record.body,
        "body_encoding": record.body_encoding,
        "body_truncated": record.body_truncated,
        "event": event,
        "obstacle": obstacle,
        "outcome": None
        if kept.state == "open"
        else {"at": kept.at, "by": kept.by, "run": kept.run, "events": kept.events},
    }


def counted(count: CodeCount) -> dict[str, Any]:
    """A reason and how often it came; `open` and `kept` are of those that can still be looked at."""
    example = count.example
    return {
        "code": count.code,
        "last_24_h": count.last_24_h,
        "last_7_d": count.last_7_d,
        "last_seen": count.last_seen,
        "open": count.open,
        "kept": count.kept,
        "example": None
        if example is None
        else {
            "id": example.id,
            "message": example.message,
            "field": example.field,
            "hint": example.hint,
            "fix": probable_fix(example),
        },
    }


def told(rejection: Rejection) -> dict[str, Any]:
    """A verdict without its index, as errors are written everywhere."""
    said: dict[str, Any] = msgspec.to_builtins(rejection)
    return {name: value for name, value in said.items() if name != "index"}


def _replayable(record: RejectedRecord) -> tuple[str | None, dict[str, Any] | None]:
    try:
        return native_form(record).decode(errors="replace"), None
    except Refused as refused:
        fault = refused.fault
        return None, {"code": fault.code, "message": fault.message, "hint": fault.hint}
