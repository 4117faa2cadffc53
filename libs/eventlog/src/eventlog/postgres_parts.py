"""The part store in PostgreSQL, schema `runtime`: the transaction it yields is the consumer's own."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import asyncpg

from eventlog.errors import LogMismatch
from eventlog.parts import REMEMBER_D, Fenced, Identity, Ownership, StoreUnavailable
from eventlog.port import Positions, Topic, TopicPart

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_DAYS_AHEAD = 2
_KEEP_D = 31
_FIND_DUPLICATES = (files("eventlog.runtime_schema") / "remember.sql").read_text()
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What the driver raises when the server dies in the middle of a statement.
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.CannotConnectNowError,
    OSError,
    TimeoutError,
)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except _AWAY as error:
        raise StoreUnavailable(f"The database does not answer: {error}") from error


class PostgresParts:
    """The store of one consumer group; `open_parts` makes it."""

    def __init__(self, pool: asyncpg.Pool, group: str, group_id: int) -> None:
        self._pool = pool
        self._group = group
        self._group_id = group_id
        self._days: set[date] = set()

    async def acquire(self, parts: Collection[int], topics: Sequence[Topic], starts: Positions) -> Ownership:
        numbers = sorted(parts)
        log_ids = {topic.name: topic.log_id for topic in topics}
        rows = [(topic.name, n, starts[TopicPart(topic.name, n)]) for topic in topics for n in numbers]
        async with _translated(), self._pool.acquire() as connection, connection.transaction():
            epochs = await connection.fetch(
                "insert into runtime.part as p (grp, part, epoch) select $1, unnest($2::smallint[]), 1"
                " on conflict (grp, part) do update set epoch = p.epoch + 1 returning part, epoch",
                self._group_id,
                numbers,
            )
            await connection.execute(
                "insert into runtime.position (grp, topic, part, log_id, next)"
                " select $1, u.topic, u.part, u.log_id, u.next"
                " from unnest($2::text[], $3::smallint[], $4::text[], $5::bigint[]) as u(topic, part, log_id, next)"
                " on conflict do nothing",
                self._group_id,
                [row[0] for row in rows],
                [row[1] for row in rows],
                [log_ids[row[0]] for row in rows],
                [row[2] for row in rows],
            )
            stored = await connection.fetch(
                "select topic, part, log_id, next from runtime.position"
                " where grp = $1 and topic = any($2) and part = any($3::smallint[])",
                self._group_id,
                list(log_ids),
                numbers,
            )
            for row in stored:
                if row["log_id"] != log_ids[row["topic"]]:
                    raise LogMismatch(row["topic"], row["log_id"], log_ids[row["topic"]])
        return Ownership(
            {row["part"]: row["epoch"] for row in epochs},
            {TopicPart(row["topic"], row["part"]): row["next"] for row in stored},
        )

    @asynccontextmanager
    async def transaction(self, epochs: Mapping[int, int]) -> AsyncIterator["Connection"]:
        async with _translated(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                "select part, epoch from runtime.part where grp = $1 and part = any($2::smallint[])"
                " order by part for update",
                self._group_id,
                sorted(epochs),
            )
            found = {row["part"]: row["epoch"] for row in rows}
            lost = [number for number, epoch in epochs.items() if found.get(number) != epoch]
            if lost:
                raise Fenced(lost)
            yield connection

    async def remember(self, tx: "Connection", identities: Sequence[Identity]) -> set[int]:
        await self._make_days({identity.recorded_at.date() for identity in identities} - self._days)
        return await remember_in(tx, "runtime", self._group_id, identities)

    async def advance(self, tx: "Connection", positions: Positions, clocks: Mapping[int, datetime]) -> None:
        await tx.execute(
            "with clocks as (update runtime.part p set clock = greatest(p.clock, u.clock)"
            " from unnest($5::smallint[], $6::timestamptz[]) as u(part, clock)"
            " where p.grp = $1 and p.part = u.part)"
            " update runtime.position p set next = u.next"
            " from unnest($2::text[], $3::smallint[], $4::bigint[]) as u(topic, part, next)"
            " where p.grp = $1 and p.topic = u.topic and p.part = u.part",
            self._group_id,
            [where.topic for where in positions],
            [where.part for where in positions],
            list(positions.values()),
            list(clocks),
            list(clocks.values()),
        )

    async def tidy(self, now: datetime) -> None:
        """Also makes the coming days' partitions. A group that is gone keeps no day longer than a month."""
        today = now.astimezone(UTC).date()
        async with _translated():
            await self._make_days({today + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD + 1)})
            async with self._pool.acquire() as connection:
                oldest = await connection.fetchval("select min(clock) from runtime.part")
                if oldest is None:
                    return
                applied = min(oldest.astimezone(UTC).date(), today) - timedelta(days=REMEMBER_D + 1)
                keep_from = max(applied, today - timedelta(days=_KEEP_D))
                names = await connection.fetch(
                    "select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid"
                    " where i.inhparent = 'runtime.seen'::regclass"
                )
                for row in names:
                    day = datetime.strptime(row["name"].removeprefix("seen_"), "%Y%m%d").date()  # noqa: DTZ007
                    if day < keep_from:
                        await connection.execute(f"drop table if exists runtime.{row['name']}")
                        self._days.discard(day)

    async def _make_days(self, days: Collection[date]) -> None:
        """Own connection: a table made in the consumer's transaction would hold its lock until commit."""
        if not days:
            return
        async with self._pool.acquire() as connection:
            for day in sorted(days):
                async with connection.transaction():
                    # Two groups may meet a new day at once, and `if not exists` alone is not safe against that.
                    await connection.execute("select pg_advisory_xact_lock(hashtext('runtime.seen'))")
                    name = f"runtime.seen_{day:%Y%m%d}"
                    if await connection.fetchval("select to_regclass($1) is not null", name):
                        continue
                    # Made beside and attached: `partition of` would wait for every other group's transaction.
                    await connection.execute(f"create table {name} (like runtime.seen including all)")
                    await connection.execute(
                        f"alter table runtime.seen attach partition {name}"
                        f" for values from ('{day}') to ('{day + timedelta(days=1)}')"
                    )
        self._days |= set(days)


async def remember_in(
    tx: "Connection", schema: Literal["runtime", "pg_temp"], group_id: int, identities: Sequence[Identity]
) -> set[int]:
    """As PartStore.remember, in the tables `seen` and `seen_import` of `schema`."""
    rows = await tx.fetch(
        _FIND_DUPLICATES.replace("runtime.", f"{schema}."),
        group_id,
        [identity.part for identity in identities],
        [identity.hash for identity in identities],
        [identity.recorded_at.date() for identity in identities],
        [identity.imported for identity in identities],
        REMEMBER_D,
    )
    return {row["index"] - 1 for row in rows}


async def open_parts(pool: asyncpg.Pool, group: str) -> PostgresParts:
    """The part store of `group`, known to the database from now on; raises StoreUnavailable."""
    async with _translated():
        group_id = await pool.fetchval(
            "with made as (insert into runtime.grp (name) values ($1) on conflict (name) do nothing returning id)"
            " select id from made union all select id from runtime.grp where name = $1 limit 1",
            group,
        )
        if group_id is None:
            await asyncio.sleep(0)
            group_id = await pool.fetchval("select id from runtime.grp where name = $1", group)
    return PostgresParts(pool, group, group_id)
