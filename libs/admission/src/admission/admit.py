"""A body to records of the log, or to rejections by index."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from admission.admitted import Admitted, Kept, Wire, rejection_of
from admission.body import too_large
from admission.decoding import (
    UNREADABLE,
    SuspiciousError,
    decode_object,
    decode_plainly,
    event_too_large,
    keys_of_object,
)
from admission.events import Receipt, read_event
from admission.faults import inspect
from admission.framing import Broken, split
from admission.limits import MAX_BODY_BYTES, MAX_EVENT_BYTES, PAST_AFTER
from admission.ordinary import admit_ordinary
from admission.refusal import Fault, Refused
from admission.senders import named_in
from eventmodel import Event, Origin, ProjectId, Rejection, Sender
from eventmodel.topics import MAX_RECORD_BYTES
from eventmodel.wire import encode, event_key
from policy import OPEN, Client, Policy, Verdict

_encode = msgspec.json.Encoder().encode
# What departs from a plan of these modes is stored all the same.
_STORED = frozenset({"observe", "warn"})


def admit(
    body: bytes,
    *,
    project: ProjectId,
    received_at: datetime,
    origin: Origin = "live",
    run: str | None = None,
    idempotency_key: str | None = None,
    sender: Sender | None = None,
    client: Client | None = None,
    policy: Policy = OPEN,
) -> Admitted:
    """The records and rejections of a decoded body: one object, an array, or NDJSON.

    Records are stamped with `sender`, and with the SDK that the event itself names; `client` is the browser that
    sent them.
    Raises BodyRefused when the body's events cannot be told apart or are too many.
    """
    if len(body) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)
    privacy, measure = policy
    if (
        measure is None
        and not privacy.active
        and client is None
        and origin == "live"
        and run is None
        and idempotency_key is None
    ):
        # An ordinary event becomes its record whatever it says.
        records = admit_ordinary(body, project=project, received_at=received_at, sender=sender)
        if records is not None:
            return Admitted(messages=records, senders=[sender] * len(records))
    receipt = Receipt(project, received_at, origin, run, idempotency_key, sender, client, policy)
    return _admitted(body, receipt)


def _admitted(body: bytes, receipt: Receipt) -> Admitted:
    admitted = Admitted()
    messages, senders = admitted.messages, admitted.senders
    plain = decode_plainly(body)
    pieces = split(body) if plain is None else None

    def raw(index: int) -> bytes:
        nonlocal pieces
        if pieces is None:
            pieces = split(body)
        piece = pieces[index]
        return piece.raw if isinstance(piece, Broken) else bytes(piece)

    for index, piece in enumerate(plain or pieces or ()):
        try:
            given = piece if isinstance(piece, dict) else decode_object(piece, raw(index))
            wire, event, verdict = _record(given, index, receipt)
        except Refused as refused:
            kept = _kept_body(raw(index), receipt)
            admitted.refuse(index, refused.fault, kept, _named(kept, receipt.sender))
        else:
            if verdict is None:
                messages.append(wire)
                senders.append(event.sender)
            else:
                kept = None if verdict.mode in _STORED else _kept_body(raw(index), receipt)
                admitted.judge(index, wire, event.sender, verdict, kept)
    return admitted


def admit_event(
    given: Mapping[str, Any],
    *,
    project: ProjectId,
    received_at: datetime,
    origin: Origin,
    run: str | None = None,
    index: int = 0,
    policy: Policy = OPEN,
) -> Wire | Rejection:
    """The record of one event that is already decoded, under the same rules; for the importer.

    `time` and `sent_at` may also be aware datetimes. `index` is what a rejection answers. What the plan sets aside
    is rejected.
    """
    receipt = Receipt(project, received_at, origin, run, policy=policy)
    try:
        fault = inspect({name: value for name, value in given.items() if not isinstance(value, datetime)})
        if fault:
            raise Refused(fault)
        wire, _, verdict = _record(given, index, receipt)
    except Refused as refused:
        return rejection_of(index, refused.fault)
    if verdict is None or verdict.mode in _STORED:
        return wire
    return rejection_of(index, Fault(*verdict[1:]))


def admit_items(
    items: Iterable[tuple[int, Mapping[str, Any] | Fault, Any]],
    *,
    project: ProjectId,
    received_at: datetime,
    import_run: str | None = None,
    sender: Sender | None = None,
    client: Client | None = None,
    policy: Policy = OPEN,
) -> Admitted:
    """As `admit`, for events another protocol's decoder made: index, native fields (or the fault), source.

    `source`, bytes or a JSON value, is what is kept of a rejected one. With `import_run` what happened more than
    PAST_AFTER ago is that run's, and goes to `past`; the rest is live.
    """
    receipt = Receipt(
        project, received_at, import_run=import_run, sender=sender, client=client, policy=policy
    )
    admitted = Admitted()
    for index, given, source in items:
        try:
            wire, event, verdict = _sound_record(given, index, receipt)
        except Refused as refused:
            kept = _kept_source(source, given, receipt)
            admitted.refuse(index, refused.fault, kept, _named(kept, sender))
        else:
            past = event.run is not None
            if verdict is None:
                admitted.take(wire, event.sender, past=past)
            else:
                kept = None if verdict.mode in _STORED else _kept_source(source, given, receipt)
                admitted.judge(index, wire, event.sender, verdict, kept, past=past)
    return admitted


def _kept_body(body: bytes, receipt: Receipt) -> Kept | None:
    kept = receipt.policy.privacy.of_body(body, receipt.client)
    return None if kept is None else Kept(kept)


def _kept_source(source: Any, given: Mapping[str, Any] | Fault, receipt: Receipt) -> Kept | None:
    privacy, body = receipt.policy.privacy, source if isinstance(source, bytes) else _encode(source)
    if isinstance(given, Fault):
        kept = privacy.of_unknown(body, receipt.client)
        return None if kept is None else Kept(kept)
    native = privacy.of_native(given, receipt.client)
    return None if native is None else Kept(privacy.of_source(body), _written(native))


def _named(kept: Kept | None, sender: Sender | None) -> Sender | None:
    """Who sent an event that was refused, as far as what is kept of it tells."""
    return sender if kept is None or sender is None else named_in(kept.event or kept.body, sender)


def _written(given: Mapping[str, Any]) -> bytes | None:
    try:
        return _encode(given)
    except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        # What cannot be written down is what it was refused for.
        return None


def _sound_record(
    given: Mapping[str, Any] | Fault, index: int, receipt: Receipt
) -> tuple[Wire, Event, Verdict | None]:
    if isinstance(given, Fault):
        raise Refused(given)
    try:
        keys_of_object(given, 1)
        (key, value), event, verdict = _record(given, index, receipt)
    except (SuspiciousError, UnicodeEncodeError):
        raise Refused(inspect(given) or UNREADABLE) from None
    # What came out of a JSON decoder breaks no other rule; to look at every value costs more than all the rest.
    if b"\\u0000" in value and (fault := inspect(given)):
        raise Refused(fault)
    if len(value) > MAX_EVENT_BYTES:
        raise Refused(
            event_too_large(len(value), "Leave out what nobody will look at, such as page contents.")
        )
    return (key, value), event, verdict


def _record(given: Mapping[str, Any], index: int, receipt: Receipt) -> tuple[Wire, Event, Verdict | None]:
    event: Event = read_event(given, index, receipt)
    if receipt.import_run is not None and event.occurred_at < receipt.received_at - PAST_AFTER:
        event = msgspec.structs.replace(event, origin="import", run=receipt.import_run)
    privacy, measure = receipt.policy
    client = receipt.client
    if privacy.active or client is not None or event.context:
        if not privacy.consents(event.context, client):
            raise Refused(_NO_CONSENT)
        event = privacy.applied(event, client)
    verdict = None if measure is None else measure.judge(event)
    key, value = event_key(event), encode(event)
    if len(key) + len(value) > MAX_RECORD_BYTES:
        raise Refused(event_too_large(len(value), "Its numbers take more room when written out."))
    return (key, value), event, verdict


_NO_CONSENT = Fault(
    "no_consent",
    "Nobody consented to this event, and the project keeps none without. Nothing of it is kept.",
    "context.consent",
    "Send context.consent once it is given: true, or the categories that were granted.",
)
