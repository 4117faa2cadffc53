"""Membership on a real broker: what a group does about members that go, fall silent or return."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from eventlog.errors import LogUnavailable
from eventlog.kafka import KafkaLog, open_log
from eventlog.kafka_group import KafkaMember
from eventlog.port import Member
from kafka_broker import Broker
from kafka_harness import create_topics

PARTITIONS = 8
ALL = frozenset(range(PARTITIONS))


@pytest.fixture
async def topic(own_kafka_broker: Broker) -> str:
    name = f"group.{secrets.token_hex(4)}"
    await create_topics(own_kafka_broker.bootstrap, [name], PARTITIONS)
    return name


@pytest.fixture
async def log(own_kafka_broker: Broker) -> AsyncIterator[KafkaLog]:
    async with open_log(own_kafka_broker.bootstrap) as log:
        yield log


async def test_who_stays_keeps_its_parts_when_another_comes_and_goes(log: KafkaLog, topic: str) -> None:
    async with log.join(topic, [topic]) as first, log.join(topic, [topic]) as second:
        await _until(lambda one, two: one | two == ALL and not one & two and len(one) == 4, first, second)
        before = await first.assignment(), await second.assignment()
        async with log.join(topic, [topic]) as third:
            await _until(
                lambda *parts: frozenset().union(*parts) == ALL and len(parts[2]) == 2, first, second, third
            )
            after = await first.assignment(), await second.assignment()
            assert after[0] < before[0]
            assert after[1] < before[1]
        await _until(lambda one, two: one | two == ALL and after[0] < one and after[1] < two, first, second)


async def test_a_member_that_falls_silent_loses_its_parts_and_gets_some_when_it_speaks(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.kafka_group.MAX_SILENCE_S", 2)
    async with log.join(topic, [topic]) as silent, log.join(topic, [topic]) as lively:
        await _until(lambda one, two: len(one) == len(two) == 4, silent, lively)
        await _until(lambda parts: parts == ALL, lively)
        await _until(lambda one, two: len(one) == len(two) == 4 and not one & two, silent, lively)


async def test_the_parts_of_a_member_that_died_pass_on(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    dead = KafkaMember(own_kafka_broker.bootstrap, topic, topic)
    async with log.join(topic, [topic]) as heir:
        await dead.join()
        await _until(lambda one, two: len(one) == len(two) == 4, dead, heir)
        # As a killed process would: no word of leave, no heartbeat more.
        assert dead._coordinator is not None
        await dead._coordinator._stop_heartbeat_task()
        dead._coordinator.generation = -1
        await dead.leave()
        await _until(lambda parts: parts == ALL, heir)


async def test_two_groups_of_one_process_do_not_mix(log: KafkaLog, topic: str) -> None:
    async with log.join(f"{topic}-a", [topic]) as one, log.join(f"{topic}-b", [topic]) as other:
        async with log.join(f"{topic}-a", [topic]) as two:
            await _until(lambda *parts: [len(p) for p in parts] == [4, 4, 8], one, two, other)
        await _until(lambda *parts: [len(p) for p in parts] == [8, 8], one, other)


async def test_membership_outlives_a_restart_of_the_broker(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    async with log.join(topic, [topic]) as one, log.join(topic, [topic]) as two:
        await _until(lambda a, b: len(a) == len(b) == 4, one, two)
        own_kafka_broker.kill()
        await asyncio.to_thread(own_kafka_broker.start)
        async with log.join(topic, [topic]) as three:
            await _until(lambda *parts: sorted(len(p) for p in parts) == [2, 3, 3], one, two, three)


async def test_leaving_takes_no_longer_when_the_broker_is_away(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    try:
        async with asyncio.timeout(30):
            async with log.join(topic, [topic]) as member:
                await _until(lambda parts: parts == ALL, member)
                own_kafka_broker.freeze()
                began = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began < 10
    finally:
        own_kafka_broker.thaw()


async def test_topics_of_different_width_cannot_share_a_group(
    own_kafka_broker: Broker, log: KafkaLog, topic: str
) -> None:
    narrow = f"{topic}.narrow"
    await create_topics(own_kafka_broker.bootstrap, [narrow], 2)
    with pytest.raises(ValueError, match="same number of partitions"):
        async with log.join(topic, [topic, narrow]):
            pytest.fail("joined")


async def test_joining_a_log_that_is_away_says_so() -> None:
    async with open_log("127.0.0.1:1") as log:
        with pytest.raises(LogUnavailable):
            async with log.join("nobody", ["nothing"]):
                pytest.fail("joined")


async def _until(settled: Callable[..., bool], *members: Member) -> None:
    async with asyncio.timeout(45):
        while not settled(*[await member.assignment() for member in members]):
            await asyncio.sleep(0.1)
