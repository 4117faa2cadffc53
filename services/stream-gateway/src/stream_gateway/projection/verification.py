"""`footfall verify`: the read model recounted part by part, compared, and on request put right."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import asyncpg

from access.forgotten import read_forgotten
from access.projects import ProjectEntry, Projects
from eventlog.errors import Truncated
from eventlog.parts import Fenced
from eventlog.port import EventLog
from eventlog.postgres_parts import PostgresParts
from eventlog.postgres_positions import StalePosition, find_stale, move_stale
from eventmodel import ProjectId, topics
from stream_gateway.projection.comparison import DERIVED, HISTORY, Difference, Table, compare, put_right
from stream_gateway.projection.derivation import Derivation
from stream_gateway.projection.projector import GROUP
from stream_gateway.projection.recount import COUNTED, Recount, choose_source

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class PartReport:
    """One part: from what it was recounted and why so, how many records, and by table how many rows differ.

    `examples` are the first differences of each table.
    """

    part: int
    source: Literal["log", "history"]
    why: str
    records: int
    differing: Mapping[str, int]
    examples: Sequence[Difference]

    @property
    def differences(self) -> int:
        """Over all tables."""
        return sum(self.differing.values())


class Verification:
    """Recounts the parts of the read model over one log, for all live projects or only one.

    Every method raises LogUnavailable, UnknownTopic and what the driver raises.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        log: EventLog,
        store: PostgresParts,
        projects: Projects,
        only: ProjectId | None = None,
        counted: Callable[[int], None] = lambda records: None,
    ) -> None:
        self._pool = pool
        self._log = log
        self._store = store
        self._projects = projects
        self._only = only
        self._counted = counted

    async def parts(self) -> Sequence[int]:
        """All parts of the log."""
        return range((await self._log.topic(topics.EVENTS)).partitions)

    async def stale(self) -> Sequence[StalePosition]:
        """Positions, of any consumer group, that the log no longer stands behind."""
        return await find_stale(self._pool, self._log)

    async def move(self, stale: Sequence[StalePosition]) -> None:
        """Move those positions to the log as it is; raises PartitionsChanged.

        From then on the parts are recounted from history: it holds what that log does not.
        """
        await self._pool.executemany(
            "insert into gateway.outlived (topic, part) values ($1, $2) on conflict do nothing",
            [(one.topic, one.part) for one in stale if one.group == GROUP and one.topic in COUNTED],
        )
        await move_stale(self._pool, self._log, stale)

    async def verify(self, part: int) -> PartReport:
        """Recount the part as of one moment and compare; changes nothing."""

        entries = await self._entries()
        try:
            return await self._in_snapshot(part, entries)
        except Truncated:
            # Retention took the log's beginning meanwhile; history is the source now.
            return await self._in_snapshot(part, entries)

    async def repair(self, part: int) -> PartReport:
        """Recount the part while nobody else may write it, and make every row as recounted.

        Returns what was wrong until now. A projector that runs loses the part for that time and takes it
        again afterwards. Raises Fenced when others take the part each time.
        """
        entries = await self._entries()
        attempts = 0
        while True:
            attempts += 1
            epochs = (await self._store.acquire([part], [], {})).epochs
            try:
                async with self._store.transaction(epochs) as tx:
                    return await self._put_right(tx, part, entries)
            except Fenced:
                # The owner came back in between.
                if attempts == _ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0, 0.1))

    async def _put_right(self, tx: "Connection", part: int, entries: Sequence[ProjectEntry]) -> PartReport:
        report = await self._compare(tx, part, entries)
        for table in (HISTORY, *DERIVED):
            if report.differing.get(table.name):
                await put_right(tx, table, part, [entry.project.id for entry in entries])
        return report

    async def _in_snapshot(self, part: int, entries: Sequence[ProjectEntry]) -> PartReport:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            return await self._compare(connection, part, entries)

    async def _entries(self) -> Sequence[ProjectEntry]:
        entries = await self._projects.list()
        return [entry for entry in entries if self._only in (None, entry.project.id)]

    async def _compare(self, tx: "Connection", part: int, entries: Sequence[ProjectEntry]) -> PartReport:
        derivations = await _derivations(tx, part, entries)
        source = await choose_source(tx, self._log, part)
        recount = Recount(tx, part, derivations, self._counted, await read_forgotten(tx))
        await recount.prepare()
        tables: tuple[Table, ...] = DERIVED
        if source.name == "log":
            await recount.from_log(self._log, source.positions)
            tables = (HISTORY, *DERIVED)
        else:
            await recount.from_history()
        await tx.execute("; ".join(f"analyze pg_temp.{table.name}" for table in tables))
        differing: dict[str, int] = {}
        examples: list[Difference] = []
        for table in tables:
            differing[table.name], first = await compare(tx, table, part, list(derivations))
            examples += first
        return PartReport(part, source.name, source.why, recount.records, differing, examples)


async def _derivations(
    tx: "Connection", part: int, entries: Sequence[ProjectEntry]
) -> Mapping[ProjectId, Derivation]:
    """The settings under which the part's rows were made, which may be older than the project's."""
    rows = await tx.fetch(
        "select project, time_zone, trial_actions from gateway.derivation where part = $1", part
    )
    made = {row["project"]: Derivation(row["time_zone"], frozenset(row["trial_actions"])) for row in rows}
    return {
        entry.project.id: made.get(entry.project.id) or Derivation.of(entry.project.settings)
        for entry in entries
    }
