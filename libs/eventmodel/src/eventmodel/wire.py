"""The wire form: bytes of the log to events and back. No client is needed to read or test it."""

import base64
from typing import Any

import msgspec

from eventmodel.event import Event, ProjectId, subject_of
from eventmodel.rejection import RejectedRecord

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)
_BLANK = "x:"


class MalformedRecord(ValueError):
    """A record whose bytes are not the canonical event; carries nothing but the sentence."""


def encode(record: Event | RejectedRecord) -> bytes:
    """One line of JSON, without a line break anywhere in it."""
    return _encoder.encode(record)


def decode(value: bytes) -> Event:
    """The event of a record's bytes; raises MalformedRecord."""
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRecord(f"The record is not a canonical event: {error}") from error


def record_key(project: ProjectId, subject: str) -> bytes:
    """The record's key: the project id, a colon, the subject. Project ids hold no colon."""
    return f"{project}:{subject}".encode()


def event_key(event: Event) -> bytes:
    """The key under which `event` is ordered and counted."""
    return record_key(event.project, subject_of(event.user, event.anonymous_id, event.account, event.id))


def blank_key(project: ProjectId) -> bytes:
    """The key of a record of the project whose content was taken out."""
    return record_key(project, _BLANK)


def is_blank(key: bytes) -> bool:
    """Whether the content of the record with this key was taken out: everybody passes it over."""
    return key.partition(b":")[2] == _BLANK.encode()


def split_key(key: bytes) -> tuple[ProjectId, str]:
    """(project, subject) of a record's key; raises MalformedRecord."""
    try:
        project, separator, subject = key.decode().partition(":")
    except UnicodeDecodeError as error:
        raise MalformedRecord("The record's key is not UTF-8.") from error
    if not separator:
        raise MalformedRecord("The record's key has no project.")
    return ProjectId(project), subject


def body_fields(body: bytes, max_bytes: int) -> dict[str, Any]:
    """The `body…` fields of a RejectedRecord for the sender's bytes, cut at `max_bytes`."""
    kept = body[:max_bytes]
    cut = {"body_truncated": True} if len(body) > max_bytes else {}
    try:
        return {"body": kept.decode(), **cut}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(kept).decode(), "body_encoding": "base64", **cut}
