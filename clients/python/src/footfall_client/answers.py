"""What an answer means for the events of a body: done with, or to be sent again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

from footfall_client.delivery import Rejection

MAX_RETRY_AFTER_S: Final = 3600.0
_AGAIN: Final = frozenset({408, 429})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, as far as it matters."""

    status: int
    body: bytes = b""
    retry_after: str | None = None
    date: str | None = None
    location: str | None = None


@dataclass(frozen=True)
class Settled:
    """The body is done with: so many of its events are stored, the others never will be."""

    accepted: int
    rejections: Sequence[Rejection] = ()


@dataclass(frozen=True)
class Again:
    """The same body is to be sent again; not before `after_s` seconds when the server said so."""

    reason: str
    after_s: float | None = None


def read_answer(answer: Answer, events: Sequence[bytes], now: datetime) -> Settled | Again:
    """What the answer says of the events, which are in the body's order."""
    if answer.status in _AGAIN or answer.status >= 500:
        return Again(f"HTTP {answer.status}", _retry_after_s(answer, now))
    told = _json_object(answer.body)
    rejected = told.get("rejected")
    if answer.status == 200:
        if not isinstance(told.get("accepted"), int) or not isinstance(rejected, list):
            return Again("the answer is not Footfall's; something between us answers in its place")
        return _by_index(answer.status, rejected, events)
    if isinstance(rejected, list) and rejected:
        return _by_index(answer.status, rejected, events)
    return Settled(0, [_rejection(answer.status, _refusal(answer, told), event) for event in events])


def _by_index(status: int, rejected: Sequence[Any], events: Sequence[bytes]) -> Settled:
    told = {
        entry["index"]: entry
        for entry in rejected
        if isinstance(entry, dict) and isinstance(entry.get("index"), int)
    }
    rejections = [
        _rejection(status, told[index], event) for index, event in enumerate(events) if index in told
    ]
    return Settled(len(events) - len(rejections), rejections)


def _rejection(status: int, told: dict[str, Any], event: bytes) -> Rejection:
    return Rejection(
        event=json.loads(event),
        status=status,
        code=str(told.get("code") or "refused"),
        message=str(told.get("message") or f"The answer was HTTP {status}."),
        field=_text(told.get("field")),
        hint=_text(told.get("hint")),
    )


def _refusal(answer: Answer, told: dict[str, Any]) -> dict[str, Any]:
    if 300 <= answer.status < 400:
        return {
            "code": "redirected",
            "message": f"The address answers with a redirect to {answer.location}.",
            "hint": "Give the client the address that answers itself.",
        }
    return told


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _retry_after_s(answer: Answer, now: datetime) -> float | None:
    """Retry-After in seconds, from a number or a date; None where there is none that makes sense."""
    if answer.retry_after is None:
        return None
    text = answer.retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    then = _date(text)
    if then is None:
        return None
    # By the server's own clock, where it tells it: ours may be wrong.
    wait_s = (then - (_date(answer.date or "") or now)).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
