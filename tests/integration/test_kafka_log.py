"""The Kafka log against a real broker, where the contract suite does not reach: outages under load, other clients."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from confluent_kafka import KafkaError, Producer

from eventlog.errors import BeyondHead, LogBusy, LogUnavailable
from eventlog.kafka import KafkaLog, open_log
from eventlog.kafka_reader import KafkaReader
from eventlog.port import Message, Reader, Record, TopicPart
from eventmodel import part, topics
from kafka_broker import Broker
from kafka_harness import create_topics, delete_topic
from log_reading import keyed, read_all

PARTITIONS = 4


@pytest.fixture
async def topic(own_kafka_broker: Broker) -> str:
    name = f"log.{secrets.token_hex(4)}"
    await create_topics(own_kafka_broker.bootstrap, [name], PARTITIONS)
    return name


@pytest.fixture
async def log(own_kafka_broker: Broker) -> AsyncIterator[KafkaLog]:
    async with open_log(own_kafka_broker.bootstrap) as log:
        yield log


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_nothing_acknowledged_is_lost_when_the_broker_dies_under_load(
    own_kafka_broker: Broker, log: KafkaLog, topic: str, how: str
) -> None:
    acked: set[bytes] = set()
    refused = 0
    stop, written = asyncio.Event(), asyncio.Event()

    async def write(writer: int) -> None:
        nonlocal refused
        number = 0
        while not stop.is_set():
            messages = [Message(b"p:u:%d" % writer, b"%d-%d" % (writer, number + n)) for n in range(5)]
            number += 5
            try:
                await log.append(topic, messages)
            except LogUnavailable:
                refused += 1
                await asyncio.sleep(0.05)
            else:
                acked.update(value for _, value in messages)

    async def until_acked(more: int) -> None:
        goal = len(acked) + more
        async with asyncio.timeout(60):
            while len(acked) < goal:
                await asyncio.sleep(0.05)

    read: list[Record] = []

    async def follow() -> None:
        async with log.reader() as reader:
            reader.assign({TopicPart(topic, number): 0 for number in range(PARTITIONS)})
            while not (written.is_set() and acked <= {r.value for r in read}):
                try:
                    read.extend(await reader.fetch(500, 0.5))
                except LogUnavailable:
                    await asyncio.sleep(0.1)

    async with asyncio.timeout(120), asyncio.TaskGroup() as reading:
        reading.create_task(follow())
        async with asyncio.TaskGroup() as writing:
            for writer in range(8):
                writing.create_task(write(writer))
            await until_acked(200)
            if how == "killed":
                own_kafka_broker.kill()
                await asyncio.sleep(3)
                await asyncio.to_thread(own_kafka_broker.start)
            else:
                own_kafka_broker.freeze()
                await asyncio.sleep(6)
                own_kafka_broker.thaw()
            await until_acked(200)
            stop.set()
        written.set()

    assert len({(r.part, r.offset) for r in read}) == len(read)
    assert refused > 0
    for writer in range(8):
        said = [int(r.value.split(b"-")[1]) for r in read if r.key == b"p:u:%d" % writer]
        assert said == sorted(said)


async def test_appends_fail_fast_while_the_broker_is_away_and_work_when_it_is_back(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    await log.append(topic, keyed(1))
    own_kafka_broker.freeze()
    try:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_refusal(log, topic))
            await asyncio.sleep(2.2)
            began = asyncio.get_running_loop().time()
            refusals = [await _refusal(log, topic) for _ in range(100)]
            assert asyncio.get_running_loop().time() - began < 2
            assert "does not acknowledge" in str(refusals[-1])
            assert not waiting.done()
    finally:
        own_kafka_broker.thaw()
    await _append_until_taken(log, topic)


async def test_a_cancelled_append_leaves_no_trace_in_the_queue(own_kafka_broker: Broker, topic: str) -> None:
    message = Message(b"p:u:ada", b"x" * 1_000)
    async with open_log(own_kafka_broker.bootstrap, max_queue_bytes=4_000) as log:
        await log.append(topic, [message])
        own_kafka_broker.freeze()
        try:
            calls = [asyncio.ensure_future(log.append(topic, [message])) for _ in range(3)]
            await asyncio.sleep(0.1)
            for call in calls:
                call.cancel()
            assert all(isinstance(end, asyncio.CancelledError) for end in await _ends(calls))
            with pytest.raises(LogBusy):
                await log.append(topic, [message])
        finally:
            own_kafka_broker.thaw()
        async with asyncio.timeout(20):
            while sum(await log.heads(topic)) < 4:
                await asyncio.sleep(0.1)
        await log.append(topic, [message] * 3)


async def test_a_producer_that_met_a_fatal_error_is_replaced(log: KafkaLog, topic: str) -> None:
    await log.append(topic, keyed(1))
    log._appender._on_error(KafkaError(KafkaError._FATAL, "the broker lost our sequence", fatal=True))
    await log.append(topic, keyed(1))
    assert sum(await log.heads(topic)) == 2


async def test_a_loop_that_stood_still_is_not_an_outage(log: KafkaLog, topic: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(log.append(topic, keyed(1)))
        await asyncio.sleep(0.1)
        tasks.create_task(log.append(topic, keyed(1)))
        await asyncio.sleep(0)
        time.sleep(2.5)  # noqa: ASYNC251 - the standstill is the test
        await log.append(topic, keyed(1))


async def test_a_topic_made_anew_is_another_log(own_kafka_broker: Broker, log: KafkaLog, topic: str) -> None:
    before = await log.topic(topic)
    await log.append(topic, keyed(40))
    async with log.reader() as reader:
        reader.assign({TopicPart(topic, 0): (await log.heads(topic))[0]})
        assert await reader.fetch(1, 0.1) == []
        await delete_topic(own_kafka_broker.bootstrap, topic)
        await create_topics(own_kafka_broker.bootstrap, [topic], PARTITIONS)
        after = await log.topic(topic)
        assert after.partitions == before.partitions
        assert after.log_id != before.log_id
        with pytest.raises(BeyondHead):
            await _read_for_ever(reader)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_what_others_wrote_is_read_and_lies_where_we_would_put_it(
    own_kafka_broker: Broker, log: KafkaLog, topic: str, codec: str
) -> None:
    # librdkafka's own default partitioner differs; this one is Java's.
    settings = {
        "bootstrap.servers": own_kafka_broker.bootstrap,
        "compression.type": codec,
        "partitioner": "murmur2_random",
        "linger.ms": 50,
    }
    other = Producer(settings)
    keys = [b"p:u:%d" % number for number in range(100)]
    for key in keys:
        other.produce(topic, b"value of " + key, key)
    assert await asyncio.to_thread(other.flush, 10) == 0

    records = await read_all(log, topic, len(keys))
    assert {r.key: r.value for r in records} == {key: b"value of " + key for key in keys}
    assert all(r.part == part(r.key, PARTITIONS) for r in records)


async def test_a_record_without_key_or_value_is_read_as_empty(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    other = Producer({"bootstrap.servers": own_kafka_broker.bootstrap})
    other.produce(topic, None, None, 0)
    assert await asyncio.to_thread(other.flush, 10) == 0
    (record,) = await read_all(log, topic, 1)
    assert (record.key, record.value) == (b"", b"")


async def test_records_of_the_largest_size_are_read_beside_small_ones(log: KafkaLog, topic: str) -> None:
    """A chunk of the driver is smaller than a record may be, and a partition may have to wait for its turn."""
    keys = [b"p:u:%d" % number for number in range(24)]
    messages = [
        Message(key, random.Random(key).randbytes(topics.MAX_RECORD_BYTES - len(key) if n % 2 else 250))
        for n, key in enumerate(keys)
    ]
    await log.append(topic, messages)
    read = await read_all(log, topic, len(keys))
    assert sorted(Message(r.key, r.value) for r in read) == sorted(messages)


async def test_partitions_that_come_and_go_are_read_without_hole_or_repetition(
    log: KafkaLog, topic: str
) -> None:
    """A reader whose partitions change at every turn, as after rebalances, reads each record once."""
    await log.append(topic, keyed(4_000))
    heads = await log.heads(topic)
    positions = {TopicPart(topic, number): 0 for number in range(PARTITIONS)}
    choose = random.Random(4)
    counted: Counter[tuple[int, int]] = Counter()
    async with asyncio.timeout(60), log.reader() as reader:
        while any(positions[where] < heads[where.part] for where in positions):
            chosen = choose.sample(sorted(positions), choose.randint(1, PARTITIONS))
            reader.assign({where: positions[where] for where in chosen})
            for _ in range(choose.randint(1, 4)):
                for record in await reader.fetch(choose.randint(1, 200), 0.2):
                    where = TopicPart(record.topic, record.part)
                    assert record.offset == positions[where]
                    positions[where] += 1
                    counted[(record.part, record.offset)] += 1
    assert len(counted) == 4_000
    assert set(counted.values()) == {1}


async def test_a_reader_that_stopped_reading_is_woken(
    own_kafka_broker: Broker, log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver whose fetching has died keeps silent; the reader notices that the heads move on without it."""
    monkeypatch.setattr("eventlog.kafka_reader._QUIET_S", 0.5)
    async with log.reader() as reader:
        assert isinstance(reader, KafkaReader)
        reader.assign({TopicPart(topic, number): 0 for number in range(PARTITIONS)})
        await reader.fetch(1, 0.1)
        assert reader._consumer is not None
        reader._consumer._fetcher._fetch_task.cancel()
        await log.append(topic, keyed(10))
        read: list[Record] = []
        async with asyncio.timeout(20):
            while len(read) < 10:
                read += await reader.fetch(100, 0.2)
    assert len(read) == 10


async def test_a_reader_can_be_left_while_the_broker_is_gone(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    """The driver's stop ends in a CancelledError of its own then, which would end the caller without a word."""
    for wait_s in (0.1, 1.0):
        async with log.reader() as reader:
            reader.assign({TopicPart(topic, number): 0 for number in range(PARTITIONS)})
            await reader.fetch(1, 0.1)
            own_kafka_broker.kill()
            await asyncio.sleep(wait_s)
        await asyncio.to_thread(own_kafka_broker.start)
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]


async def test_any_key_lives_where_every_producer_looks_for_it(
    own_kafka_broker: Broker, log: KafkaLog
) -> None:
    """librdkafka chooses the partition; postgres, readers and other producers compute it."""
    name, partitions = f"log.{secrets.token_hex(4)}", 13
    await create_topics(own_kafka_broker.bootstrap, [name], partitions)
    chance = random.Random(3)
    keys = [chance.randbytes(number % 67) for number in range(5_000)]
    await log.append(name, [(key, b"") for key in keys])
    for record in await read_all(log, name, len(keys)):
        assert record.part == part(record.key, partitions), record.key


async def _refusal(log: KafkaLog, topic: str) -> LogUnavailable:
    with pytest.raises(LogUnavailable) as refused:
        await log.append(topic, keyed(1))
    return refused.value


async def _read_for_ever(reader: Reader) -> None:
    async with asyncio.timeout(30):
        while True:
            await reader.fetch(1, 0.5)


async def _append_until_taken(log: KafkaLog, topic: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await log.append(topic, keyed(1))
                return
            except LogUnavailable:
                await asyncio.sleep(0.05)


async def _ends(
    calls: Sequence["asyncio.Future[None]"],
) -> list[BaseException | None]:
    return await asyncio.gather(*calls, return_exceptions=True)
