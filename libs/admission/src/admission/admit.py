"""A body to records of the log, or to rejections by index."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec

from admission.body import too_large
from admission.events import Receipt, read_event
from admission.faults import INT_MAX, INT_MIN, explain, inspect
from admission.framing import Broken, Piece, split
from admission.limits import MAX_BODY_BYTES, MAX_DEPTH, MAX_EVENT_BYTES
from admission.refusal import Fault, Refused
from eventmodel import Event, Origin, ProjectId, Rejection, Sender
from eventmodel.topics import MAX_RECORD_BYTES
from eventmodel.wire import encode, event_key

Wire: TypeAlias = tuple[bytes, bytes]
"""(key, value) of one record."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_KEY = re.compile(rb'"\s*:')


class Admitted(NamedTuple):
    """What became of a body's events: records in the order of the body, rejections with the bytes of each.

    `rejected_events` are the rejected ones in the native API's form, None where another form could not be
    mapped; empty when the bodies are in that form themselves.
    """

    messages: list[Wire]
    rejections: list[Rejection]
    rejected_bodies: list[bytes]
    rejected_events: Sequence[bytes | None] = ()


def admit(
    body: bytes,
    *,
    project: ProjectId,
    received_at: datetime,
    origin: Origin = "live",
    run: str | None = None,
    idempotency_key: str | None = None,
    sender: Sender | None = None,
) -> Admitted:
    """The records and rejections of a decoded body: one object, an array, or NDJSON.

    Records are stamped with `sender`, and with the SDK that the event itself names.
    Raises BodyRefused when the body's events cannot be told apart or are too many.
    """
    if len(body) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)
    receipt = Receipt(project, received_at, origin, run, idempotency_key, sender)
    messages: list[Wire] = []
    rejections: list[Rejection] = []
    rejected_bodies: list[bytes] = []
    for index, piece in enumerate(split(body)):
        raw = piece.raw if isinstance(piece, Broken) else bytes(piece)
        try:
            messages.append(_record(_object(piece, raw), index, receipt))
        except Refused as refused:
            rejections.append(_rejection(index, refused.fault))
            rejected_bodies.append(raw)
    return Admitted(messages, rejections, rejected_bodies)


def admit_event(
    given: Mapping[str, Any],
    *,
    project: ProjectId,
    received_at: datetime,
    origin: Origin,
    run: str | None = None,
    index: int = 0,
) -> Wire | Rejection:
    """The record of one event that is already decoded, under the same rules; for the importer.

    `time` and `sent_at` may also be aware datetimes. `index` is what a rejection answers.
    """
    receipt = Receipt(project, received_at, origin, run)
    try:
        fault = inspect({name: value for name, value in given.items() if not isinstance(value, datetime)})
        if fault:
            raise Refused(fault)
        return _record(given, index, receipt)
    except Refused as refused:
        return _rejection(index, refused.fault)


def admit_items(
    items: Iterable[tuple[int, Mapping[str, Any] | Fault, Any]],
    *,
    project: ProjectId,
    received_at: datetime,
    sender: Sender | None = None,
) -> Admitted:
    """As `admit`, for events another protocol's decoder made: index, native fields (or the fault), source.

    `source`, bytes or a JSON value, is what is kept of a rejected one.
    """
    receipt = Receipt(project, received_at, sender=sender)
    messages: list[Wire] = []
    rejections: list[Rejection] = []
    rejected_bodies: list[bytes] = []
    rejected_events: list[bytes | None] = []
    for index, given, source in items:
        try:
            messages.append(_sound_record(given, index, receipt))
        except Refused as refused:
            rejections.append(_rejection(index, refused.fault))
            rejected_bodies.append(source if isinstance(source, bytes) else _encode(source))
            rejected_events.append(None if isinstance(given, Fault) else _encode(given))
    return Admitted(messages, rejections, rejected_bodies, rejected_events)


def _sound_record(given: Mapping[str, Any] | Fault, index: int, receipt: Receipt) -> Wire:
    if isinstance(given, Fault):
        raise Refused(given)
    fault = inspect(given)
    if fault:
        raise Refused(fault)
    key, value = _record(given, index, receipt)
    if len(value) > MAX_EVENT_BYTES:
        raise Refused(_too_large(len(value), "Leave out what nobody will look at, such as page contents."))
    return key, value


def _record(given: Mapping[str, Any], index: int, receipt: Receipt) -> Wire:
    event: Event = read_event(given, index, receipt)
    key, value = event_key(event), encode(event)
    if len(key) + len(value) > MAX_RECORD_BYTES:
        raise Refused(_too_large(len(value), "Its numbers take more room when written out."))
    return key, value


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
        return _keys_of_object(given, 1) != len(_KEY.findall(raw))
    except _SuspiciousError:
        return True


class _SuspiciousError(Exception):
    """The value breaks a rule, or may."""


def _keys_of_object(value: dict[str, Any], depth: int) -> int:
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


_UNREADABLE = Fault("invalid_json", "The event is not JSON.")


def _too_large(size_bytes: int, hint: str) -> Fault:
    return Fault(
        "event_too_large",
        f"The event has {size_bytes:,} bytes; at most {MAX_EVENT_BYTES:,} are kept.",
        hint=hint,
    )


def _rejection(index: int, fault: Fault) -> Rejection:
    return Rejection(index=index, code=fault.code, message=fault.message, field=fault.field, hint=fault.hint)
