"""What of `footfall.rejected` is kept to be looked at: written in the projector's transaction, within bounds."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from eventlog.port import Record
from eventmodel import ProjectId
from stream_gateway.projection.source_tally import RejectedInput
from stream_gateway.projection.tally import columns_of

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

KEPT: Final = timedelta(days=8)
"""As long as the topic keeps them."""
MAX_ROWS: Final = 10_000
"""Rows of one part and project that were refused; older ones go within a minute."""
MAX_QUARANTINED_ROWS: Final = 100_000
"""The same of those that a plan set aside: their senders were told that they arrived."""
# What somebody did about a rejection stays as long as its row can.
_OUTCOMES_KEPT: Final = KEPT + timedelta(days=1)

_KEEP = """
    insert into gateway.rejected (part, project, id, received_at, source, code, quarantined, record)
    select * from unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
                         $7::boolean[], $8::text[])
    on conflict (project, id, part) do nothing
"""
_COUNT = """
    insert into gateway.rejected_hour as t (part, project, code, hour, rejections, last_at)
    select part, project, code, date_trunc('hour', at, 'UTC'), count(*), max(at)
    from unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[]) as r(part, project, code, at)
    group by 1, 2, 3, 4
    on conflict (project, code, hour, part) do update
        set rejections = t.rejections + excluded.rejections, last_at = greatest(t.last_at, excluded.last_at)
"""
_TRIM = """
    delete from gateway.rejected
    where part = $1 and project = $2 and quarantined = $3 and (received_at, seq) <= (
        select received_at, seq from gateway.rejected where part = $1 and project = $2 and quarantined = $3
        order by received_at desc, seq desc offset $4 limit 1)
"""


class RejectedRows:
    """Writes the rows, and remembers where some were added, to keep only the newest there."""

    def __init__(self) -> None:
        self._grown: set[tuple[int, ProjectId]] = set()

    async def write(
        self, tx: "Connection", rejected: Collection[tuple[ProjectId, Record, RejectedInput]]
    ) -> None:
        """Keep and count these rejections, each of which comes once."""
        if not rejected:
            return
        self._grown.update((record.part, project) for project, record, _ in rejected)
        rows = (
            (
                *(record.part, project, one.id, one.received_at, one.source, one.code, one.quarantined),
                record.value.decode(),
            )
            for project, record, one in rejected
        )
        await tx.execute(_KEEP, *columns_of(rows, 8))
        counted = ((record.part, project, one.code, one.received_at) for project, record, one in rejected)
        await tx.execute(_COUNT, *columns_of(counted, 4))

    async def tidy(self, tx: "Connection", parts: Collection[int], now: datetime) -> None:
        """Delete what is too old of these parts, and all but the newest where rows were added."""
        numbers = sorted(parts)
        for table, at, kept in (
            ("rejected", "received_at", KEPT),
            ("rejected_hour", "hour", KEPT),
            ("rejected_outcome", "at", _OUTCOMES_KEPT),
        ):
            await tx.execute(
                f"delete from gateway.{table} where part = any($1::smallint[]) and {at} < $2",  # noqa: S608
                numbers,
                now - kept,
            )
        for part, project in sorted(self._grown):
            if part in parts:
                await tx.execute(_TRIM, part, project, False, MAX_ROWS)
                await tx.execute(_TRIM, part, project, True, MAX_QUARANTINED_ROWS)
        self._grown = {place for place in self._grown if place[0] not in parts}

    def forget(self, parts: Collection[int]) -> None:
        """Another owner keeps these parts within their bounds."""
        self._grown = {place for place in self._grown if place[0] not in parts}
