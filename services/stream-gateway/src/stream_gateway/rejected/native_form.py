"""A rejection's event as the native API would take it, and where it goes when it is replayed."""

import base64
from typing import Any, Final, NamedTuple

import msgspec

from admission.refusal import Fault, Refused
from eventmodel import Event, Origin, RejectedRecord, topics
from eventmodel.wire import MalformedRecord, decode

# Where bodies come in that are in the native form already.
_NATIVE_PATHS: Final = ("/v1/events", "/v1/events/", "/t.gif")
_HINT: Final = "Give the whole event in the native form, as `event`."
# The canonical event's names for what senders call otherwise; `sent_at` has done its work in `occurred_at`.
_SENT_AS: Final = {
    "id": "id",
    "type": "type",
    "action": "action",
    "occurred_at": "time",
    "user": "user",
    "anonymous_id": "anonymous_id",
    "previous_id": "previous_id",
    "account": "account",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
}


class Destination(NamedTuple):
    """The topic a replayed event goes to, and as what. `run` is None for the replay's own."""

    topic: str
    origin: Origin
    run: str | None


def destination_of(record: RejectedRecord) -> Destination:
    """Events of an import go on with it, as the past; all others become replays of what was live."""
    if record.source == "import":
        return Destination(topics.BACKFILL, "import", record.run)
    if record.source == "consumer" and record.place.get("topic") == topics.BACKFILL:
        return Destination(topics.BACKFILL, "import", None)
    return Destination(topics.EVENTS, "replay", None)


def native_form(record: RejectedRecord) -> bytes:
    """The event in the native API's form, for admission to judge; raises Refused where none is known."""
    if record.event is not None:
        return record.event.encode()
    if record.body_truncated:
        raise Refused(
            Fault(
                "body_truncated",
                f"Only the first {len(kept_bytes(record)):,} bytes were kept, so it cannot be replayed as it was.",
                hint=f"Have its sender send it again. {_HINT}",
            )
        )
    match record.source:
        case "ingest":
            path = str(record.place.get("path", ""))
            if path in _NATIVE_PATHS:
                return kept_bytes(record)
            raise _foreign(f"The body is in the form of {path or 'another API'}, not in the native one.")
        case "import":
            line = kept_bytes(record)
            if line.lstrip().startswith(b"{"):
                return line
            raise _foreign("The line is no event in JSON.")
        case "consumer":
            return _of_log(record)


def kept_bytes(record: RejectedRecord) -> bytes:
    """The sender's bytes, as far as they were kept."""
    return base64.b64decode(record.body) if record.body_encoding == "base64" else record.body.encode()


def _of_log(record: RejectedRecord) -> bytes:
    if record.place.get("topic") not in (topics.EVENTS, topics.BACKFILL):
        raise _foreign("The record is no event.")
    try:
        event: Event = decode(kept_bytes(record))
    except MalformedRecord as error:
        raise _foreign("The record cannot be read as an event.") from error
    held: dict[str, Any] = msgspec.to_builtins(event)
    return msgspec.json.encode({sent: held[name] for name, sent in _SENT_AS.items() if name in held})


def _foreign(message: str) -> Refused:
    return Refused(Fault("foreign_form", message, hint=_HINT))
