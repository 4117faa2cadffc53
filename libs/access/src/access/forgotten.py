"""Who was forgotten: the records that are passed over for ever, and the requests that are still carried out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from access.database import Connection
from eventmodel import ProjectId
from eventmodel.wire import is_blank, record_key


class _Times(msgspec.Struct):
    received_at: datetime
    occurred_at: datetime | None = None
    origin: str = "live"


_times = msgspec.json.Decoder(_Times)


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """One person to be removed. `subjects` are the ids they had; `mentions` those that were theirs alone.

    A subject that another user was linked to as well, such as a shared device, is in `subjects` only: it stays in
    the other's events.
    """

    project: ProjectId
    id: str
    subjects: tuple[str, ...]
    mentions: tuple[str, ...]
    requested_at: datetime

    @property
    def keys(self) -> list[bytes]:
        """The record keys of the subjects."""
        return [record_key(self.project, subject) for subject in self.subjects]


class Forgotten:
    """Since when each record key is forgotten, by its SHA-256."""

    def __init__(self, since: Mapping[bytes, datetime]) -> None:
        self._since = since

    def covers(self, key: bytes, value: bytes) -> bool:
        """Whether the record is of somebody forgotten since, or was emptied: it is passed over then.

        What was received later is a new person's; what was imported or replayed must also have happened later.
        """
        if is_blank(key):
            return True
        if not self._since:
            return False
        since = self._since.get(key_hash(key))
        if since is None:
            return False
        try:
            times = _times.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return True
        if times.received_at < since:
            return True
        return times.origin != "live" and times.occurred_at is not None and times.occurred_at < since


def key_hash(key: bytes) -> bytes:
    """What is kept of a record key once its owner is forgotten."""
    return hashlib.sha256(key).digest()


async def read_forgotten(connection: Connection) -> Forgotten:
    """All that is passed over, of all projects."""
    rows = await connection.fetch("SELECT hash, since FROM access.forgotten")
    return Forgotten({row["hash"]: row["since"] for row in rows})


async def read_open_requests(connection: Connection) -> tuple[ForgetRequest, ...]:
    """The requests that are not finished, oldest first."""
    rows = await connection.fetch(
        "SELECT project, id, subjects, mentions, requested_at FROM access.forget_request "
        "WHERE finished_at IS NULL ORDER BY requested_at, id"
    )
    return tuple(
        ForgetRequest(
            ProjectId(row["project"]),
            row["id"],
            tuple(row["subjects"]),
            tuple(row["mentions"]),
            row["requested_at"],
        )
        for row in rows
    )
