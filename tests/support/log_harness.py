"""What the log's contract suite needs of each adapter beside the port: a second process, time, outages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import asyncpg

from eventlog.memory import MemoryLog
from eventlog.port import EventLog
from eventlog.postgres import create_topics, open_log
from eventlog.postgres_segments import drop_segments
from eventlog.postgres_session import Session
from lifecycle.migrations import Owner
from postgres_server import PostgresServer

PARTITIONS = 4
TOPICS = ("contract.one", "contract.two")
MAX_BYTES = 10_000
LOG_OWNER = Owner("log", "eventlog.log_schema")


class Stalled(NamedTuple):
    log: EventLog
    resume: Callable[[], Awaitable[None]]


class LogHarness(Protocol):
    """A log with two topics of PARTITIONS partitions; no message may be larger than MAX_BYTES."""

    kind: str
    log: EventLog
    topic: str
    other_topic: str

    def peer(self) -> AbstractAsyncContextManager[EventLog]:
        """The same log as another process opens it."""
        ...

    async def forget(self) -> None:
        """Let everything appended so far grow older than the retention, and leave the log."""
        ...

    def away(self) -> AbstractAsyncContextManager[None]:
        """Inside, the log does not answer."""
        ...

    def stalled(self, max_queue_bytes: int) -> AbstractAsyncContextManager[Stalled]:
        """A log with a queue of that bound, which takes appends but stores none until it may resume."""
        ...


@dataclass
class MemoryHarness:
    log: EventLog
    memory: MemoryLog
    kind: str = "memory"
    topic: str = TOPICS[0]
    other_topic: str = TOPICS[1]

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[EventLog]:
        yield self.log

    async def forget(self) -> None:
        for topic in (self.topic, self.other_topic):
            for number, head in enumerate(await self.log.heads(topic)):
                self.memory.truncate(topic, number, head)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        self.memory.away = True
        yield
        self.memory.away = False

    @asynccontextmanager
    async def stalled(self, max_queue_bytes: int) -> AsyncIterator[Stalled]:
        async def resume() -> None:
            raise AssertionError("Memory never stalls.")

        yield Stalled(self.log, resume)


@asynccontextmanager
async def memory_harness() -> AsyncIterator[LogHarness]:
    memory = MemoryLog(PARTITIONS, TOPICS, MAX_BYTES)
    yield MemoryHarness(memory, memory)


@dataclass
class PostgresHarness:
    log: EventLog
    url: str
    admin_url: str
    kind: str = "postgres"
    topic: str = TOPICS[0]
    other_topic: str = TOPICS[1]

    def peer(self) -> AbstractAsyncContextManager[EventLog]:
        return open_log(self.url, max_bytes=MAX_BYTES)

    async def forget(self) -> None:
        async with connected(self.url) as connection, connection.transaction():
            today = await connection.fetchval("SELECT log.day_of(clock_timestamp())")
            await connection.execute("SELECT log.make_segments($1, $1)", today - 20)
            for table in ("record", "segment", "part"):
                await connection.execute(
                    f"UPDATE log.{table} SET segment = $1 WHERE segment >= 0", today - 20
                )
        session = Session(self.url, 60)
        await drop_segments(session, 8)
        await session.close()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        name = self.url.split("@/")[1].split("?")[0]
        async with connected(self.admin_url) as admin:
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name
            )
            try:
                yield
            finally:
                await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    @asynccontextmanager
    async def stalled(self, max_queue_bytes: int) -> AsyncIterator[Stalled]:
        async with open_log(self.url, max_queue_bytes=max_queue_bytes) as log, connected(self.url) as blocker:
            # Held locks stall the one transaction in flight, as a slow disk would.
            transaction = blocker.transaction()
            await transaction.start()
            await blocker.execute("SELECT 1 FROM log.part FOR UPDATE")
            yield Stalled(log, transaction.rollback)


@asynccontextmanager
async def postgres_harness(server: PostgresServer) -> AsyncIterator[LogHarness]:
    async with server.database(await server.migrated([LOG_OWNER])) as url:
        await create_topics(url, TOPICS, PARTITIONS)
        async with open_log(url, max_bytes=MAX_BYTES) as log:
            yield PostgresHarness(log, url, server.url("postgres"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
