"""What is sent when. Knows no thread, no network and no clock: who calls says what time it is."""

import random
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from footfall_client.answers import Again, Settled
from footfall_client.delivery import Delivery, Rejection
from footfall_client.queues import Queue

MAX_TOLD: Final = 100
MIN_BACK_OFF_S: Final = 0.5
MAX_BACK_OFF_S: Final = 60.0


class Dispatch:
    """Bodies out of a queue, one at a time, each until it is settled; and the count of what became of them.

    A body goes when it is full, when its oldest event has waited for `interval_s`, or when somebody is in a
    hurry. After a failure it goes again: after the server's Retry-After and up to a second more, else after
    0.5, 1, 2 … at most 60 s, of which a random part of up to half is left off. Times are seconds of a clock
    that never goes back.
    """

    def __init__(self, queue: Queue, interval_s: float, chance: Callable[[], float] = random.random) -> None:
        self.queue = queue
        self.put_count = self._urgent_count = queue.waiting
        self.settled_count = 0
        self.failures = 0
        self._interval_s = interval_s
        self._chance = chance
        self._oldest_s = self._taken_s = -inf
        self._not_before_s = -inf
        self._may_hurry = True
        self._accepted = self._rejected = self._dropped = self._damaged = 0
        self._rejections: list[Rejection] = []

    def put(self, event: bytes, now_s: float) -> bool:
        """Let it wait to be sent; False when there is no room. Raises OSError when it cannot be kept."""
        first = not self.queue.waiting
        if not self.queue.put(event):
            return False
        if first:
            self._oldest_s = now_s
        self.put_count += 1
        return True

    def drop(self) -> None:
        """Count an event that was not put."""
        self._dropped += 1

    def wait_s(self, now_s: float) -> float:
        """How long until a body is to be sent: 0 at once, infinite while nothing waits."""
        if not self.queue.waiting:
            return inf
        urgent = self.queue.has_full_body or self.settled_count < self._urgent_count
        due_s = now_s if urgent else self._oldest_s + self._interval_s
        return max(0.0, due_s - now_s, self._not_before_s - now_s)

    def hurry(self, now_s: float, *, last: bool = False) -> int:
        """Send what waits now without waiting for more; the count that `settled_count` then reaches.

        The `last` time not even a back-off is waited for, only the server's own Retry-After.
        """
        self._urgent_count = self.put_count
        if last and self._may_hurry:
            self._not_before_s = now_s
        return self.put_count

    def take(self, now_s: float) -> list[bytes]:
        """The events of the next body; settle it before taking another. None when they were all damaged."""
        events, damaged = self.queue.take()
        self._taken_s = now_s
        self._damaged += damaged
        self.settled_count += damaged
        return events

    def settle(self, events: Sequence[bytes], outcome: Settled | Again, now_s: float) -> None:
        """Go by what came of the body that was taken."""
        if isinstance(outcome, Again):
            self._fail(outcome.after_s, now_s)
            return
        self.queue.remove()
        self.settled_count += len(events)
        self.failures = 0
        self._not_before_s = -inf
        # What came meanwhile came after the body was taken.
        self._oldest_s = self._taken_s
        self._accepted += outcome.accepted
        self._rejected += len(outcome.rejections)
        self._rejections += outcome.rejections[: MAX_TOLD - len(self._rejections)]

    def tell(self) -> Delivery:
        """What became of events since this was asked last."""
        told = Delivery(
            accepted=self._accepted,
            rejected=self._rejected,
            dropped=self._dropped,
            damaged=self._damaged,
            waiting=self.queue.waiting,
            rejections=tuple(self._rejections),
        )
        self._accepted = self._rejected = self._dropped = self._damaged = 0
        self._rejections = []
        return told

    def _fail(self, after_s: float | None, now_s: float) -> None:
        if after_s is None:
            back_off_s = min(MAX_BACK_OFF_S, MIN_BACK_OFF_S * 2 ** min(self.failures, 10))
            wait_s = back_off_s * (1 - self._chance() / 2)
        else:
            wait_s = after_s + self._chance()
        self._may_hurry = after_s is None
        self._not_before_s = now_s + wait_s
        self.failures += 1
