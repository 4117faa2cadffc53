"""What the PostgreSQL log promises beyond the contract: transactions, segments, its one appender."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import asyncpg
import pytest

from eventlog import postgres, postgres_reader
from eventlog.errors import LogUnavailable, UnknownTopic
from eventlog.port import Member, Message, TopicPart
from eventlog.postgres import PostgresLog, create_topics, open_log
from eventlog.postgres_reader import READ
from eventlog.postgres_segments import drop_segments
from eventlog.postgres_session import Session
from eventmodel import part, topics
from log_harness import connected
from log_reading import keyed, read_all

TOPIC = topics.EVENTS
PARTITIONS = 4
APPEND = "SELECT base FROM log.append_records($1, $2, $3, $4, $5)"


@pytest.fixture
async def url(log_url: str) -> str:
    await create_topics(log_url, topics.ALL, PARTITIONS)
    return log_url


@pytest.fixture
async def log(url: str) -> AsyncIterator[PostgresLog]:
    async with open_log(url) as log:
        yield log


async def test_a_slower_transaction_is_not_stepped_over(log: PostgresLog, url: str) -> None:
    """The transaction that came first commits last; a reader sees neither record until it may see both."""
    key = b"p:u:ada"
    where = TopicPart(TOPIC, part(key, PARTITIONS))
    async with connected(url) as slow, log.reader() as reader:
        topic = await slow.fetchval("SELECT id FROM log.topic WHERE name = $1", TOPIC)
        transaction = slow.transaction()
        await transaction.start()
        await slow.fetch(APPEND, [topic], [where.part], [1], [key], [b"slow"])
        quick = asyncio.create_task(log.append(TOPIC, [Message(key, b"quick")]))
        reader.assign({where: 0})
        assert list(await reader.fetch(10, 0.3)) == []
        assert not quick.done()
        await transaction.commit()
        await quick
        records = list(await reader.fetch(10, 5))
        while len(records) < 2:
            records += await reader.fetch(10, 5)
    assert [(r.offset, r.value) for r in records] == [(0, b"slow"), (1, b"quick")]


async def test_appenders_that_meet_do_not_deadlock(url: str) -> None:
    async with open_log(url) as one, open_log(url) as two:
        for _ in range(20):
            await asyncio.gather(
                one.append(TOPIC, keyed(30)),
                two.append(TOPIC, keyed(30)[::-1]),
                one.append(topics.SIGNALS, keyed(30)[::-1]),
                two.append(topics.SIGNALS, keyed(30)),
            )
        assert sum(await one.heads(TOPIC)) == 20 * 60


async def test_a_hung_database_is_reported_and_nothing_hangs_on(log: PostgresLog, url: str) -> None:
    async with _locked_parts(url):
        waiting = [asyncio.create_task(_failure(log, n)) for n in range(3)]
        assert [isinstance(error, LogUnavailable) for error in await asyncio.gather(*waiting)] == [True] * 3
    await log.append(TOPIC, keyed(1))
    # The server gave the statement up before the client did, so no late commit follows.
    assert sum(await log.heads(TOPIC)) == 1


async def test_a_cancelled_append_leaves_the_queue(log: PostgresLog, url: str) -> None:
    await log.append(TOPIC, keyed(1))
    async with _locked_parts(url):
        sent = asyncio.create_task(log.append(TOPIC, [Message(b"p:u:sent", b"sent")]))
        await asyncio.sleep(0.1)
        queued = asyncio.create_task(log.append(TOPIC, [Message(b"p:u:queued", b"queued")]))
        kept = asyncio.create_task(log.append(TOPIC, [Message(b"p:u:kept", b"kept")]))
        await asyncio.sleep(0.1)
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
    await asyncio.gather(sent, kept)
    values = {r.value for r in await read_all(log, TOPIC, 3)}
    assert values == {b"value 0", b"sent", b"kept"}


async def test_a_large_call_goes_in_several_transactions_and_keeps_its_order(log: PostgresLog) -> None:
    messages = [Message(b"p:u:%d" % (n % 50), b"%d" % n) for n in range(5_000)]
    await log.append(topics.BACKFILL, messages)
    read = await read_all(log, topics.BACKFILL, 5_000)
    for number in range(PARTITIONS):
        of_part = [r for r in read if r.part == number]
        assert [r.offset for r in of_part] == list(range(len(of_part)))
        expected = [message for message in messages if part(message.key, PARTITIONS) == number]
        assert [Message(r.key, r.value) for r in of_part] == expected


async def test_a_reader_goes_on_through_the_days(log: PostgresLog, url: str) -> None:
    await log.append(TOPIC, keyed(40))
    await _age(url, 2)
    await log.append(TOPIC, keyed(40))
    await _age(url, 1)
    await log.append(TOPIC, keyed(40))

    records = await read_all(log, TOPIC, 120)
    for number in range(PARTITIONS):
        of_part = [r for r in records if r.part == number]
        assert [r.offset for r in of_part] == list(range(len(of_part)))
        days = [
            (later.recorded_at - earlier.recorded_at) > timedelta(hours=23)
            for earlier, later in pairwise(of_part)
        ]
        assert sum(days) == 2
        for at in (of_part[0], of_part[len(of_part) // 3], of_part[len(of_part) // 2], of_part[-1]):
            first = next(r.offset for r in of_part if r.recorded_at >= at.recorded_at)
            assert (await log.positions_at(TOPIC, at.recorded_at))[number] == first
        gap = of_part[0].recorded_at + timedelta(hours=12)
        assert (await log.positions_at(TOPIC, gap))[number] == len(of_part) // 3


async def test_reading_touches_one_segment_and_its_index(log: PostgresLog, url: str) -> None:
    await log.append(TOPIC, keyed(400))
    await _age(url, 2)
    await log.append(TOPIC, keyed(400))
    async with connected(url) as connection:
        await connection.execute("ANALYZE")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        topic = await connection.fetchval("SELECT id FROM log.topic WHERE name = $1", TOPIC)
        await connection.execute(
            f"PREPARE reading (smallint[], smallint[], bigint[], integer, integer) AS {READ}"
        )
        asked = f"'{{{topic}}}', '{{1}}', '{{3}}', 10, 1000000"
        plan = "\n".join(
            row[0]
            for row in await connection.fetch(
                f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) EXECUTE reading ({asked})"
            )
        )
    scans = [line for line in plan.splitlines() if " on record_" in line]
    assert scans
    assert all("Index" in line for line in scans), plan
    assert sum("never executed" not in line for line in scans) == 1, plan


async def test_segments_beyond_retention_go_and_the_rest_stays(log: PostgresLog, url: str) -> None:
    await log.append(TOPIC, keyed(40))
    await _age(url, 1)
    await log.append(TOPIC, keyed(40))
    await _age(url, 8)
    await log.append(TOPIC, keyed(40))
    kept_from = [head // 3 for head in await log.heads(TOPIC)]
    before = await read_all(log, TOPIC, 120)

    session = Session(url, 60)
    assert len(await drop_segments(session, 8)) == 1
    assert await drop_segments(session, 8) == []
    await session.close()

    assert await log.starts(TOPIC) == kept_from
    assert sorted(await read_all(log, TOPIC, 80)) == sorted(
        r for r in before if r.offset >= kept_from[r.part]
    )


async def test_a_drop_that_was_cut_off_is_finished(log: PostgresLog, url: str) -> None:
    await log.append(TOPIC, keyed(40))
    await _age(url, 20)
    async with connected(url) as holder, connected(url) as cut:
        day = await holder.fetchval("SELECT max(segment) FROM log.record")
        transaction = holder.transaction()
        await transaction.start()
        await holder.fetchval("SELECT count(*) FROM log.record")
        await cut.execute("SET statement_timeout = 300")
        with pytest.raises(asyncpg.QueryCanceledError):
            await cut.execute(f"ALTER TABLE log.record DETACH PARTITION log.record_{day} CONCURRENTLY")
        await transaction.rollback()
    session = Session(url, 60)
    assert await drop_segments(session, 8) == [day]
    await session.close()
    assert await log.starts(TOPIC) == await log.heads(TOPIC)


async def test_a_day_nobody_prepared_is_prepared_by_the_append(log: PostgresLog, url: str) -> None:
    async with connected(url) as connection:
        day = await connection.fetchval("SELECT log.day_of(clock_timestamp())")
        await connection.execute(f"DROP TABLE log.record_{day}")
    await log.append(TOPIC, keyed(5))
    assert len(await read_all(log, TOPIC, 5)) == 5


async def test_large_records_come_few_at_a_time(log: PostgresLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_reader, "FETCH_BYTES", 300_000)
    await log.append(TOPIC, [Message(b"p:u:ada", b"x" * 100_000)] * 10)
    async with log.reader() as reader:
        reader.assign({TopicPart(TOPIC, n): 0 for n in range(PARTITIONS)})
        sizes: list[int] = []
        while sum(sizes) < 10:
            sizes.append(len(await reader.fetch(100, 5)))
    assert max(sizes) <= 4


async def test_making_topics_again_changes_nothing(url: str) -> None:
    made = await create_topics(url, topics.ALL, PARTITIONS)
    assert await create_topics(url, topics.ALL, PARTITIONS + 1) == made


async def test_a_topic_made_anew_has_another_log_id(log: PostgresLog, url: str) -> None:
    before = await log.topic(TOPIC)
    await log.append(TOPIC, keyed(3))
    async with connected(url) as connection:
        await connection.execute("DELETE FROM log.topic WHERE name = $1", TOPIC)
        with pytest.raises(LogUnavailable):
            await log.append(TOPIC, keyed(3))
        with pytest.raises(UnknownTopic):
            await log.append(TOPIC, keyed(3))
    await create_topics(url, [TOPIC], PARTITIONS)
    assert (await log.topic(TOPIC)).log_id != before.log_id
    await log.append(TOPIC, keyed(3))
    assert sum(await log.heads(TOPIC)) == 3


async def test_a_member_that_lost_its_connection_owns_nothing_until_it_joins_again(
    log: PostgresLog, url: str
) -> None:
    async with log.join("group", [TOPIC]) as member, connected(url) as connection:
        assert await member.assignment() == frozenset(range(PARTITIONS))
        await connection.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
        )
        async with open_log(url) as peer, peer.join("group", [TOPIC]) as other:
            assert await other.assignment() == frozenset(range(PARTITIONS))
            assert await _assigned_after_outage(member) == frozenset()


async def test_a_member_that_stalls_loses_its_parts(
    log: PostgresLog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_S", 1)
    async with (
        log.join("group", [TOPIC]) as stalled,
        open_log(url) as peer,
        peer.join("group", [TOPIC]) as other,
    ):
        assert await stalled.assignment() == frozenset(range(PARTITIONS))
        async with asyncio.timeout(20):
            while await other.assignment() != frozenset(range(PARTITIONS)):
                await asyncio.sleep(0.1)


async def test_a_notification_wakes_readers_of_other_processes(
    log: PostgresLog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_reader, "POLL_EVERY_S", 3_600)
    async with open_log(url) as peer, peer.reader() as reader, connected(url) as connection:
        reader.assign({TopicPart(TOPIC, n): 0 for n in range(PARTITIONS)})
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(reader.fetch(10, 3_600))
            while not await connection.fetchval(
                "SELECT count(*) > 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            ):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
            await log.append(TOPIC, keyed(1))
        assert len(await waiting) == 1


async def test_the_time_never_falls_when_the_clock_does(log: PostgresLog, url: str) -> None:
    await log.append(TOPIC, keyed(40))
    async with connected(url) as connection:
        await connection.execute("UPDATE log.part SET last_at = last_at + interval '36 hours'")
        ahead = await connection.fetchval("SELECT max(last_at) FROM log.part")
    await log.append(TOPIC, keyed(40))
    records = await read_all(log, TOPIC, 80)
    for number in range(PARTITIONS):
        times = [r.recorded_at for r in records if r.part == number]
        assert times == sorted(times)
        assert times[-1] > ahead - timedelta(minutes=1)


async def _assigned_after_outage(member: Member) -> frozenset[int]:
    """The first answer since the connection went: it may take a call to notice."""
    async with asyncio.timeout(10):
        while True:
            try:
                owned = await member.assignment()
            except LogUnavailable:
                continue
            if owned != frozenset(range(PARTITIONS)):
                return owned
            await asyncio.sleep(0.05)


async def _failure(log: PostgresLog, n: int) -> LogUnavailable | None:
    try:
        await log.append(TOPIC, keyed(n + 1))
    except LogUnavailable as error:
        return error
    return None


@asynccontextmanager
async def _locked_parts(url: str) -> AsyncIterator[None]:
    async with connected(url) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM log.part FOR UPDATE")
        yield


async def _age(url: str, days: int) -> None:
    """Make everything in the log `days` older than it is."""
    async with connected(url) as connection, connection.transaction():
        for segment in await connection.fetch("SELECT DISTINCT segment FROM log.segment ORDER BY segment"):
            day = segment[0] - days
            await connection.execute("SELECT log.make_segments($1, $1)", day)
            await connection.execute(
                "UPDATE log.record SET segment = $1, recorded_at = recorded_at - make_interval(days => $2)"
                " WHERE segment = $3",
                day, days, segment[0],
            )  # fmt: skip
            await connection.execute(
                "UPDATE log.segment SET segment = $1 WHERE segment = $2", day, segment[0]
            )
        await connection.execute(
            "UPDATE log.part SET segment = segment - $1, last_at = last_at - make_interval(days => $1)"
            " WHERE segment >= 0",
            days,
        )
