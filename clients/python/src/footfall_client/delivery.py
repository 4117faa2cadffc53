"""What became of events, as the caller is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rejection:
    """One event that was refused for good, and why.

    `status` is that of the answer: 200 or 400 when the event was at fault, another when the whole body was
    refused, such as 401 for an unknown key.
    """

    event: Mapping[str, Any]
    status: int
    code: str
    message: str
    field: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Delivery:
    """What became of events since the client told last.

    `accepted` are stored durably. `rejected` were refused for good; `rejections` says why, for the first 100.
    `dropped` found the queue full, or a disk that could not be written. `damaged` could not be read back
    from the directory. `waiting` is how many are still to be sent.
    """

    accepted: int = 0
    rejected: int = 0
    dropped: int = 0
    damaged: int = 0
    waiting: int = 0
    rejections: tuple[Rejection, ...] = ()
