"""The consumer runtime on a real broker: each record once, while members come and go and the broker restarts."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from eventlog.batch import Batch
from eventlog.consumer import Consumer, FencedTransaction
from eventlog.errors import LogUnavailable
from eventlog.kafka import KafkaLog, open_log
from eventlog.parts import MemoryParts, MemoryTx
from eventlog.port import Message
from eventmodel import topics
from kafka_broker import Broker
from kafka_harness import create_topics
from lifecycle.clock import SystemClock
from telemetry.metrics import Metrics

USERS = 40
PARTITIONS = 8


class Ledger:
    """What a group applied, in the order of its commits."""

    def __init__(self) -> None:
        self.applied: list[tuple[str, int]] = []

    async def apply(self, tx: MemoryTx, batch: Batch) -> None:
        entries = [_entry(record.value) for record in batch.records]
        tx.on_commit(lambda: self.applied.extend(entries))

    async def committed(self, batch: Batch) -> None: ...

    async def tend(self, parts: frozenset[int], fenced: FencedTransaction[MemoryTx]) -> None: ...

    def forget(self, parts: frozenset[int]) -> None: ...


class Feed:
    """Writes numbered events of some users; a refused append is sent again with the same ids."""

    def __init__(self, log: KafkaLog, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._stopped = asyncio.Event()
        self.sent: Counter[str] = Counter()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for user in range(USERS):
                tasks.create_task(self._speak(f"user-{user}"))

    async def _speak(self, user: str) -> None:
        while not self._stopped.is_set():
            await self._send(user, self.sent[user])
            self.sent[user] += 1
            await asyncio.sleep(0.01)

    async def _send(self, user: str, number: int) -> None:
        value = json.dumps({"id": f"{user}/{number}", "origin": "live"}).encode()
        while True:
            try:
                await self._log.append(self._topic, [Message(f"p:u:{user}".encode(), value)])
            except LogUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def test_each_record_is_applied_once_while_members_come_and_go_and_the_broker_restarts(
    own_kafka_broker: Broker,
) -> None:
    name = f"consumer.{secrets.token_hex(4)}"
    live, backfill = f"{name}.live", f"{name}.backfill"
    await create_topics(own_kafka_broker.bootstrap, [live, backfill, topics.REJECTED], PARTITIONS)
    store, ledger = MemoryParts(), Ledger()

    def member() -> "_Member":
        return _Member(own_kafka_broker.bootstrap, name, [live], backfill, store, ledger)

    async with (
        asyncio.timeout(150),
        open_log(own_kafka_broker.bootstrap) as log,
        asyncio.TaskGroup() as tasks,
    ):
        feed = Feed(log, live)
        feeding = tasks.create_task(feed.run())

        async def settled(count: int) -> None:
            goal = len(ledger.applied) + count
            while len(ledger.applied) < goal:
                await asyncio.sleep(0.05)

        async with AsyncExitStack() as others, member().running():
            await settled(500)
            for _ in range(2):
                await others.enter_async_context(member().running())
                await settled(2_000)
            own_kafka_broker.kill()
            await asyncio.to_thread(own_kafka_broker.start)
            await settled(500)
            await others.aclose()
            await settled(500)
            feed.stop()
            await feeding
            while len(ledger.applied) < feed.sent.total():
                await asyncio.sleep(0.05)

    assert set(Counter(ledger.applied).values()) == {1}
    assert len(ledger.applied) == feed.sent.total()
    for user in feed.sent:
        numbers = [number for name, number in ledger.applied if name == user]
        assert numbers == list(range(feed.sent[user]))


async def test_a_group_begins_to_read_one_more_topic_while_an_old_member_still_runs(
    kafka_broker: Broker,
) -> None:
    """As an installation is upgraded: member by member, with positions in the topics it has read so far."""
    name = f"consumer.{secrets.token_hex(4)}"
    live, backfill, more = f"{name}.live", f"{name}.backfill", f"{name}.more"
    await create_topics(kafka_broker.bootstrap, [live, backfill, more], PARTITIONS)
    store, ledger = MemoryParts(), Ledger()

    async def applied(count: int) -> None:
        async with asyncio.timeout(60):
            while len(ledger.applied) < count:
                await asyncio.sleep(0.05)

    def messages(what: str) -> list[Message]:
        users = (f"user-{user}" for user in range(USERS))
        return [
            Message(f"p:u:{user}".encode(), json.dumps({"id": f"{user}-{what}/0"}).encode()) for user in users
        ]

    def member(*topics: str) -> "_Member":
        return _Member(kafka_broker.bootstrap, name, topics, backfill, store, ledger)

    async with open_log(kafka_broker.bootstrap) as log:
        await log.append(more, messages("refused before"))
        async with member(live).running():
            await log.append(live, messages("before"))
            await applied(USERS)
            async with member(live, more).running():
                await log.append(live, messages("meanwhile"))
                await applied(2 * USERS)
        async with member(live, more).running():
            await applied(3 * USERS)
            await log.append(live, messages("after"))
            await log.append(more, messages("refused after"))
            await applied(5 * USERS)
    assert set(Counter(ledger.applied).values()) == {1}


class _Member:
    def __init__(
        self,
        bootstrap: str,
        group: str,
        live: Sequence[str],
        backfill: str,
        store: MemoryParts,
        ledger: Ledger,
    ) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._live = live
        self._backfill = backfill
        self._store = store
        self._ledger = ledger

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with open_log(self._bootstrap) as log, asyncio.TaskGroup() as tasks:
            consumer = Consumer(
                group=self._group,
                live=self._live,
                backfill=[self._backfill],
                log=log,
                store=self._store,
                handler=self._ledger,
                clock=SystemClock(),
                metrics=Metrics("test"),
            )
            running = tasks.create_task(consumer.run())
            yield
            running.cancel()


def _entry(value: bytes) -> tuple[str, int]:
    user, _, number = json.loads(value)["id"].partition("/")
    return user, int(number)
