"""What a project sent last, as far as plans look back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from admission.refusal import Refused
from eventmodel import Event, ProjectId, RejectedRecord, Sender, wire
from stream_gateway.rejected.native_form import native_form

MAX_EVENTS: Final = 20_000
MAX_SET_ASIDE: Final = 5_000

_decode_record = msgspec.json.Decoder(RejectedRecord).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Traffic(NamedTuple):
    """The newest events of history, newest first, and since when they are all there are."""

    events: Sequence[Event]
    since: datetime | None


class SetAside(NamedTuple):
    """An event that did not get into history because the plan lacks its action."""

    action: str
    at: datetime
    sender: Sender | None


class RecentTraffic:
    """Reads bounded numbers of a project's newest rows; decoding them is the caller's, off the event loop."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def newest(self, project: ProjectId, events: int) -> Sequence[str]:
        """The newest events of history as they stand in the log, newest first."""
        rows = await self._pool.fetch(
            "select event from gateway.history where project = $1 order by occurred_at desc, seq desc limit $2",
            project,
            min(events, MAX_EVENTS),
        )
        return [row["event"] for row in rows]

    async def unplanned(self, project: ProjectId) -> Sequence[str]:
        """The newest records of what was refused or set aside because the plan has no such action."""
        rows = await self._pool.fetch(
            "select record from gateway.rejected where project = $1 and code = 'unplanned_action'"
            " order by received_at desc, seq desc limit $2",
            project,
            MAX_SET_ASIDE,
        )
        return [row["record"] for row in rows]


def read_traffic(rows: Sequence[str]) -> Traffic:
    """The events of history's rows."""
    events = [wire.decode(row.encode()) for row in rows]
    return Traffic(events, events[-1].occurred_at if events else None)


def read_set_aside(rows: Sequence[str]) -> list[SetAside]:
    """What records tell of their events; those whose event cannot be read are left out."""
    found = []
    for row in rows:
        record = _decode_record(row)
        try:
            action = _decode(native_form(record)).get("action")
        except (Refused, msgspec.MsgspecError):
            continue
        if isinstance(action, str):
            found.append(SetAside(action, record.received_at, record.sender))
    return found
