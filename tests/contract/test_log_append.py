"""The log's contract, writing: what `append` promises on every adapter."""

import asyncio
from collections.abc import Awaitable

import pytest

from eventlog.errors import LogBusy, LogUnavailable, MessageTooLarge, UnknownTopic
from eventlog.port import EventLog, Message, TopicPart
from eventmodel import part
from log_harness import MAX_BYTES, PARTITIONS, LogHarness
from log_reading import keyed, read_all


async def test_messages_keep_their_bytes_and_their_order_in_the_partition_of_their_key(
    harness: LogHarness,
) -> None:
    messages = [Message(b"p:u:%d" % (n % 7), bytes([n, 0, 255])) for n in range(50)]
    await harness.log.append(harness.topic, messages)

    read = await read_all(harness.log, harness.topic, 50)
    for number in range(PARTITIONS):
        of_part = sorted((r for r in read if r.part == number), key=lambda r: r.offset)
        expected = [message for message in messages if part(message.key, PARTITIONS) == number]
        assert [Message(r.key, r.value) for r in of_part] == expected


async def test_a_key_keeps_its_order_within_and_between_calls(harness: LogHarness) -> None:
    async def speak(caller: int) -> None:
        for call in range(10):
            await harness.log.append(
                harness.topic, [Message(b"p:u:%d" % caller, b"%d" % (call * 3 + n)) for n in range(3)]
            )

    await asyncio.gather(*(speak(caller) for caller in range(6)))

    records = await read_all(harness.log, harness.topic, 6 * 30)
    for caller in range(6):
        said = [int(r.value) for r in records if r.key == b"p:u:%d" % caller]
        assert said == list(range(30))


async def test_nothing_is_skipped_while_two_processes_append(harness: LogHarness) -> None:
    """A reader that follows sees every offset although transactions end in another order than they begin."""
    calls, per_call = 40, 5
    async with harness.peer() as peer:

        async def flood(writer: EventLog, name: bytes) -> list[bytes]:
            keys = [[b"p:u:%s-%d-%d" % (name, call, n) for n in range(per_call)] for call in range(calls)]
            await asyncio.gather(
                *(writer.append(harness.topic, [Message(key, b"x") for key in some]) for some in keys)
            )
            return [key for some in keys for key in some]

        reading = asyncio.create_task(read_all(harness.log, harness.topic, 2 * calls * per_call))
        one, two = await asyncio.gather(flood(harness.log, b"one"), flood(peer, b"two"))
        records = await reading

    assert sorted(r.key for r in records) == sorted(one + two)
    assert len({(r.part, r.offset) for r in records}) == len(records)
    for number in range(PARTITIONS):
        of_part = [r for r in records if r.part == number]
        assert [r.offset for r in of_part] == sorted(r.offset for r in of_part)
        assert [r.recorded_at for r in of_part] == sorted(r.recorded_at for r in of_part)


async def test_nothing_to_append_is_no_error(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, [])
    assert sum(await harness.log.heads(harness.topic)) == 0


async def test_a_message_too_large_is_named_and_nothing_is_stored(harness: LogHarness) -> None:
    messages = [*keyed(2), Message(b"p:u:big", b"x" * MAX_BYTES), *keyed(1)]
    with pytest.raises(MessageTooLarge) as refused:
        await harness.log.append(harness.topic, messages)
    assert refused.value.index == 2
    assert refused.value.max_bytes == MAX_BYTES
    assert sum(await harness.log.heads(harness.topic)) == 0


async def test_the_largest_message_is_taken(harness: LogHarness) -> None:
    message = Message(b"p:u:big", b"x" * (MAX_BYTES - len(b"p:u:big")))
    await harness.log.append(harness.topic, [message])
    assert [r.value for r in await read_all(harness.log, harness.topic, 1)] == [message.value]


async def test_an_unknown_topic_is_refused(harness: LogHarness) -> None:
    with pytest.raises(UnknownTopic):
        await harness.log.append("contract.absent", keyed(1))
    with pytest.raises(UnknownTopic):
        await harness.log.topic("contract.absent")


async def test_topics_are_apart(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(3))
    await harness.log.append(harness.other_topic, keyed(2))
    assert len(await read_all(harness.log, harness.other_topic, 2)) == 2
    assert sum(await harness.log.heads(harness.topic)) == 3


async def test_a_full_queue_refuses_at_once_and_keeps_what_it_took(
    harness: LogHarness, request: pytest.FixtureRequest
) -> None:
    if harness.kind == "memory":
        request.applymarker(pytest.mark.xfail(reason="stores at once: nothing queues", strict=True))
    async with harness.stalled(max_queue_bytes=5_000) as (log, resume), asyncio.TaskGroup() as tasks:
        calls = []
        refused = 0
        for n in range(20):
            appending = log.append(harness.topic, [Message(b"p:u:%d" % n, b"x" * 900)])
            calls.append(tasks.create_task(_outcome(appending)))
            await asyncio.sleep(0.01)
            refused += calls[n].done() and isinstance(calls[n].result(), LogBusy)
        assert refused > 0
        assert not all(call.done() for call in calls)
        await resume()
    outcomes = [call.result() for call in calls]
    assert sum(isinstance(outcome, LogBusy) for outcome in outcomes) == refused
    assert sum(await harness.log.heads(harness.topic)) == 20 - refused


async def test_a_log_that_is_away_says_so_and_serves_again_after(harness: LogHarness) -> None:
    await harness.log.append(harness.topic, keyed(1))
    async with harness.away():
        for asked in (
            harness.log.append(harness.topic, keyed(1)),
            harness.log.heads(harness.topic),
            harness.log.topic(harness.topic),
            harness.log.ping(),
        ):
            with pytest.raises(LogUnavailable):
                await asked
        async with harness.log.reader() as reader:
            reader.assign({TopicPart(harness.topic, n): 0 for n in range(PARTITIONS)})
            with pytest.raises(LogUnavailable):
                await reader.fetch(10, 1)
    await harness.log.append(harness.topic, keyed(1))
    assert sum(await harness.log.heads(harness.topic)) >= 2
    await harness.log.ping()


async def _outcome(appending: Awaitable[None]) -> LogUnavailable | None:
    try:
        await appending
    except LogUnavailable as error:
        return error
    return None
