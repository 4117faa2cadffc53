"""The log on Kafka: librdkafka produces, aiokafka consumes, and neither is seen past these files."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from eventlog.errors import MessageTooLarge, UnknownTopic
from eventlog.kafka_admin import KafkaAdmin
from eventlog.kafka_group import KafkaMember
from eventlog.kafka_offsets import KafkaOffsets
from eventlog.kafka_producer import KafkaAppender
from eventlog.kafka_reader import KafkaReader
from eventlog.port import Member, Person, Reader, Topic
from eventmodel import topics as names

_MAX_QUEUE_BYTES = 64 * 1024 * 1024


@asynccontextmanager
async def open_log(
    bootstrap: str, *, max_bytes: int = names.MAX_RECORD_BYTES, max_queue_bytes: int = _MAX_QUEUE_BYTES
) -> AsyncIterator["KafkaLog"]:
    """The log of the cluster at `bootstrap` (host:port, several separated by commas).

    Opening does not wait for the cluster: what needs it raises LogUnavailable until it answers. A message
    may have `max_bytes` of key and value; those under way hold at most `max_queue_bytes`. Leaving waits for
    them, up to 6 s.
    """
    async with AsyncExitStack() as stack:
        offsets = KafkaOffsets(bootstrap)
        stack.push_async_callback(offsets.close)
        appender = KafkaAppender(bootstrap, max_queue_bytes)
        stack.push_async_callback(appender.close)
        yield KafkaLog(bootstrap, appender, KafkaAdmin(bootstrap), offsets, max_bytes)


class KafkaLog:
    """An EventLog.

    `recorded_at` is the broker's clock when it appended, as long as the topic is set to LogAppendTime; it
    may fall back by what the clocks of two brokers differ when a partition's leader changes.
    """

    def __init__(
        self,
        bootstrap: str,
        appender: KafkaAppender,
        admin: KafkaAdmin,
        offsets: KafkaOffsets,
        max_bytes: int,
    ) -> None:
        self._bootstrap = bootstrap
        self._appender = appender
        self._admin = admin
        self._offsets = offsets
        self._max_bytes = max_bytes
        self._topics: dict[str, Topic] = {}

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        sizes = [len(key) + len(value) for key, value in messages]
        if not sizes:
            return
        if max(sizes) > self._max_bytes:
            index = next(n for n, size in enumerate(sizes) if size > self._max_bytes)
            raise MessageTooLarge(index, sizes[index], self._max_bytes)
        await self._known(topic)
        try:
            await self._appender.append(topic, messages, sum(sizes))
        except UnknownTopic:
            self._topics.pop(topic, None)
            raise

    async def topic(self, name: str) -> Topic:
        found = await self._admin.topic(name)
        self._topics[name] = found
        return found

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        reader = KafkaReader(self._bootstrap, self)
        try:
            yield reader
        finally:
            await reader.close()

    @asynccontextmanager
    async def join(self, group: str, topics: Sequence[str]) -> AsyncIterator[Member]:
        counts = {name: (await self.topic(name)).partitions for name in topics}
        if len(set(counts.values())) != 1:
            raise ValueError(
                f"The topics of a group must have the same number of partitions, but have {counts}."
            )
        member = KafkaMember(self._bootstrap, group, topics[0])
        try:
            await member.join()
            yield member
        finally:
            await member.leave()

    async def heads(self, topic: str) -> Sequence[int]:
        return await self._offsets.heads(await self._known(topic))

    async def starts(self, topic: str) -> Sequence[int]:
        return await self._offsets.starts(await self._known(topic))

    async def positions_at(self, topic: str, at: datetime) -> Sequence[int]:
        at_ms = math.ceil(at.timestamp() * 1000)
        return await self._offsets.positions_at(await self._known(topic), at_ms)

    async def blank(self, person: Person, theirs: Callable[[bytes, bytes], bool]) -> None:
        """Kafka deletes by age alone."""

    async def ping(self) -> None:
        await self._admin.ping()

    async def _known(self, topic: str) -> Topic:
        return self._topics.get(topic) or await self.topic(topic)
