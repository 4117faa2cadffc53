"""When bodies go, what they hold and what is counted, on a clock of the test's own."""

import json

import pytest

from footfall_client.answers import Again, Settled
from footfall_client.delivery import Rejection
from footfall_client.dispatch import MAX_TOLD, Dispatch
from footfall_client.queues import Bounds, MemoryQueue

BOUNDS = Bounds(body_events=3, body_bytes=100, queue_bytes=200)


def _dispatch(bounds: Bounds = BOUNDS, chance: float = 0.0) -> Dispatch:
    return Dispatch(MemoryQueue(bounds), interval_s=1.0, chance=lambda: chance)


def test_an_event_waits_for_others_for_the_interval_and_no_longer() -> None:
    dispatch = _dispatch()
    assert dispatch.wait_s(0.0) == float("inf")
    dispatch.put(b"a", 10.0)
    dispatch.put(b"b", 10.6)
    assert dispatch.wait_s(10.6) == pytest.approx(0.4)
    assert dispatch.wait_s(11.0) == 0


def test_a_full_body_goes_at_once() -> None:
    dispatch = _dispatch()
    for event in (b"a", b"b", b"c"):
        dispatch.put(event, 10.0)
    assert dispatch.wait_s(10.0) == 0
    assert dispatch.take(10.0) == [b"a", b"b", b"c"]


def test_a_body_is_full_by_bytes_and_holds_at_least_one_event() -> None:
    dispatch = _dispatch()
    dispatch.put(b"x" * 120, 0.0)
    dispatch.put(b"y" * 60, 0.0)
    assert dispatch.take(0.0) == [b"x" * 120]
    dispatch.settle([b""], Settled(1), 0.0)
    assert dispatch.take(0.0) == [b"y" * 60]


def test_the_queue_is_bounded_in_bytes() -> None:
    dispatch = _dispatch()
    assert dispatch.put(b"x" * 150, 0.0)
    assert not dispatch.put(b"x" * 51, 0.0)
    assert dispatch.put(b"x" * 50, 0.0)
    dispatch.drop()
    told = dispatch.tell()
    assert (told.waiting, told.dropped) == (2, 1)


def test_a_failed_body_goes_again_unchanged_although_more_came() -> None:
    dispatch = _dispatch()
    dispatch.put(b"a", 0.0)
    assert dispatch.take(1.0) == [b"a"]
    dispatch.put(b"b", 1.1)
    dispatch.settle([b"a"], Again("away"), 1.2)
    assert dispatch.take(5.0) == [b"a"]


@pytest.mark.parametrize(
    ("chance", "waits"), [(0.0, [0.5, 1, 2, 4, 8, 16, 32, 60, 60]), (1.0, [0.25, 0.5, 1])]
)
def test_waits_double_up_to_a_minute_and_are_spread(chance: float, waits: list[float]) -> None:
    dispatch = _dispatch(chance=chance)
    dispatch.put(b"a", 0.0)
    for wait_s in waits:
        dispatch.settle(dispatch.take(100.0), Again("away"), 100.0)
        assert dispatch.wait_s(100.0) == wait_s


def test_a_success_ends_the_waiting() -> None:
    dispatch = _dispatch()
    for event in (b"a", b"b", b"c", b"d"):
        dispatch.put(event, 0.0)
    dispatch.settle(dispatch.take(0.0), Again("away"), 0.0)
    dispatch.settle(dispatch.take(1.0), Settled(3), 1.0)
    dispatch.hurry(1.0)
    assert dispatch.wait_s(1.0) == 0
    dispatch.settle(dispatch.take(1.0), Again("away"), 1.0)
    assert dispatch.wait_s(1.0) == 0.5


def test_retry_after_is_waited_for_and_spread_over_a_second() -> None:
    dispatch = _dispatch(chance=0.5)
    dispatch.put(b"a", 0.0)
    dispatch.settle(dispatch.take(0.0), Again("away", after_s=7.0), 0.0)
    assert dispatch.wait_s(0.0) == 7.5
    dispatch.hurry(0.0, last=True)
    assert dispatch.wait_s(0.0) == 7.5, "who asks us to wait is not overrun"


def test_the_last_time_a_back_off_is_not_waited_for() -> None:
    dispatch = _dispatch()
    dispatch.put(b"a", 0.0)
    dispatch.settle(dispatch.take(0.0), Again("away"), 0.0)
    dispatch.hurry(0.0)
    assert dispatch.wait_s(0.0) == 0.5
    dispatch.hurry(0.0, last=True)
    assert dispatch.wait_s(0.0) == 0


def test_a_hurry_sends_all_that_waited_and_not_what_comes_later() -> None:
    dispatch = _dispatch()
    dispatch.put(b"a", 0.0)
    count = dispatch.hurry(0.0)
    assert dispatch.wait_s(0.0) == 0
    events = dispatch.take(0.0)
    dispatch.put(b"b", 0.1)
    dispatch.settle(events, Settled(1), 0.2)
    assert dispatch.settled_count == count
    assert dispatch.wait_s(0.2) == pytest.approx(0.8)


def test_what_is_told_is_told_once_and_bounded() -> None:
    bounds = Bounds(body_events=1_000, body_bytes=100_000, queue_bytes=100_000)
    dispatch = _dispatch(bounds)
    events = [json.dumps({"id": str(n)}).encode() for n in range(MAX_TOLD + 20)]
    for event in events:
        dispatch.put(event, 0.0)
    rejections = [Rejection({}, 200, "missing_action", "No action.") for _ in range(MAX_TOLD + 10)]
    dispatch.settle(dispatch.take(0.0), Settled(10, rejections), 0.0)
    told = dispatch.tell()
    assert (told.accepted, told.rejected, len(told.rejections)) == (10, MAX_TOLD + 10, MAX_TOLD)
    assert dispatch.tell().accepted == 0
