"""What has been projected, for those who may show no more than that.

The projector announces each commit; every gateway process hears of it, its own like any other's, through
the database.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from telemetry.logs import get_logger

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_CHANNEL = "gateway_projected"
_ANNOUNCE_EVERY_S = 0.005
_POLL_S = 0.2

DATABASE_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the driver raises while the database is away."""

_log = get_logger("gate")


class Projected(NamedTuple):
    """One part of one topic: everything before `next` is projected, `unshown` offsets are not to be shown."""

    next: int
    unshown: frozenset[int]


class Announcer:
    """Tells all gateways that the projector committed, at most every 5 ms; `run` needs an owner."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._pending = asyncio.Event()
        self._topics: set[str] = set()

    def announce(self, topics: Collection[str]) -> None:
        """Say soon that something of these topics was projected; never waits."""
        self._topics |= set(topics)
        self._pending.set()

    async def run(self) -> None:
        while True:
            try:
                async with self._pool.acquire() as connection:
                    # A lost announcement costs one poll interval, a flush of the log on each costs throughput.
                    # The pool resets the setting when it gets the connection back.
                    await connection.execute("set synchronous_commit = off")
                    while True:
                        await self._pending.wait()
                        self._pending.clear()
                        # Taken before the wait: what is announced meanwhile must be told by the next turn.
                        told, self._topics = self._topics, set()
                        await connection.execute("select pg_notify($1, $2)", _CHANNEL, ",".join(sorted(told)))
                        await asyncio.sleep(_ANNOUNCE_EVERY_S)
            except DATABASE_AWAY as error:
                _log.warning("announcer_waits", reason=str(error))
                await asyncio.sleep(1.0)


class Gate:
    """Reads what is projected of a topic."""

    def __init__(self, pool: asyncpg.Pool, group: str) -> None:
        self._pool = pool
        self._group = group
        self._changed = asyncio.Condition()
        self._generations: Counter[str] = Counter()

    async def projected(self, topic: str, shown: Mapping[int, int]) -> Mapping[int, Projected]:
        """By part, how far `topic` is projected, with the unshown offsets from `shown[part]` on.

        Positions and marks are of one snapshot. Parts never consumed are missing.
        """
        rows = await self._pool.fetch(
            "select p.part, p.next, array(select u.off from gateway.unshown u"
            " where u.topic = p.topic and u.part = p.part and u.off >= w.shown and u.off < p.next) as unshown"
            " from runtime.position p join runtime.grp g on g.id = p.grp"
            " join unnest($3::smallint[], $4::bigint[]) as w(part, shown) on w.part = p.part"
            " where g.name = $1 and p.topic = $2 and p.next > w.shown",
            self._group,
            topic,
            list(shown),
            list(shown.values()),
        )
        return {row["part"]: Projected(row["next"], frozenset(row["unshown"])) for row in rows}

    def generation(self, topic: str) -> int:
        """Rises with each announcement heard of the topic."""
        return self._generations[topic]

    async def wait(self, topic: str, generation: int) -> None:
        """Return when an announcement newer than `generation` was heard, or after the poll interval."""
        async with self._changed:
            try:
                async with asyncio.timeout(_POLL_S):
                    await self._changed.wait_for(lambda: self._generations[topic] > generation)
            except TimeoutError:
                return

    async def run(self) -> None:
        """Listen until cancelled; without the database, waiting falls back to the poll interval."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._listen(connection)
            except DATABASE_AWAY as error:
                _log.warning("gate_deaf", reason=str(error))
            await asyncio.sleep(1.0)

    async def _listen(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        """Return when the connection ends."""
        heard = asyncio.Event()

        def hear(_connection: object, _pid: int, _channel: str, topics: object) -> None:
            self._generations.update(str(topics).split(","))
            heard.set()

        def end(_: object) -> None:
            heard.set()

        connection.add_termination_listener(end)
        await connection.add_listener(_CHANNEL, hear)
        try:
            while not connection.is_closed():
                await heard.wait()
                heard.clear()
                async with self._changed:
                    self._changed.notify_all()
        finally:
            connection.remove_termination_listener(end)
            # An error of a dying connection must not take the place of a cancellation.
            with suppress(*DATABASE_AWAY):
                await connection.remove_listener(_CHANNEL, hear)
