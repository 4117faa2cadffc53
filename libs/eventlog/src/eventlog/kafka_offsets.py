"""Where a Kafka topic's partitions begin and end.

aiokafka asks here, not librdkafka's admin client: after a broker's restart that one went on asking with the
leader's old epoch and was refused for as long as we watched, and a broker that hung made it answer offset
-1001 as if that were one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndTimestamp

from eventlog.errors import LogUnavailable
from eventlog.kafka_driver import start_consumer, stop_consumer, translated
from eventlog.port import Topic

_T = TypeVar("_T")
_TIMEOUT_S = 2.0


class KafkaOffsets:
    """Questions about offsets; each is answered or raises LogUnavailable within about 2 s."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._connecting = asyncio.Lock()

    async def heads(self, topic: Topic) -> Sequence[int]:
        """By part, the offset after the newest record."""
        found = await self._ask(topic, lambda consumer, parts: consumer.end_offsets(parts))
        return [found[part] for part in _parts(topic)]

    async def starts(self, topic: Topic) -> Sequence[int]:
        """By part, the offset of the oldest record."""
        found = await self._ask(topic, lambda consumer, parts: consumer.beginning_offsets(parts))
        return [found[part] for part in _parts(topic)]

    async def positions_at(self, topic: Topic, at_ms: int) -> Sequence[int]:
        """By part, the offset of the first record of that time or later; the head if there is none."""
        heads = await self.heads(topic)
        found: Mapping[TopicPartition, OffsetAndTimestamp | None] = await self._ask(
            topic, lambda consumer, parts: consumer.offsets_for_times(dict.fromkeys(parts, at_ms))
        )
        first = [found[part] for part in _parts(topic)]
        return [head if at is None else at.offset for head, at in zip(heads, first, strict=True)]

    async def close(self) -> None:
        """Let the connections go; a later question connects again."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _ask(
        self,
        topic: Topic,
        question: Callable[
            [AIOKafkaConsumer, Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, _T]]
        ],
    ) -> Mapping[TopicPartition, _T]:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                with translated(f"to tell the offsets of {topic.name}"):
                    return await question(await self._connected(), _parts(topic))
        except TimeoutError as error:
            await self.close()
            raise LogUnavailable(
                f"Kafka did not tell the offsets of {topic.name} within {_TIMEOUT_S:.0f} s."
            ) from error
        except LogUnavailable:
            await self.close()
            raise

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._connecting:
            if self._consumer is None:
                self._consumer = await start_consumer(
                    self._bootstrap,
                    request_timeout_s=_TIMEOUT_S,
                    max_partition_fetch_bytes=1,
                    fetch_max_wait_s=_TIMEOUT_S,
                )
            return self._consumer


def _parts(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for number in range(topic.partitions)]
