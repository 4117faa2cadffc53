"""What takes too long is cut off, and only that."""

import asyncio

import pytest

from lifecycle.deadlines import Deadlines


async def test_what_takes_too_long_ends_in_a_timeout() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await asyncio.Event().wait()
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_ends_in_time_is_left_alone_and_others_still_are_cut_off() -> None:
    deadlines = Deadlines()

    async def take(seconds: float, within_s: float) -> str:
        try:
            with deadlines.within(within_s):
                await asyncio.sleep(seconds)
        except TimeoutError:
            return "late"
        return "in time"

    found = await asyncio.gather(take(0, 0.01), take(30, 0.01), take(0.2, 30), take(30, 0.2))
    assert list(found) == ["in time", "late", "in time", "late"]
    assert await take(30, 0.01) == "late"


async def test_a_cancellation_from_outside_stays_one() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.within(30):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_what_is_waited_for_comes_through() -> None:
    with pytest.raises(ValueError, match="broken"), Deadlines().within(30):
        raise ValueError("broken")
