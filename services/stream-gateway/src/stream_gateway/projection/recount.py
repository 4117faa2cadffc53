"""Counts one part of the read model again, into temporary tables of a transaction.

The tables have the names and shapes of those in schema `gateway`; what they hold is bounded by the part,
not by memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import asyncpg
import msgspec

from access.forgotten import Forgotten
from eventlog.batch import first_of_each
from eventlog.errors import LogUnavailable
from eventlog.port import EventLog, Reader, Record, TopicPart
from eventlog.postgres_parts import remember_in
from eventmodel import ProjectId, topics
from eventmodel.wire import MalformedRecord, split_key
from stream_gateway.projection.comparison import DERIVED, HISTORY, compare
from stream_gateway.projection.derivation import Derivation
from stream_gateway.projection.links import MAY_LINK
from stream_gateway.projection.projector import GROUP
from stream_gateway.projection.tally import (
    HISTORY_COLUMNS,
    Projected,
    Tally,
    decode_projected,
    history_row,
    write,
)

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

COUNTED: Final = (topics.EVENTS, topics.BACKFILL)
"""The topics that history is made of, in the order in which they are recounted."""

_BATCH: Final = 1000
_SILENCE_S: Final = 30.0
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_POISON: Final = (
    *(MalformedRecord, msgspec.MsgspecError, UnicodeError, RecursionError),
    *(asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError),
)
_PREPARE: Final = (
    "create temporary table history (like gateway.history including identity) on commit drop;"
    "create index on pg_temp.history (seq);"
    "create temporary table repeated (like gateway.history including identity) on commit drop;"
    "create temporary table seen (like runtime.seen including indexes) on commit drop;"
    "create temporary table seen_import (like runtime.seen_import including indexes) on commit drop;"
    + "".join(
        f"create temporary table {name} (like gateway.{name} including indexes) on commit drop;"
        for name in ("active_now", "activity_minute", *(table.name for table in DERIVED))
    )
)
_LAST: Final = "select coalesce(max(seq), 0) from pg_temp.history"
_EMPTY: Final = "truncate " + ", ".join(f"pg_temp.{table.name}" for table in DERIVED)
_SAME: Final = "h.part = $1 and (h.project, h.subject, h.occurred_at, h.id, h.event) = "
_CHOOSE: Final = f"""
    update pg_temp.history e set occurred_at = r.occurred_at, account = r.account, kind = r.kind,
        action = r.action, origin = r.origin, event = r.event
    from pg_temp.repeated r
    where e.seq <= $2 and (e.project, e.subject, e.id) = (r.project, r.subject, r.id)
        and exists (select from gateway.history h
            where {_SAME} (r.project, r.subject, r.occurred_at, r.id, r.event))
        and not exists (select from gateway.history h
            where {_SAME} (e.project, e.subject, e.occurred_at, e.id, e.event))
"""  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class Source:
    """From what a part is recounted; `why` is the sentence that says why not from the log."""

    name: Literal["log", "history"]
    why: str = ""
    positions: Mapping[str, int] = field(default_factory=dict)


async def choose_source(tx: "Connection", log: EventLog, part: int) -> Source:
    """The log, where it still has every record that the part is made of, else history."""
    rows = await tx.fetch(
        "select p.topic, p.log_id, p.next, o.topic is not null as outlived from runtime.position p"
        " join runtime.grp g on g.id = p.grp"
        " left join gateway.outlived o on o.topic = p.topic and o.part = p.part"
        " where g.name = $1 and p.part = $2 and p.topic = any($3)",
        GROUP,
        part,
        list(COUNTED),
    )
    stored = {row["topic"]: row for row in rows}
    for name in COUNTED:
        if name not in stored:
            return Source("history", f"No position in {name} is stored.")
        row, topic = stored[name], await log.topic(name)
        if row["log_id"] != topic.log_id:
            return Source("history", f"{name} was made anew: its records are not those that were counted.")
        if row["next"] > (await log.heads(name))[part]:
            return Source("history", f"{name} ends before what was counted.")
        if row["outlived"]:
            return Source("history", f"Records of {name} were counted that the log lost.")
        if (await log.starts(name))[part] > 0:
            return Source("history", f"The oldest records have left {name}.")
    return Source("log", "", {name: stored[name]["next"] for name in COUNTED})


class Recount:
    """One part counted again in `tx`, for these projects.

    `counted` is told the number of records of each batch; what `forgotten` covers is passed over.
    """

    def __init__(
        self,
        tx: "Connection",
        part: int,
        projects: Mapping[ProjectId, Derivation],
        counted: Callable[[int], None],
        forgotten: Forgotten,
    ) -> None:
        self._forgotten = forgotten
        self._tx = tx
        self._part = part
        self._projects = projects
        self._counted = counted
        self.records = 0

    async def prepare(self) -> None:
        """Make the tables, empty, for the rest of the transaction."""
        await self._tx.execute(_PREPARE)

    async def from_history(self, schema: Literal["gateway", "pg_temp"] = "gateway") -> None:
        """Count what history holds, in the order in which it was counted."""
        await self._index_only(True)
        cursor = self._tx.cursor(
            "select project, subject, account, kind, action, origin, occurred_at, id,"  # noqa: S608
            f" case when kind in ('identify', 'group') or ({MAY_LINK}) then event end as event"
            f" from {schema}.history where part = $1 and project = any($2::text[]) order by seq",
            self._part,
            list(self._projects),
            prefetch=_BATCH,
        )
        tally, pending = Tally(now_from=_NEVER, minutes_from=_NEVER), 0
        async for row in cursor:
            project = ProjectId(row["project"])
            event = Projected(
                row["id"], row["action"], row["occurred_at"], row["kind"], row["origin"], row["account"]
            )
            if row["event"] is not None:
                told = decode_projected(row["event"])
                event.traits, event.anonymous_id, event.previous_id = (
                    told.traits,
                    told.anonymous_id,
                    told.previous_id,
                )
            tally.count(self._part, project, row["subject"], event, self._projects[project])
            pending += 1
            if pending == _BATCH:
                await self._write(tally, pending)
                tally, pending = Tally(now_from=_NEVER, minutes_from=_NEVER), 0
        await self._write(tally, pending)
        await self._index_only(False)

    async def from_log(self, log: EventLog, positions: Mapping[str, int]) -> None:
        """Count the log's records before `positions`, each identity once as the consumer runtime does.

        Raises Truncated when the oldest leave the log meanwhile, and LogUnavailable.
        """
        await self._index_only(True)
        boundary = 0
        async with log.reader() as reader:
            for topic in COUNTED:
                boundary = await self._tx.fetchval(_LAST)
                await self._read(reader, TopicPart(topic, self._part), positions[topic])
        await self._index_only(False)
        mixed = 0 < boundary < await self._tx.fetchval(_LAST)
        if mixed or await self._tx.fetchval("select exists (select from pg_temp.repeated)"):
            await self._settle_order(boundary)

    async def _settle_order(self, boundary: int) -> None:
        """Count again in history's order, if it holds the same records: two topics have no order between them.

        Of an event that came in both, either copy is right. `boundary`: the last row that came from events.
        """
        await self._tx.execute(
            "create index on pg_temp.history (project, subject, id);"
            "analyze pg_temp.history; analyze pg_temp.repeated"
        )
        await self._tx.execute(_CHOOSE, self._part, boundary)
        await self._tx.execute(_EMPTY)
        differences, _ = await compare(self._tx, HISTORY, self._part, list(self._projects))
        again = Recount(self._tx, self._part, self._projects, lambda records: None, self._forgotten)
        await again.from_history("pg_temp" if differences else "gateway")

    async def _read(self, reader: Reader, where: TopicPart, until: int) -> None:
        reader.assign({where: 0})
        reached = 0
        while reached < until:
            records = await reader.fetch(_BATCH, _SILENCE_S)
            if not records:
                raise LogUnavailable(
                    f"{where.topic}/{where.part}: nothing came at {reached} for {_SILENCE_S:g} s."
                )
            reached = records[-1].offset + 1
            wanted = await self._wanted([record for record in records if record.offset < until])
            await self._take(wanted)
            self.records += len(wanted)
            self._counted(len(wanted))

    async def _wanted(self, records: Sequence[Record]) -> Sequence[Record]:
        """Without those of other projects and of who was forgotten, and those unshown at the time."""
        if not records:
            return []
        rows = await self._tx.fetch(
            "select off from gateway.unshown where topic = $1 and part = $2 and off between $3 and $4",
            records[0].topic,
            self._part,
            records[0].offset,
            records[-1].offset,
        )
        unshown = {row["off"] for row in rows}
        wanted = []
        for record in records:
            try:
                project, _ = split_key(record.key)
            except MalformedRecord:
                continue
            if self._forgotten.covers(record.key, record.value):
                continue
            if project in self._projects and record.offset not in unshown:
                wanted.append(record)
        return wanted

    async def _take(self, records: Sequence[Record]) -> None:
        """Count the records; one that cannot be is left out, as the runtime sets it aside."""
        if not records:
            return
        try:
            async with self._tx.transaction():
                await self._count(records)
        except _POISON:
            if len(records) > 1:
                for record in records:
                    await self._take([record])

    async def _count(self, records: Sequence[Record]) -> None:
        candidates, repeats, identities = first_of_each(records)
        known = await remember_in(self._tx, "pg_temp", 0, identities)
        tally = Tally(now_from=_NEVER, minutes_from=_NEVER)
        for index, record in enumerate(candidates):
            if index in known:
                repeats.append(record)
                continue
            project, subject = split_key(record.key)
            tally.add(record, project, subject, decode_projected(record.value), self._projects[project])
        await write(self._tx, tally, "pg_temp")
        if repeats and records[0].topic != COUNTED[0]:
            rows = [
                history_row(record, *split_key(record.key), decode_projected(record.value))
                for record in repeats
            ]
            await self._tx.copy_records_to_table(
                "repeated", schema_name="pg_temp", columns=HISTORY_COLUMNS, records=rows
            )

    async def _write(self, tally: Tally, pending: int) -> None:
        await write(self._tx, tally, "pg_temp")
        self.records += pending
        self._counted(pending)

    async def _index_only(self, on: bool) -> None:
        """Tables made a moment ago look small for ever to a statement's kept plan: it would read them whole."""
        await self._tx.execute(f"set local enable_seqscan = {'off' if on else 'on'}")
