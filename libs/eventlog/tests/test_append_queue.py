"""The PostgreSQL appender's queue: what goes into the next transaction, and what is refused."""

import asyncio

import pytest

from eventlog.errors import LogBusy
from eventlog.port import Message
from eventlog.postgres_appender import BATCH_BYTES, BATCH_RECORDS, PATIENT_RECORDS, Call, Queue

LIVE, OTHER, PATIENT = "live", "other", "patient"


def call(topic: str, count: int, size: int = 10) -> Call:
    messages = [Message(b"k", b"x" * size)] * count
    return Call(topic, 1, messages, [size] * count, [0] * count, asyncio.get_running_loop().create_future())


async def test_calls_leave_in_the_order_they_came() -> None:
    queue = Queue(10**9, [PATIENT])
    calls = [call(LIVE, 3) for _ in range(5)]
    for waiting in calls:
        queue.put(waiting)
    assert [taken.call for taken in queue.take()] == calls
    assert not queue.filled.is_set()
    assert queue.take() == []


async def test_a_transaction_is_bounded_and_a_large_call_goes_on_in_the_next() -> None:
    queue = Queue(10**9, [PATIENT])
    large, after = call(LIVE, BATCH_RECORDS + 10), call(LIVE, 5)
    queue.put(large)
    queue.put(after)
    assert [(taken.start, taken.stop) for taken in queue.take()] == [(0, BATCH_RECORDS)]
    assert [(taken.call, taken.start, taken.stop) for taken in queue.take()] == [
        (large, BATCH_RECORDS, BATCH_RECORDS + 10),
        (after, 0, 5),
    ]


async def test_a_transaction_is_bounded_in_bytes_and_takes_at_least_one_message() -> None:
    queue = Queue(10**9, [PATIENT])
    queue.put(call(LIVE, 3, size=BATCH_BYTES))
    assert [[(taken.start, taken.stop) for taken in queue.take()] for _ in range(3)] == [
        [(0, 1)],
        [(1, 2)],
        [(2, 3)],
    ]


async def test_live_appends_do_not_wait_for_a_backfill() -> None:
    queue = Queue(10**9, [PATIENT])
    for _ in range(20):
        queue.put(call(PATIENT, 1_000))
    live = call(LIVE, 1)
    queue.put(live)
    first = queue.take()
    assert first[0].call is live
    assert sum(taken.stop - taken.start for taken in first[1:]) == PATIENT_RECORDS


async def test_a_backfill_goes_on_slowly_while_live_topics_fill_every_transaction() -> None:
    queue = Queue(10**9, [PATIENT])
    queue.put(call(LIVE, 10 * BATCH_RECORDS))
    queue.put(call(PATIENT, 1_000))
    taken = {part.call.topic: part.stop - part.start for part in queue.take()}
    assert taken[LIVE] == BATCH_RECORDS
    assert 0 < taken[PATIENT] < PATIENT_RECORDS


async def test_live_topics_share_a_transaction() -> None:
    queue = Queue(10**9, [PATIENT])
    queue.put(call(LIVE, 10 * BATCH_RECORDS))
    queue.put(call(OTHER, 10 * BATCH_RECORDS))
    taken = {part.call.topic: part.stop - part.start for part in queue.take()}
    assert taken == {LIVE: BATCH_RECORDS // 2, OTHER: BATCH_RECORDS // 2}


async def test_a_full_queue_is_busy_until_something_leaves() -> None:
    queue = Queue(1_000, [PATIENT])
    queue.put(call(LIVE, 9, size=100))
    with pytest.raises(LogBusy):
        queue.put(call(LIVE, 2, size=100))
    queue.take()
    queue.put(call(LIVE, 2, size=100))


async def test_a_full_backfill_does_not_make_live_appends_busy() -> None:
    queue = Queue(1_000, [PATIENT])
    queue.put(call(PATIENT, 9, size=100))
    with pytest.raises(LogBusy):
        queue.put(call(PATIENT, 2, size=100))
    queue.put(call(LIVE, 9, size=100))


async def test_a_call_larger_than_the_bound_is_taken_when_nothing_waits() -> None:
    queue = Queue(1_000, [PATIENT])
    queue.put(call(LIVE, 20, size=100))
    with pytest.raises(LogBusy):
        queue.put(call(LIVE, 1))


async def test_an_abandoned_call_leaves_with_its_bytes() -> None:
    queue = Queue(1_000, [PATIENT])
    gone, kept = call(LIVE, 5, size=100), call(LIVE, 1, size=100)
    queue.put(gone)
    queue.put(kept)
    queue.abandon(gone)
    queue.put(call(LIVE, 8, size=100))
    assert gone not in [taken.call for taken in queue.take()]


async def test_the_unsent_rest_of_an_abandoned_call_leaves() -> None:
    queue = Queue(10**9, [PATIENT])
    gone = call(LIVE, BATCH_RECORDS + 10)
    queue.put(gone)
    queue.take()
    queue.abandon(gone)
    assert queue.take() == []
