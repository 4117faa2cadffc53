"""The log's contract, reading: positions, waiting, fairness, and positions that lead nowhere."""

import asyncio
from datetime import UTC, timedelta

import pytest

from eventlog.errors import BeyondHead, Truncated
from eventlog.port import Message, Reader, Record, TopicPart
from eventmodel import part
from log_harness import PARTITIONS, LogHarness
from log_reading import keyed, read_all


async def test_a_topic_has_one_identity_in_every_process(harness: LogHarness) -> None:
    topic = await harness.log.topic(harness.topic)
    assert topic.partitions == PARTITIONS
    assert len(topic.log_id) == 16
    assert set(topic.log_id) <= set("0123456789abcdef")
    assert topic.log_id != (await harness.log.topic(harness.other_topic)).log_id
    async with harness.peer() as peer:
        assert await peer.topic(harness.topic) == topic


async def test_a_position_is_the_next_offset(harness: LogHarness) -> None:
    key = b"p:u:ada"
    await harness.log.append(harness.topic, [Message(key, b"%d" % n) for n in range(5)])
    records = await read_all(harness.log, harness.topic, 5)
    where = TopicPart(harness.topic, records[0].part)
    rest = await read_all(harness.log, harness.topic, 2, {where: records[2].offset + 1})
    assert [r.value for r in rest] == [b"3", b"4"]
    assert (await harness.log.heads(harness.topic))[where.part] == records[-1].offset + 1


async def test_all_partitions_are_read_without_a_group(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(60))
    for _ in range(2):
        records = await read_all(harness.log, harness.topic, 60)
        assert {r.part for r in records} == set(range(PARTITIONS))
        assert all(r.recorded_at.tzinfo is UTC or r.recorded_at.utcoffset() == timedelta(0) for r in records)


async def test_records_come_again_from_an_old_position(harness: LogHarness) -> None:
    """A reader that crashed before it stored its position gets the same records again."""
    await harness.log.append(harness.topic, keyed(30))
    first = await read_all(harness.log, harness.topic, 30)
    async with harness.peer() as peer:
        again = await read_all(peer, harness.topic, 30)
    assert sorted(again) == sorted(first)


async def test_assigning_again_moves_only_what_changed(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(40))
    heads = await harness.log.heads(harness.topic)
    one, two = TopicPart(harness.topic, 0), TopicPart(harness.topic, 1)
    async with harness.log.reader() as reader:
        reader.assign({one: 0})
        read = await _fetch(reader, heads[0])
        assert {r.part for r in read} == {0}
        reader.assign({one: heads[0], two: 0})
        read = await _fetch(reader, heads[1])
        assert {r.part for r in read} == {1}
        reader.assign({one: heads[0] - 1})
        assert [r.offset for r in await _fetch(reader, 1)] == [heads[0] - 1]


async def test_nothing_new_is_an_empty_answer(harness: LogHarness) -> None:
    async with harness.log.reader() as reader:
        assert list(await reader.fetch(10, 0.05)) == []
        reader.assign({TopicPart(harness.topic, n): 0 for n in range(PARTITIONS)})
        assert list(await reader.fetch(10, 0)) == []
        assert list(await reader.fetch(10, 0.3)) == []


@pytest.mark.parametrize("same_process", [True, False])
async def test_a_waiting_reader_is_woken(harness: LogHarness, same_process: bool) -> None:
    async with harness.peer() as peer, harness.log.reader() as reader:
        reader.assign({TopicPart(harness.topic, n): 0 for n in range(PARTITIONS)})
        await reader.fetch(1, 0.1)
        waiting = asyncio.create_task(reader.fetch(10, 20))
        await asyncio.sleep(0.05)
        await (harness.log if same_process else peer).append(harness.topic, keyed(1))
        assert [r.key for r in await waiting] == [b"p:u:0"]


async def test_a_busy_partition_does_not_starve_a_quiet_one(harness: LogHarness) -> None:
    quiet, busy = _keys_of_two_parts()
    await harness.log.append(harness.topic, [Message(busy, b"x")] * 500)
    await harness.log.append(harness.topic, [Message(quiet, b"x")])
    read: list[Record] = []
    async with harness.log.reader() as reader:
        reader.assign({TopicPart(harness.topic, n): 0 for n in range(PARTITIONS)})
        while quiet not in [r.key for r in read]:
            read += await reader.fetch(20, 5)
    assert len(read) <= 60


async def test_a_fetch_keeps_to_its_bound(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(50))
    read: list[Record] = []
    async with harness.log.reader() as reader:
        reader.assign({TopicPart(harness.topic, n): 0 for n in range(PARTITIONS)})
        while len(read) < 50:
            records = await reader.fetch(2, 5)
            assert 0 < len(records) <= 2
            read += records
    assert len({(r.part, r.offset) for r in read}) == 50


async def test_positions_by_time(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(20))
    middle = await harness.log.heads(harness.topic)
    # The log's clock is not ours, and Kafka's has milliseconds.
    await asyncio.sleep(0.05)
    await harness.log.append(harness.topic, keyed(20))
    heads = await harness.log.heads(harness.topic)
    records = await read_all(harness.log, harness.topic, 40)
    for number in range(PARTITIONS):
        later = [r for r in records if r.part == number and r.offset >= middle[number]]
        assert (await harness.log.positions_at(harness.topic, later[0].recorded_at))[number] == middle[number]
    first = min(r.recorded_at for r in records)
    last = max(r.recorded_at for r in records)
    assert (
        list(await harness.log.positions_at(harness.topic, first - timedelta(days=400))) == [0] * PARTITIONS
    )
    assert list(await harness.log.positions_at(harness.topic, last + timedelta(days=1))) == list(heads)


async def test_a_position_older_than_the_log_is_truncated(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(40))
    gone = list(await harness.log.heads(harness.topic))
    await harness.forget()
    await harness.log.append(harness.topic, keyed(40))

    assert list(await harness.log.starts(harness.topic)) == gone
    async with harness.log.reader() as reader:
        reader.assign({TopicPart(harness.topic, 2): gone[2] - 1})
        for _ in range(2):
            with pytest.raises(Truncated) as truncated:
                await reader.fetch(10, 1)
            assert truncated.value.part == 2
            assert truncated.value.position == gone[2] - 1
            assert truncated.value.start == gone[2]
    assert len(await read_all(harness.log, harness.topic, 40)) == 40


async def test_a_truncated_partition_costs_the_others_nothing(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(40))
    await harness.forget()
    await harness.log.append(harness.topic, keyed(40))
    positions = {
        TopicPart(harness.topic, n): at for n, at in enumerate(await harness.log.starts(harness.topic))
    }
    torn = TopicPart(harness.topic, 1)
    async with harness.log.reader() as reader:
        reader.assign({**positions, torn: 0})
        with pytest.raises(Truncated):
            await reader.fetch(10, 1)
        reader.assign(positions)
        assert len(await _fetch(reader, 40)) == 40


async def test_a_log_that_lost_every_record_still_knows_its_start(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(40))
    heads = list(await harness.log.heads(harness.topic))
    await harness.forget()

    assert list(await harness.log.starts(harness.topic)) == heads
    assert list(await harness.log.heads(harness.topic)) == heads
    async with harness.log.reader() as reader:
        reader.assign({TopicPart(harness.topic, 1): 0})
        with pytest.raises(Truncated) as truncated:
            await reader.fetch(10, 1)
        assert truncated.value.start == heads[1]
        reader.assign({TopicPart(harness.topic, 1): heads[1]})
        assert list(await reader.fetch(10, 0)) == []


async def test_a_position_beyond_the_head_is_refused(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(40))
    head = (await harness.log.heads(harness.topic))[3]
    async with harness.log.reader() as reader:
        reader.assign({TopicPart(harness.topic, 3): head + 5})
        with pytest.raises(BeyondHead) as beyond:
            await reader.fetch(10, 1)
    assert (beyond.value.part, beyond.value.position, beyond.value.head) == (3, head + 5, head)


async def _fetch(reader: Reader, count: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < count:
        records += await reader.fetch(100, 5)
    return records


def _keys_of_two_parts() -> tuple[bytes, bytes]:
    one = b"p:u:0"
    other = next(
        key for key in (b"p:u:%d" % n for n in range(100)) if part(key, PARTITIONS) != part(one, PARTITIONS)
    )
    return one, other
