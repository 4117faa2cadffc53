"""Where events wait: what both places promise, and the one in memory."""

from collections import deque
from typing import NamedTuple, Protocol


class Bounds(NamedTuple):
    """How much one request carries, and how much may wait. A body holds at least one event, whatever its size."""

    body_events: int
    body_bytes: int
    queue_bytes: int


class Queue(Protocol):
    """Events in the order in which they were put. Its owner lets in one thread at a time, but for `sync`."""

    @property
    def waiting(self) -> int:
        """How many events wait."""

    @property
    def has_full_body(self) -> bool:
        """Whether what waits fills a request."""

    def put(self, event: bytes) -> bool:
        """Add one at the end; False when there is no room. Raises OSError when it cannot be kept."""

    def take(self) -> tuple[list[bytes], int]:
        """The oldest events, one body of them, the same until `remove`; and how many more could not be read."""

    def remove(self) -> None:
        """Forget what was taken."""

    def sync(self) -> None:
        """Make what was put before survive a power failure. Only one thread calls it."""

    def close(self) -> None:
        """Let go of what is held open."""

    def abandon(self) -> None:
        """In a forked child: leave everything to the parent."""


class MemoryQueue:
    """Events in memory; they are gone when the process ends."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._taken = 0

    @property
    def waiting(self) -> int:
        return len(self._events)

    @property
    def has_full_body(self) -> bool:
        return len(self._events) >= self._bounds.body_events or self._bytes >= self._bounds.body_bytes

    def put(self, event: bytes) -> bool:
        if self._bytes + len(event) > self._bounds.queue_bytes:
            return False
        self._events.append(event)
        self._bytes += len(event)
        return True

    def take(self) -> tuple[list[bytes], int]:
        if not self._taken:
            self._taken = self._one_body()
        return [self._events[index] for index in range(self._taken)], 0

    def remove(self) -> None:
        for _ in range(self._taken):
            self._bytes -= len(self._events.popleft())
        self._taken = 0

    def sync(self) -> None:
        return

    def close(self) -> None:
        return

    def abandon(self) -> None:
        return

    def _one_body(self) -> int:
        count = size = 0
        for event in self._events:
            size += len(event)
            if count and (count == self._bounds.body_events or size > self._bounds.body_bytes):
                break
            count += 1
        return count
