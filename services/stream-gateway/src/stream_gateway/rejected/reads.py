"""The questions about rejected events, in SQL; each names its project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import asyncpg
import msgspec

from eventmodel import ProjectId, RejectedRecord
from stream_gateway.reads.keyset import Before

State: TypeAlias = Literal["open", "replayed", "dismissed"]
STATES: tuple[State, ...] = get_args(State)

_HOUR: Final = timedelta(hours=1)
_ROWS = """
    select r.received_at, r.seq, r.record, coalesce(o.state, 'open') as state, o.at, o.by, o.run,
        coalesce(o.events::text, '[]') as events
    from gateway.rejected r left join gateway.rejected_outcome o using (project, id, part)
"""
_SUMMARY = """
    with counted as (
        select code, sum(rejections) filter (where hour > $2)::bigint as last_24_h,
            sum(rejections) filter (where hour > $3)::bigint as last_7_d, max(last_at) as last_seen
        from gateway.rejected_hour where project = $1 group by code
    ),
    kept as (
        select r.code, count(*) as kept, count(*) filter (where coalesce(o.state, 'open') = 'open') as open
        from gateway.rejected r left join gateway.rejected_outcome o using (project, id, part)
        where r.project = $1 group by r.code
    )
    select code, coalesce(last_24_h, 0) as last_24_h, coalesce(last_7_d, 0) as last_7_d, last_seen,
        coalesce(open, 0) as open, coalesce(kept, 0) as kept, example.record
    from counted left join kept using (code)
    left join lateral (
        select record from gateway.rejected r where r.project = $1 and r.code = counted.code
        order by received_at desc, seq desc limit 1
    ) as example on true
    order by coalesce(last_7_d, 0) desc, code
"""

_decode = msgspec.json.Decoder(RejectedRecord).decode


class Kept(NamedTuple):
    """A rejection, its place in the list, and what was done about it: when, by whom, as which events."""

    place: Before
    record: RejectedRecord
    state: State
    at: datetime | None
    by: str | None
    run: str | None
    events: list[str]


class CodeCount(NamedTuple):
    """The rejections of one reason: counted, and of those that are kept the newest."""

    code: str
    last_24_h: int
    last_7_d: int
    last_seen: datetime
    open: int
    kept: int
    example: RejectedRecord | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rejections: all that are None narrow nothing down."""

    code: str | None = None
    source: str | None = None
    state: State | None = None
    ids: Sequence[str] | None = None


class RejectedReads:
    """The questions over one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def newest(
        self, project: ProjectId, wanted: Wanted, before: Before | None, limit: int
    ) -> Sequence[Kept]:
        """The newest, older than `before`."""
        query, values = list_query(project, wanted, before, limit)
        return [_kept(row) for row in await self._pool.fetch(query, *values)]

    async def oldest(
        self, project: ProjectId, wanted: Wanted, after: Before | None, limit: int
    ) -> tuple[Sequence[Kept], int]:
        """The oldest, newer than `after`, and how many there are beyond them."""
        where, values = _conditions(project, wanted)
        if after is not None:
            values += after
            where += f" and (r.received_at, r.seq) > (${len(values) - 1}, ${len(values)})"
        joined = "gateway.rejected r left join gateway.rejected_outcome o using (project, id, part)"
        number: int = await self._pool.fetchval(f"select count(*) from {joined} where {where}", *values)  # noqa: S608 (columns, numbers)
        values.append(limit)
        query = f"{_ROWS} where {where} order by r.received_at, r.seq limit ${len(values)}"
        rows = await self._pool.fetch(query, *values)
        return [_kept(row) for row in rows], max(0, number - len(rows))

    async def one(self, project: ProjectId, rejection_id: str) -> Kept | None:
        """The rejection of this id."""
        found = await self.newest(project, Wanted(ids=[rejection_id]), None, 1)
        return found[0] if found else None

    async def summary(self, project: ProjectId, now: datetime) -> Sequence[CodeCount]:
        """Reasons of the last eight days, the most frequent first; whole hours are counted."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        rows = await self._pool.fetch(_SUMMARY, project, hour - 24 * _HOUR, hour - 7 * 24 * _HOUR)
        return [
            CodeCount(
                row["code"],
                row["last_24_h"],
                row["last_7_d"],
                row["last_seen"],
                row["open"],
                row["kept"],
                None if row["record"] is None else _decode(row["record"]),
            )
            for row in rows
        ]


def list_query(
    project: ProjectId, wanted: Wanted, before: Before | None, limit: int
) -> tuple[str, list[object]]:
    """The query of a page of the list, with its parameters."""
    where, values = _conditions(project, wanted)
    if before is not None:
        values += before
        where += f" and (r.received_at, r.seq) < (${len(values) - 1}, ${len(values)})"
    values.append(limit)
    return f"{_ROWS} where {where} order by r.received_at desc, r.seq desc limit ${len(values)}", values


def _conditions(project: ProjectId, wanted: Wanted) -> tuple[str, list[object]]:
    conditions = ["r.project = $1"]
    values: list[object] = [project]
    for condition, value in (
        ("r.code = ${}", wanted.code),
        ("r.source = ${}", wanted.source),
        ("coalesce(o.state, 'open') = ${}", wanted.state),
        ("r.id = any(${}::text[])", wanted.ids),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(len(values)))
    return " and ".join(conditions), values


def _kept(row: asyncpg.Record) -> Kept:
    return Kept(
        Before(row["received_at"], row["seq"]),
        _decode(row["record"]),
        row["state"],
        row["at"] if row["state"] != "open" else None,
        row["by"] if row["state"] != "open" else None,
        row["run"],
        msgspec.json.decode(row["events"], type=list[str]),
    )
