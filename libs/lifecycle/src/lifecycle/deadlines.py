"""Bounds on how long something may take, for thousands at once: all share one timer of the event loop."""

import asyncio
from types import TracebackType
from typing import Final, Self

SWEEP_S: Final = 0.05


class Deadlines:
    """As `asyncio.timeout`, for what nearly always ends in time; one that is missed is noticed within SWEEP_S."""

    def __init__(self) -> None:
        self._open: set[Within] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> "Within":
        """A context whose task is cancelled after so many seconds, and which then raises TimeoutError."""
        return Within(self, seconds)

    def begin(self, one: "Within") -> None:
        """Watch it."""
        self._open.add(one)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def end(self, one: "Within") -> None:
        """It was left."""
        self._open.discard(one)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for one in [one for one in self._open if one.due_s <= now_s]:
            self._open.discard(one)
            one.expire()
        self._timer = loop.call_later(SWEEP_S, self._sweep) if self._open else None


class Within:
    """One deadline; entered once."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_seconds", "_task", "due_s")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A deadline needs a task.")
        self._task = task
        self._cancelling = task.cancelling()
        self.due_s = asyncio.get_running_loop().time() + self._seconds
        self._deadlines.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.end(self)
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """The time is over."""
        self._expired = True
        self._task.cancel()
