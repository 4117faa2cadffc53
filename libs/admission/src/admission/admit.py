"""A body to records of the log, or to rejections by index."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec

from admission.body import too_large
from admission.events import Receipt, read_event
from admission.faults import INT_MAX, INT_MIN, explain, inspect
from admission.framing import Broken, Piece, split
from admission.limits import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    MAX_QUARANTINED_BYTES,
    PAST_AFTER,
)
from admission.ordinary import admit_ordinary
from admission.refusal import Fault, Refused
from admission.senders import named_in
from eventmodel import Event, Origin, ProjectId, Rejection, Sender
from eventmodel.topics import MAX_RECORD_BYTES
from eventmodel.wire import encode, event_key
from policy import OPEN, Client, Mode, Policy, Verdict

Wire: TypeAlias = tuple[bytes, bytes]
"""(key, value) of one record."""

_decode = msgspec.json.Decoder().decode
_decode_array = msgspec.json.Decoder(list[dict[str, Any]]).decode
_decode_lines = msgspec.json.Decoder(dict[str, Any]).decode_lines
_encode = msgspec.json.Encoder().encode
# What departs from a plan of these modes is stored all the same.
_STORED = frozenset({"observe", "warn"})
_KEY = re.compile(rb'"\s*:')
_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")


class Kept(NamedTuple):
    """What may be kept of an event that is not stored: the sender's bytes, and its native form if they are another."""

    body: bytes
    event: bytes | None = None


class Admitted(msgspec.Struct, kw_only=True):
    """What became of a body's events, each list in the order of the body.

    `senders` goes with `messages`. `past` are the old events of a vendor's import, and `past_senders` goes with them.
    `rejected_bodies` and `rejected_senders` go with `rejections`, a body being None
    where nothing may be kept; `quarantined_bodies` and `quarantined_senders` with `quarantined`. Warned of is what
    is stored all the same. `violations` are all departures from the plan: mode and code.
    """

    messages: list[Wire] = []
    senders: list[Sender | None] = []
    past: list[Wire] = []
    past_senders: list[Sender | None] = []
    rejections: list[Rejection] = []
    rejected_bodies: list[Kept | None] = []
    rejected_senders: list[Sender | None] = []
    quarantined: list[Rejection] = []
    quarantined_bodies: list[Kept] = []
    quarantined_senders: list[Sender | None] = []
    warnings: list[Rejection] = []
    violations: list[tuple[Mode, str]] = []

    @property
    def taken(self) -> int:
        """How many events their sender need not care for any more."""
        return len(self.messages) + len(self.past) + len(self.quarantined)

    def take(self, wire: Wire, sender: Sender | None, *, past: bool = False) -> None:
        """Add an event."""
        if past:
            self.past.append(wire)
            self.past_senders.append(sender)
        else:
            self.messages.append(wire)
            self.senders.append(sender)

    def refuse(self, index: int, fault: Fault, kept: Kept | None, sender: Sender | None) -> None:
        """Add a rejection."""
        self.rejections.append(_rejection(index, fault))
        self.rejected_bodies.append(kept)
        self.rejected_senders.append(sender)

    def judge(
        self,
        index: int,
        wire: Wire,
        sender: Sender | None,
        verdict: Verdict,
        kept: Kept | None,
        *,
        past: bool = False,
    ) -> None:
        """Add an event that departs from the plan, as the plan's mode says."""
        mode, fault = verdict.mode, Fault(*verdict[1:])
        if mode == "quarantine" and (kept is None or len(kept.event or kept.body) > MAX_QUARANTINED_BYTES):
            mode = "block"
        self.violations.append((mode, verdict.code))
        match mode:
            case "observe":
                self.take(wire, sender, past=past)
            case "warn":
                self.take(wire, sender, past=past)
                self.warnings.append(_rejection(index, fault))
            case "quarantine":
                assert kept is not None
                self.quarantined.append(_rejection(index, fault))
                self.quarantined_bodies.append(kept)
                self.quarantined_senders.append(sender)
            case "block":
                self.refuse(index, fault, kept, sender)


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
    plain = _plain(body)
    pieces = split(body) if plain is None else None

    def raw(index: int) -> bytes:
        nonlocal pieces
        if pieces is None:
            pieces = split(body)
        piece = pieces[index]
        return piece.raw if isinstance(piece, Broken) else bytes(piece)

    for index, piece in enumerate(plain or pieces or ()):
        try:
            given = piece if isinstance(piece, dict) else _object(piece, raw(index))
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
        return _rejection(index, refused.fault)
    if verdict is None or verdict.mode in _STORED:
        return wire
    return _rejection(index, Fault(*verdict[1:]))


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
        _keys_of_object(given, 1)
        (key, value), event, verdict = _record(given, index, receipt)
    except (_SuspiciousError, UnicodeEncodeError):
        raise Refused(inspect(given) or _UNREADABLE) from None
    # What came out of a JSON decoder breaks no other rule; to look at every value costs more than all the rest.
    if b"\\u0000" in value and (fault := inspect(given)):
        raise Refused(fault)
    if len(value) > MAX_EVENT_BYTES:
        raise Refused(_too_large(len(value), "Leave out what nobody will look at, such as page contents."))
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
        raise Refused(_too_large(len(value), "Its numbers take more room when written out."))
    return (key, value), event, verdict


def _plain(body: bytes) -> list[dict[str, Any]] | None:
    """The events of a body, decoded at once; None where one of them is to be looked at alone.

    That is where the body is large, not JSON, holds something else than objects, or may break one of the rules
    that the decoder does not keep.
    """
    if len(body) > MAX_EVENT_BYTES or b"\\u0000" in body:
        return None
    decode = _decode_lines if body.startswith(b"{") else _decode_array
    try:
        events = decode(body)
        if len(events) <= MAX_EVENTS and _keys_of_array(events, 0) == _key_ends(body):
            return events
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _SuspiciousError):
        return None
    return None


def _object(piece: Piece, raw: bytes) -> dict[str, Any]:
    """The decoded event, when its JSON keeps every rule; raises Refused.

    The decoder lets a few things pass (repeated keys, U+0000, integers of any length). What might hold one is
    read again, slowly.
    """
    if len(raw) > MAX_EVENT_BYTES:
        raise Refused(_too_large(len(raw), "Leave out what nobody will look at, such as page contents."))
    if isinstance(piece, Broken):
        raise Refused(explain(raw) or _UNREADABLE)
    try:
        given: object = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused(explain(raw) or _UNREADABLE) from None
    if not isinstance(given, dict):
        raise Refused(
            Fault("not_an_object", "The event is not a JSON object.", hint='Send {"user": …, "action": …}.')
        )
    if _is_suspicious(given, raw):
        fault = explain(raw)
        if fault:
            raise Refused(fault)
    return given


def _is_suspicious(given: dict[str, Any], raw: bytes) -> bool:
    if b"\\u0000" in raw:
        return True
    try:
        return _keys_of_object(given, 1) != _key_ends(raw)
    except _SuspiciousError:
        return True


def _key_ends(raw: bytes) -> int:
    """How many quotes stand before a colon, with or without space between them."""
    if any(space in raw for space in _SPACED_COLONS):
        return len(_KEY.findall(raw))
    return raw.count(b'":')


class _SuspiciousError(Exception):
    """The value breaks a rule, or may."""


def _keys_of_object(value: Mapping[str, Any], depth: int) -> int:
    """How many keys the object and what is in it have.

    In JSON text a quote before a colon ends each key, and stands elsewhere only inside strings: as many such
    places as keys means that none was repeated.
    """
    if depth > MAX_DEPTH:
        raise _SuspiciousError
    keys = len(value)
    for item in value.values():
        kind = type(item)
        if kind is dict:
            keys += _keys_of_object(item, depth + 1)
        elif kind is list:
            keys += _keys_of_array(item, depth + 1)
        elif kind is int and not INT_MIN <= item <= INT_MAX:
            raise _SuspiciousError
    return keys


def _keys_of_array(value: list[Any], depth: int) -> int:
    if depth > MAX_DEPTH:
        raise _SuspiciousError
    keys = 0
    for item in value:
        kind = type(item)
        if kind is dict:
            keys += _keys_of_object(item, depth + 1)
        elif kind is list:
            keys += _keys_of_array(item, depth + 1)
        elif kind is int and not INT_MIN <= item <= INT_MAX:
            raise _SuspiciousError
    return keys


_NO_CONSENT = Fault(
    "no_consent",
    "Nobody consented to this event, and the project keeps none without. Nothing of it is kept.",
    "context.consent",
    "Send context.consent once it is given: true, or the categories that were granted.",
)
_UNREADABLE = Fault("invalid_json", "The event is not JSON.")


def _too_large(size_bytes: int, hint: str) -> Fault:
    return Fault(
        "event_too_large",
        f"The event has {size_bytes:,} bytes; at most {MAX_EVENT_BYTES:,} are kept.",
        hint=hint,
    )


def _rejection(index: int, fault: Fault) -> Rejection:
    return Rejection(index=index, code=fault.code, message=fault.message, field=fault.field, hint=fault.hint)
