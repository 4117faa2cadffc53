"""The Kafka adapter as the log's contract suite needs it: a second process, time, outages."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # seen only by name

from eventlog.kafka import open_log
from eventlog.kafka_topics import make_topics, topic_settings
from eventlog.port import EventLog
from eventmodel import topics
from kafka_broker import Broker
from log_harness import MAX_BYTES, PARTITIONS, LogHarness, Stalled


async def create_topics(bootstrap: str, names: Sequence[str], partitions: int) -> None:
    """Topics with the settings of ours on a single broker."""
    settings = topic_settings(topics.EVENTS, replication=1)
    await make_topics(bootstrap, [NewTopic(name, partitions, 1, config=settings) for name in names])


async def delete_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    await asyncio.wrap_future(admin.delete_topics([name])[name])


async def forget_records(bootstrap: str, name: str, partitions: int) -> None:
    """Delete all records, as retention does.

    Asks again with a new client when there is no answer: the request can hang after a broker's restart.
    """
    to_head = -1
    everywhere = [TopicPartition(name, number, to_head) for number in range(partitions)]
    for attempt in range(4):
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        asked = admin.delete_records(everywhere, request_timeout=10)
        done, waiting = await asyncio.wait([asyncio.wrap_future(one) for one in asked.values()], timeout=15)
        if not waiting and all(one.exception() is None for one in done):
            return
        assert attempt < 3, (
            f"records were not deleted: {[one.exception() for one in done]}, {len(waiting)} hang"
        )


@dataclass
class KafkaHarness:
    log: EventLog
    broker: Broker
    topic: str
    other_topic: str
    kind: str = "kafka"

    def peer(self) -> AbstractAsyncContextManager[EventLog]:
        return open_log(self.broker.bootstrap, max_bytes=MAX_BYTES)

    async def forget(self) -> None:
        for topic in (self.topic, self.other_topic):
            await forget_records(self.broker.bootstrap, topic, PARTITIONS)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        self.broker.kill()
        try:
            yield
        finally:
            await asyncio.to_thread(self.broker.start)

    @asynccontextmanager
    async def stalled(self, max_queue_bytes: int) -> AsyncIterator[Stalled]:
        async def resume() -> None:
            self.broker.thaw()

        async with open_log(self.broker.bootstrap, max_queue_bytes=max_queue_bytes) as log:
            await log.topic(self.topic)
            self.broker.freeze()
            try:
                yield Stalled(log, resume)
            finally:
                self.broker.thaw()


@asynccontextmanager
async def kafka_harness(broker: Broker) -> AsyncIterator[LogHarness]:
    one, two = (f"contract.{secrets.token_hex(4)}.{name}" for name in ("one", "two"))
    await create_topics(broker.bootstrap, [one, two], PARTITIONS)
    async with open_log(broker.bootstrap, max_bytes=MAX_BYTES) as log:
        yield KafkaHarness(log, broker, one, two)
