"""The log on PostgreSQL: the embedded default and small installations.

Schema `log` (`eventlog.log_schema`) is applied by `lifecycle.migrations`; topics are made by
`create_topics`, never by opening. A process opens one log: it owns one appender, one listener, one
connection per reader and one per membership. It needs connections of its own kind: a pooler that shares
them between transactions breaks group membership.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from eventlog.errors import LogUnavailable, MessageTooLarge, UnknownTopic
from eventlog.port import Person, Topic
from eventlog.postgres_appender import MESSAGE_OVERHEAD_BYTES, Appender, Call, Queue
from eventlog.postgres_blank import blank_records
from eventlog.postgres_group import IDLE_S, PostgresMember
from eventlog.postgres_reader import PostgresReader
from eventlog.postgres_segments import drop_segments, make_segments
from eventlog.postgres_session import Connection, Session
from eventlog.postgres_wakes import Wakes
from eventmodel import part, topics
from telemetry.logs import get_logger

RETENTION_D = 8
APPEND_LIMIT_S = 1.5
READ_LIMIT_S = 10.0
QUEUE_BYTES = 32 * 1024 * 1024
UPKEEP_EVERY_S = 3_600
UPKEEP_LIMIT_S = 600.0
UPKEEP_RETRY_S = 30

_log = get_logger("eventlog")


class PostgresLog:
    """See `eventlog.port.EventLog`; made by `open_log`."""

    def __init__(self, url: str, appender: Appender, wakes: Wakes, max_bytes: int) -> None:
        self._url = url
        self._appender = appender
        self._wakes = wakes
        self._max_bytes = max_bytes
        self._asking = Session(url, READ_LIMIT_S)
        self._known: dict[str, tuple[int, int]] = {}

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        sizes = [len(key) + len(value) for key, value in messages]
        for index, size in enumerate(sizes):
            if size > self._max_bytes:
                raise MessageTooLarge(index, size, self._max_bytes)
        topic_id, partitions = await self._resolve(topic)
        if not messages:
            return
        call = Call(
            topic,
            topic_id,
            messages,
            [size + MESSAGE_OVERHEAD_BYTES for size in sizes],
            [part(key, partitions) for key, _ in messages],
            asyncio.get_running_loop().create_future(),
        )
        try:
            await self._appender.append(call)
        except LogUnavailable:
            # The topic may have been made anew: the next append looks it up again.
            self._known.pop(topic, None)
            raise

    async def topic(self, name: str) -> Topic:
        async with self._asking.use() as connection:
            row = await connection.fetchrow(
                "SELECT id, log_id, partitions FROM log.topic WHERE name = $1", name
            )
        if row is None:
            self._known.pop(name, None)
            raise UnknownTopic(name)
        self._known[name] = row["id"], row["partitions"]
        return Topic(name, row["log_id"], row["partitions"])

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[PostgresReader]:
        session = Session(self._url, READ_LIMIT_S)
        reader = PostgresReader(session, self._topic_id)
        self._wakes.add(reader)
        try:
            yield reader
        finally:
            self._wakes.remove(reader)
            await session.close()

    @asynccontextmanager
    async def join(self, group: str, topics: Sequence[str]) -> AsyncIterator[PostgresMember]:
        async def partitions() -> int:
            counts = {name: (await self.topic(name)).partitions for name in topics}
            if len(set(counts.values())) != 1:
                raise ValueError(f"The topics of group {group} differ in their partitions: {counts}.")
            return counts.popitem()[1]

        session = Session(self._url, APPEND_LIMIT_S, {"idle_session_timeout": str(IDLE_S * 1000)})
        try:
            yield PostgresMember(session, group, partitions)
        finally:
            await session.close()

    async def heads(self, topic: str) -> Sequence[int]:
        return await self._by_part(topic, "SELECT next FROM log.part WHERE topic = $1 ORDER BY part")

    async def starts(self, topic: str) -> Sequence[int]:
        return await self._by_part(topic, "SELECT start FROM log.starts($1) ORDER BY part")

    async def positions_at(self, topic: str, at: datetime) -> Sequence[int]:
        return await self._by_part(
            topic, "SELECT log.position_at(topic, part, $2) FROM log.part WHERE topic = $1 ORDER BY part", at
        )

    async def blank(self, person: Person, theirs: Callable[[bytes, bytes], bool]) -> int:
        session = Session(self._url, UPKEEP_LIMIT_S)
        try:
            return await blank_records(session, person, theirs)
        finally:
            await session.close()

    async def ping(self) -> None:
        async with self._asking.use(APPEND_LIMIT_S) as connection:
            await connection.fetchval("SELECT 1")

    async def close(self) -> None:
        await self._asking.close()

    async def _by_part(self, topic: str, query: str, *arguments: object) -> list[int]:
        topic_id = (await self._resolve(topic))[0]
        async with self._asking.use() as connection:
            return [row[0] for row in await connection.fetch(query, topic_id, *arguments)]

    async def _topic_id(self, name: str) -> int:
        return (await self._resolve(name))[0]

    async def _resolve(self, name: str) -> tuple[int, int]:
        """The topic's row id and partitions, from memory where it is known."""
        found = self._known.get(name)
        if found is None:
            await self.topic(name)
            found = self._known[name]
        return found


@asynccontextmanager
async def open_log(
    url: str,
    *,
    retention_d: int = RETENTION_D,
    max_queue_bytes: int = QUEUE_BYTES,
    max_bytes: int = topics.MAX_RECORD_BYTES,
) -> AsyncIterator[PostgresLog]:
    """The log in the database at `url`; nothing connects before it is needed.

    `max_queue_bytes` bounds what waits to be appended, for live topics and for the backfill apart.
    On leaving, waiting appends fail with LogUnavailable.
    """
    async with AsyncExitStack() as stack:
        appending = Session(url, APPEND_LIMIT_S, {"synchronous_commit": "on"})
        # What it commits are notifications only, and losing one costs a poll.
        listening = Session(url, READ_LIMIT_S, {"synchronous_commit": "off"})
        upkeep = Session(url, UPKEEP_LIMIT_S)
        for session in (appending, listening, upkeep):
            stack.push_async_callback(session.close)
        wakes = Wakes(listening)
        appender = Appender(appending, Queue(max_queue_bytes, {topics.BACKFILL}), wakes.committed)
        log = PostgresLog(url, appender, wakes, max_bytes)
        stack.push_async_callback(log.close)
        raised: BaseException | None = None
        async with asyncio.TaskGroup() as tasks:
            owned = [
                tasks.create_task(work) for work in (appender.run(), wakes.run(), _keep(upkeep, retention_d))
            ]
            try:
                yield log
            except BaseException as error:  # the caller's own, raised again below and not as a group
                raised = error
            for task in owned:
                task.cancel()
        if raised is not None:
            raise raised


async def create_topics(url: str, names: Sequence[str], partitions: int) -> Sequence[Topic]:
    """Make the topics that do not exist yet, and the segments of the next days; all of them as they are.

    A topic that exists keeps its log id and its count, whatever `partitions` says. Raises LogUnavailable.
    """
    session = Session(url, READ_LIMIT_S)
    try:
        async with session.use() as connection, connection.transaction():
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('footfall log.create_topics', 0))"
            )
            await make_segments(connection)
            return [await _create_topic(connection, name, partitions) for name in names]
    finally:
        await session.close()


async def _create_topic(connection: Connection, name: str, partitions: int) -> Topic:
    made = await connection.fetchval(
        "INSERT INTO log.topic (name, log_id, partitions) VALUES ($1, $2, $3)"
        " ON CONFLICT (name) DO NOTHING RETURNING id",
        name,
        secrets.token_hex(8),
        partitions,
    )
    if made is not None:
        await connection.execute(
            "INSERT INTO log.part (topic, part) SELECT $1, p FROM generate_series(0, $2::integer - 1) p",
            made,
            partitions,
        )
    row = await connection.fetchrow("SELECT log_id, partitions FROM log.topic WHERE name = $1", name)
    if row is None:
        raise UnknownTopic(name)
    return Topic(name, row["log_id"], row["partitions"])


async def _keep(session: Session, retention_d: int) -> None:
    """Make segments in advance and drop old ones, every hour until cancelled."""
    while True:
        try:
            async with session.use() as connection:
                await make_segments(connection)
            for day in await drop_segments(session, retention_d):
                _log.info("log_segment_dropped", day=day, retention_d=retention_d)
        except LogUnavailable as error:
            _log.warning("log_upkeep_waits", reason=str(error), pause_s=UPKEEP_RETRY_S)
            await asyncio.sleep(UPKEEP_RETRY_S)
        else:
            await asyncio.sleep(UPKEEP_EVERY_S)
