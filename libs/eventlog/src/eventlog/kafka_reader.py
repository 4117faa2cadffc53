"""The reading half of the Kafka adapter: aiokafka without a group, on partitions and positions of our choice."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from eventlog.errors import BeyondHead, LogUnavailable, Truncated
from eventlog.kafka_driver import start_consumer, stop_consumer, translated
from eventlog.port import EventLog, Positions, Record, TopicPart
from telemetry.logs import get_logger

_QUIET_S = 5.0
_RETRY_S = 0.1

_log = get_logger("eventlog.kafka")


class KafkaReader:
    """A Reader of `log`, connected at its first fetch."""

    def __init__(self, bootstrap: str, log: EventLog) -> None:
        self._bootstrap = bootstrap
        self._log = log
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[TopicPart, int] = {}
        # Where the driver stands; a partition that is missing here is sought again.
        self._sought: dict[TopicPart, int] = {}
        self._served: set[TopicPartition] = set()
        self._quiet_since = 0.0
        self._behind = False

    def assign(self, positions: Positions) -> None:
        self._positions = dict(positions)

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        if not self._positions:
            await asyncio.sleep(timeout_s)
            return []
        consumer = self._consumer or await self._connect()
        self._seek(consumer)
        wanted = self._positions
        try:
            with translated("to read"):
                found = await self._take(consumer, max_records, timeout_s)
        except LogUnavailable as error:
            # What it had taken from other partitions meanwhile is lost with the error: seek them all again.
            self._sought.clear()
            if not isinstance(error.__cause__, OffsetOutOfRangeError):
                raise
            await self._explain(error.__cause__.args[0])
            return []
        if self._positions is not wanted:
            # Assigned anew meanwhile: nobody asked for these.
            self._sought.clear()
            return []
        if not found:
            await self._check_quiet()
            return []
        self._positions.update(self._sought)
        self._quiet_since = asyncio.get_running_loop().time()
        self._behind = False
        return found

    async def close(self) -> None:
        """Let the connections go; a later fetch connects again."""
        consumer, self._consumer = self._consumer, None
        self._sought.clear()
        if consumer is not None:
            await stop_consumer(consumer)

    async def _connect(self) -> AIOKafkaConsumer:
        self._consumer = await start_consumer(
            self._bootstrap,
            request_timeout_s=5,
            # A chunk is decoded at once: a large one would hold up the event loop.
            max_partition_fetch_bytes=256 * 1024,
            # The first answer after a new assignment waits behind the long poll of the old one.
            fetch_max_wait_s=0.2,
        )
        self._quiet_since = asyncio.get_running_loop().time()
        return self._consumer

    def _seek(self, consumer: AIOKafkaConsumer) -> None:
        if self._sought == self._positions:
            return
        if self._sought.keys() != self._positions.keys():
            # The driver forgets all positions and what it has in hand.
            consumer.assign([TopicPartition(*where) for where in self._positions])
            self._sought.clear()
            self._served.clear()
        for where, position in self._positions.items():
            if self._sought.get(where) != position:
                consumer.seek(TopicPartition(*where), position)
        self._sought = dict(self._positions)
        self._quiet_since = asyncio.get_running_loop().time()

    async def _take(self, consumer: AIOKafkaConsumer, max_records: int, timeout_s: float) -> list[Record]:
        """A share for every partition that has records, then the rest for any, else wait for the first.

        The driver serves a partition until it has no more: whoever was served must stand back.
        """
        every = {TopicPartition(*where) for where in self._positions}
        share = max(1, max_records // len(every))
        taken: list[Record] = []
        while len(taken) < max_records:
            room = max_records - len(taken)
            waiting = every - self._served
            got = await consumer.getmany(*waiting, max_records=min(share, room)) if waiting else {}
            if got:
                self._served.update(got)
            elif taken:
                got = await consumer.getmany(max_records=room)
                self._served = set(got)
                return taken + self._records(got)
            else:
                self._served.clear()
                got = await consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=min(share, room))
                if not got:
                    break
                self._served.update(got)
            taken += self._records(got)
        return taken

    def _records(self, got: Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]) -> list[Record]:
        records: list[Record] = []
        at_ms = -1
        recorded_at = datetime.min.replace(tzinfo=UTC)
        for (topic, number), batch in got.items():
            for one in batch:
                # The broker stamps a batch once: mostly the time is that of the record before.
                if one.timestamp != at_ms:
                    at_ms = one.timestamp
                    recorded_at = datetime.fromtimestamp(at_ms / 1000, UTC)
                records.append(
                    Record(topic, number, one.offset, recorded_at, one.key or b"", one.value or b"")
                )
            self._sought[TopicPart(topic, number)] = batch[-1].offset + 1
        return records

    async def _explain(self, out_of_range: Mapping[TopicPartition, int]) -> None:
        for (topic, number), position in out_of_range.items():
            start = (await self._log.starts(topic))[number]
            if position < start:
                raise Truncated(topic, number, position, start)
            head = (await self._log.heads(topic))[number]
            if position > head:
                raise BeyondHead(topic, number, position, head)
        # The leader that refused has caught up since.
        await asyncio.sleep(_RETRY_S)

    async def _check_quiet(self) -> None:
        """Tell silence from an outage, which the driver hides, and wake a driver that has stopped reading."""
        now = asyncio.get_running_loop().time()
        if now - self._quiet_since < _QUIET_S:
            return
        self._quiet_since = now
        behind = False
        for topic in {where.topic for where in self._positions}:
            heads = await self._log.heads(topic)
            behind |= any(heads[n] > at for (name, n), at in self._positions.items() if name == topic)
        if behind and self._behind:
            _log.warning("reader_stuck", positions=len(self._positions))
            await self.close()
        self._behind = behind
