"""What the consumer runtime promises, over both part stores: once, fenced, in order, live first."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import pytest
from structlog.testing import capture_logs

from eventlog.batch import Batch
from eventlog.consumer import Clock, Consumer, FencedTransaction
from eventlog.errors import BeyondHead, LogMismatch
from eventlog.memory import MemoryLog
from eventlog.parts import Fenced, MemoryParts, MemoryTx, PartStore
from eventlog.port import Message, Record, TopicPart
from eventlog.postgres_parts import open_parts
from eventmodel import topics
from fake_clock import FakeClock
from lifecycle.clock import SystemClock
from telemetry.metrics import Metrics

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

PARTS = 4


class Applier(Protocol):
    """A handler whose effects can be read back."""

    async def apply(self, tx: Any, batch: Batch) -> None: ...
    async def committed(self, batch: Batch) -> None: ...
    async def tend(self, parts: frozenset[int], fenced: FencedTransaction[Any]) -> None: ...
    def forget(self, parts: frozenset[int]) -> None: ...


class Stage(Protocol):
    """A store and what its handlers wrote."""

    store: PartStore[Any]

    async def write(self, tx: Any, records: Sequence[Record]) -> None: ...
    async def written(self) -> list[str]: ...
    async def remembered(self) -> int: ...


class MemoryStage:
    def __init__(self) -> None:
        self._parts = MemoryParts()
        self.store: PartStore[Any] = self._parts
        self._written: list[str] = []

    async def write(self, tx: MemoryTx, records: Sequence[Record]) -> None:
        ids = [id_of(record) for record in records]
        tx.on_commit(lambda: self._written.extend(ids))

    async def written(self) -> list[str]:
        return list(self._written)

    async def remembered(self) -> int:
        return self._parts.remembered


class PostgresStage:
    def __init__(self, pool: asyncpg.Pool, store: PartStore[Any]) -> None:
        self.store = store
        self._pool = pool

    async def write(self, tx: "Connection", records: Sequence[Record]) -> None:
        await tx.executemany("insert into applied (id) values ($1)", [(id_of(record),) for record in records])

    async def written(self) -> list[str]:
        return [row["id"] for row in await self._pool.fetch("select id from applied order by n")]

    async def remembered(self) -> int:
        return int(await self._pool.fetchval("select count(*) from runtime.seen"))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "memory":
        yield MemoryStage()
        return
    server = request.getfixturevalue("postgres_server")
    async with (
        server.database(await server.migrated()) as url,
        asyncpg.create_pool(url, min_size=1, max_size=6) as pool,
    ):
        await pool.execute("create table applied (n bigint generated always as identity, id text not null)")
        yield PostgresStage(pool, await open_parts(pool, "test"))


class Handler:
    """Writes each record's id; can fail on chosen ids, and can be held inside the transaction."""

    def __init__(self, stage: Stage, poison: frozenset[str] = frozenset()) -> None:
        self._stage = stage
        self._poison = poison
        self.duplicates: list[str] = []
        self.forgotten: set[int] = set()
        self.tended: set[int] = set()
        self.hold: asyncio.Event | None = None
        self.inside = asyncio.Event()

    async def apply(self, tx: Any, batch: Batch) -> None:
        await self._stage.write(tx, batch.records)
        self.inside.set()
        if self.hold is not None:
            await self.hold.wait()
        if bad := self._poison & {id_of(record) for record in batch.records}:
            raise ValueError(f"cannot apply {bad}")

    async def committed(self, batch: Batch) -> None:
        self.duplicates += [record.value.decode() for record in batch.duplicates]

    async def tend(self, parts: frozenset[int], fenced: FencedTransaction[Any]) -> None:
        self.tended |= parts

    def forget(self, parts: frozenset[int]) -> None:
        self.forgotten |= parts


def id_of(record: Record) -> str:
    decoded: dict[str, str] = json.loads(record.value)
    return decoded["id"]


def message(event_id: str, user: str = "ada", origin: str = "live") -> Message:
    return Message(f"p1:u:{user}".encode(), json.dumps({"id": event_id, "origin": origin}).encode())


def consumer(
    log: MemoryLog,
    stage: Stage,
    handler: Applier,
    clock: Clock | None = None,
    live: Sequence[str] = (topics.EVENTS,),
) -> Consumer[Any]:
    return Consumer(
        group="test",
        live=live,
        backfill=[topics.BACKFILL],
        log=log,
        store=stage.store,
        handler=handler,
        clock=clock or SystemClock(),
        metrics=Metrics("test"),
    )


@asynccontextmanager
async def running(*consumers: Consumer[Any]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(one.run()) for one in consumers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_written(stage: Stage, count: int) -> list[str]:
    async def enough() -> bool:
        return len(await stage.written()) >= count

    await until(enough)
    return await stage.written()


async def test_each_record_is_applied_once_in_the_order_of_its_key(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    async with running(consumer(log, stage, Handler(stage))):
        for n in range(50):
            await log.append(topics.EVENTS, [message(f"a{n}", "ada"), message(f"b{n}", "bob")])
        written = await until_written(stage, 100)
    assert [i for i in written if i.startswith("a")] == [f"a{n}" for n in range(50)]
    assert [i for i in written if i.startswith("b")] == [f"b{n}" for n in range(50)]


async def test_the_same_id_of_the_same_user_counts_once(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    handler = Handler(stage)
    async with running(consumer(log, stage, handler)):
        await log.append(topics.EVENTS, [message("x", "ada"), message("x", "ada"), message("x", "bob")])
        await until_written(stage, 2)
        await log.append(topics.EVENTS, [message("x", "ada"), message("last", "ada")])
        written = await until_written(stage, 3)
    assert sorted(written) == ["last", "x", "x"]
    assert handler.duplicates == [message("x").value.decode()] * 2


async def test_an_imported_copy_of_a_live_event_counts_once(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    async with running(consumer(log, stage, Handler(stage))):
        await log.append(topics.EVENTS, [message("x")])
        await until_written(stage, 1)
        await log.append(topics.BACKFILL, [message("x", origin="import"), message("y", origin="import")])
        await until_written(stage, 2)
        await log.append(topics.EVENTS, [message("y"), message("z")])
        written = await until_written(stage, 3)
    assert written == ["x", "y", "z"]


async def test_a_restart_goes_on_at_the_next_record(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    async with running(consumer(log, stage, Handler(stage))):
        await log.append(topics.EVENTS, [message(f"a{n}") for n in range(10)])
        await until_written(stage, 10)
    await log.append(topics.EVENTS, [message(f"a{n}") for n in range(10, 15)])
    handler = Handler(stage)
    async with running(consumer(log, stage, handler)):
        written = await until_written(stage, 15)
    assert written == [f"a{n}" for n in range(15)]
    assert handler.duplicates == []


async def test_what_was_not_committed_is_delivered_again(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    await log.append(topics.EVENTS, [message("x")])
    held = Handler(stage)
    held.hold = asyncio.Event()
    async with running(consumer(log, stage, held)):
        await asyncio.wait_for(held.inside.wait(), 10)
    assert await stage.written() == []
    async with running(consumer(log, stage, Handler(stage))):
        assert await until_written(stage, 1) == ["x"]


async def test_a_stalled_owner_cannot_commit_after_its_parts_have_a_new_owner(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    await log.append(topics.EVENTS, [message("x")])
    topic = await log.topic(topics.EVENTS)
    starts = {TopicPart(topics.EVENTS, n): 0 for n in range(PARTS)}
    old = await stage.store.acquire(range(PARTS), [topic], starts)
    new = await stage.store.acquire(range(PARTS), [topic], starts)
    assert all(new.epochs[n] > old.epochs[n] for n in range(PARTS))
    with pytest.raises(Fenced) as fenced:
        async with stage.store.transaction(old.epochs):
            pytest.fail("a zombie entered its transaction")
    assert fenced.value.parts == frozenset(range(PARTS))
    async with stage.store.transaction(new.epochs) as tx:
        await stage.store.advance(tx, {TopicPart(topics.EVENTS, 0): 1}, {})


async def test_a_member_that_leaves_hands_its_parts_over(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    first, second = Handler(stage), Handler(stage)
    async with running(consumer(log, stage, second)):
        async with running(consumer(log, stage, first)):

            async def shared() -> bool:
                return bool(first.tended) and bool(second.forgotten)

            await log.append(topics.EVENTS, [message(f"a{n}", f"user{n}") for n in range(40)])
            await until(shared)
            await until_written(stage, 40)
        await log.append(topics.EVENTS, [message(f"b{n}", f"user{n}") for n in range(40)])
        written = await until_written(stage, 80)
    assert len(set(written)) == 80 == len(written)


async def test_poison_is_set_aside_and_the_rest_goes_on(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    handler = Handler(stage, frozenset({"bad"}))
    await log.append(topics.EVENTS, [message("before"), message("bad"), message("after")])
    await log.append(topics.EVENTS, [Message(b"p1:u:ada", b"not json"), message("last")])
    async with running(consumer(log, stage, handler)):
        written = await until_written(stage, 3)
    assert written == ["before", "after", "last"]
    async with log.reader() as reader:
        reader.assign({TopicPart(topics.REJECTED, n): 0 for n in range(PARTS)})
        kept = [json.loads(record.value) for record in await reader.fetch(10, 1)]
    assert [entry["body"] for entry in kept] == [message("bad").value.decode(), "not json"]
    assert {entry["code"] for entry in kept} == {"poison_record"}


async def test_too_much_poison_in_a_row_stops_the_part_and_says_so(stage: Stage) -> None:
    log = MemoryLog(1)
    await log.append(topics.EVENTS, [message(f"bad{n}") for n in range(102)])
    handler = Handler(stage, frozenset(f"bad{n}" for n in range(102)))
    one = consumer(log, stage, handler)
    # Not rendered: structlog's own default draws every frame's variables, half a second a traceback.
    with capture_logs() as lines:
        await _until_stopped(one)
    assert "part 0 stopped" in await one.check()
    assert sum(line["event"] == "record_set_aside" for line in lines) == 100
    assert [line["reason"] for line in lines if line["event"] == "part_halted"]


class ReaderOfRejected(Handler):
    """Cannot apply what was rejected, or, with `can_read`, can."""

    def __init__(self, stage: Stage, poison: frozenset[str] = frozenset(), *, can_read: bool) -> None:
        super().__init__(stage, poison)
        self._can_read = can_read

    async def apply(self, tx: Any, batch: Batch) -> None:
        rejected = [record for record in batch.records if record.topic == topics.REJECTED]
        if rejected and not self._can_read:
            raise ValueError("cannot apply what was rejected")
        await super().apply(tx, Batch([r for r in batch.records if r not in rejected], batch.duplicates))


EVENTS_AND_REJECTED = (topics.EVENTS, topics.REJECTED)


async def test_a_rejected_record_that_fails_is_kept_once_and_stops_nothing(stage: Stage) -> None:
    log = MemoryLog(1)
    await log.append(topics.REJECTED, [message(f"refused{n}") for n in range(102)])
    handler = ReaderOfRejected(stage, frozenset({"bad"}), can_read=False)
    one = consumer(log, stage, handler, live=EVENTS_AND_REJECTED)
    with capture_logs() as lines:
        async with running(one):
            await log.append(topics.EVENTS, [message("bad"), message("good")])
            await until_written(stage, 1)

            async def drained() -> bool:
                return [line["event"] for line in lines].count("record_passed_over") == 103

            await until(drained)
            await log.append(topics.EVENTS, [message("last")])
            assert await until_written(stage, 2) == ["good", "last"]
            assert await one.check() == "ok"
    assert await log.heads(topics.REJECTED) == [103]
    assert sum(line["event"] == "record_set_aside" for line in lines) == 1


async def test_reading_what_it_set_aside_is_no_sign_of_health(stage: Stage) -> None:
    """Poison that comes slowly stops the part too, although every copy of it is read in between."""
    log = MemoryLog(1)
    bad = frozenset(f"bad{n}" for n in range(110))
    one = consumer(log, stage, ReaderOfRejected(stage, bad, can_read=True), live=EVENTS_AND_REJECTED)
    with capture_logs():
        async with running(one):
            for n in range(101):
                assert await one.check() == "ok"
                await log.append(topics.EVENTS, [message(f"bad{n}")])

                async def answered(n: int = n) -> bool:
                    kept = (await log.heads(topics.REJECTED))[0]
                    return kept > n or await one.check() != "ok"

                await until(answered)
    assert "part 0 stopped" in await one.check()


async def test_a_topic_that_a_group_reads_from_now_on_is_read_from_its_start(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    await log.append(topics.REJECTED, [message("gone")])
    lost = next(n for n, head in enumerate(await log.heads(topics.REJECTED)) if head)
    log.truncate(topics.REJECTED, lost, 1)
    async with running(consumer(log, stage, Handler(stage))):
        await log.append(topics.EVENTS, [message("before")])
        await log.append(topics.REJECTED, [message("refused")])
        await until_written(stage, 1)
    handler = Handler(stage)
    async with running(consumer(log, stage, handler, live=EVENTS_AND_REJECTED)):
        await log.append(topics.EVENTS, [message("after")])
        assert sorted(await until_written(stage, 3)) == ["after", "before", "refused"]
    assert handler.duplicates == []


async def _until_stopped(one: Consumer[Any]) -> None:
    async with running(one):

        async def stopped() -> bool:
            return await one.check() != "ok"

        await until(stopped)


async def test_live_records_come_before_a_backlog_of_imports(stage: Stage) -> None:
    log = MemoryLog(1)
    await log.append(topics.BACKFILL, [message(f"old{n}", origin="import") for n in range(2000)])
    handler = Handler(stage)
    handler.hold = asyncio.Event()
    async with running(consumer(log, stage, handler)):
        await asyncio.wait_for(handler.inside.wait(), 10)
        await log.append(topics.EVENTS, [message("now")])
        handler.hold.set()
        written = await until_written(stage, 2001)
    assert written.index("now") <= 500


async def test_positions_of_another_life_of_the_topic_refuse_to_run(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    async with running(consumer(log, stage, Handler(stage))):
        await log.append(topics.EVENTS, [message("x")])
        await until_written(stage, 1)
    log.recreate(topics.EVENTS)
    async with running(consumer(log, stage, Handler(stage))) as (task,):
        with pytest.raises(LogMismatch, match="footfall verify"):
            await asyncio.wait_for(asyncio.shield(task), 10)


async def test_a_position_beyond_the_head_refuses_to_run(stage: Stage) -> None:
    log = MemoryLog(1)
    topic = await log.topic(topics.EVENTS)
    owned = await stage.store.acquire([0], [topic], {TopicPart(topics.EVENTS, 0): 0})
    async with stage.store.transaction(owned.epochs) as tx:
        await stage.store.advance(tx, {TopicPart(topics.EVENTS, 0): 7}, {})
    async with running(consumer(log, stage, Handler(stage))) as (task,):
        with pytest.raises(BeyondHead, match="restore the newer log"):
            await asyncio.wait_for(asyncio.shield(task), 10)


async def test_an_outage_of_the_log_is_waited_out(stage: Stage) -> None:
    log = MemoryLog(PARTS)
    async with running(consumer(log, stage, Handler(stage))):
        await log.append(topics.EVENTS, [message("x")])
        await until_written(stage, 1)
        log.away = True
        await asyncio.sleep(0.3)
        log.away = False
        await log.append(topics.EVENTS, [message("y")])
        assert await until_written(stage, 2) == ["x", "y"]


async def test_records_lost_to_retention_do_not_stop_the_group(stage: Stage) -> None:
    log = MemoryLog(1)
    async with running(consumer(log, stage, Handler(stage))):
        await log.append(topics.EVENTS, [message("x")])
        await until_written(stage, 1)
    await log.append(topics.EVENTS, [message(f"lost{n}") for n in range(5)])
    log.truncate(topics.EVENTS, 0, 6)
    await log.append(topics.EVENTS, [message("y")])
    async with running(consumer(log, stage, Handler(stage))):
        assert await until_written(stage, 2) == ["x", "y"]


async def test_ids_are_remembered_for_days_and_then_forgotten(stage: Stage) -> None:
    """The clock of a part that has nothing more to read is the present: a quiet part keeps no day alive."""
    clock = FakeClock(datetime.now(UTC) - timedelta(days=20))
    log = MemoryLog(PARTS, clock=clock)
    async with running(consumer(log, stage, Handler(stage), clock)):
        await log.append(topics.EVENTS, [message("old")])
        await until_written(stage, 1)
        clock.advance(timedelta(days=6).total_seconds())
        await log.append(topics.EVENTS, [message("old"), message("mid")])
        await until_written(stage, 2)
    assert await stage.written() == ["old", "mid"]
    clock.advance(timedelta(days=14).total_seconds())
    handler = Handler(stage)
    async with running(consumer(log, stage, handler, clock)):

        async def tended() -> bool:
            return bool(handler.tended)

        await until(tended)
        await log.append(topics.EVENTS, [message("old")])
        assert await until_written(stage, 3) == ["old", "mid", "old"]
    assert await stage.remembered() == 1
