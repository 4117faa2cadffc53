"""One batch of a consumer: which records are new, where it ends, and what is kept of a record that fails."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from eventlog.parts import Identity
from eventlog.port import Message, Record, TopicPart
from eventmodel import RejectedRecord, identity_hash, new_event_id
from eventmodel.wire import MalformedRecord, body_fields, encode, split_key

_KEPT_BODY_BYTES = 256 * 1024


class _Envelope(msgspec.Struct):
    id: str
    origin: str = "live"


_envelopes = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to apply in one transaction, in the order of each partition.

    `records` are new; `duplicates` were counted before, or set aside as poison: they change no state, but a
    reader that shows what was applied must not show them. With `set_aside` they are one record that was set aside
    just now.
    """

    records: Sequence[Record]
    duplicates: Sequence[Record]
    set_aside: bool = False


def first_of_each(records: Sequence[Record]) -> tuple[list[Record], list[Record], list[Identity]]:
    """Split a batch into the first record of each identity (with the identities) and the repeats after it.

    Raises MalformedRecord.
    """
    first: list[Record] = []
    repeats: list[Record] = []
    identities: list[Identity] = []
    met: set[bytes] = set()
    for record in records:
        try:
            envelope = _envelopes.decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRecord(f"The record is not JSON with an id: {error}") from error
        digest = identity_hash(record.key, envelope.id)
        if digest in met:
            repeats.append(record)
            continue
        met.add(digest)
        first.append(record)
        identities.append(Identity(record.part, digest, record.recorded_at, envelope.origin != "live"))
    return first, repeats, identities


def next_positions(records: Iterable[Record]) -> dict[TopicPart, int]:
    """Where to read on after these records."""
    return {TopicPart(record.topic, record.part): record.offset + 1 for record in records}


def newest(records: Iterable[Record]) -> dict[int, datetime]:
    """By part, the newest `recorded_at` of these records."""
    clocks: dict[int, datetime] = {}
    for record in records:
        clocks[record.part] = max(clocks.get(record.part, record.recorded_at), record.recorded_at)
    return clocks


def set_aside(group: str, record: Record, error: Exception) -> Message:
    """What `footfall.rejected` keeps of a record that `group` cannot apply."""
    try:
        project = split_key(record.key)[0]
    except MalformedRecord:
        project = split_key(b"unknown:")[0]
    kept = RejectedRecord(
        id=new_event_id(),
        project=project,
        received_at=record.recorded_at,
        source="consumer",
        code="poison_record",
        message=f"Consumer group {group} could not apply the record: {type(error).__name__}.",
        place={"topic": record.topic, "part": record.part, "offset": record.offset},
        hint="The record is intact in the log; the service's log tells the cause.",
        **body_fields(record.value, _KEPT_BODY_BYTES),
    )
    return Message(record.key, encode(kept))
