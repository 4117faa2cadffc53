"""The one background thread of a client, and how others wait for it."""

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from math import inf
from time import monotonic
from typing import Final

from footfall_client.answers import Again, Settled, read_answer
from footfall_client.delivery import Delivery, Rejection
from footfall_client.dispatch import Dispatch
from footfall_client.events import body_of
from footfall_client.queues import Queue
from footfall_client.requests import Endpoint, Unreachable

EXIT_TIMEOUT_S: Final = 5.0
_LEAVE_AFTER_S: Final = 1.0
_SYNC_EVERY_S: Final = 1.0
_TELL_DROPS_EVERY_S: Final = 10.0
_LOGGER: Final = logging.getLogger("footfall_client")
_OPEN: "weakref.WeakSet[Courier]" = weakref.WeakSet()


class Courier:
    """Carries events to Footfall in a daemon thread; every method may be called from any thread.

    A forked child begins with an empty queue and a thread of its own: what waits is the parent's to send.
    At the interpreter's end what waits is sent, for at most 5 s.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        open_queue: Callable[[], Queue],
        *,
        interval_s: float,
        on_rejected: Callable[[Rejection], None] | None,
    ) -> None:
        self._endpoint = endpoint
        self._open_queue = open_queue
        self._interval_s = interval_s
        self._on_rejected = on_rejected
        self._closed = False
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._dispatch: Dispatch | None = None
        self._thread: threading.Thread | None = None
        self._drops_told_s = -inf
        with self._changed:
            self._started()
        _OPEN.add(self)

    def put(self, event: bytes) -> bool:
        """Let it wait to be sent; False when there is no room. What the disk does not take is dropped."""
        with self._changed:
            if self._closed:
                raise RuntimeError("The client is closed.")
            dispatch = self._started()
            queue = dispatch.queue
            was_full = queue.has_full_body
            try:
                kept = dispatch.put(event, monotonic())
            except OSError as error:
                self._count_drop(dispatch, str(error))
                return True
            if queue.waiting == 1 or (queue.has_full_body and not was_full):
                self._changed.notify_all()
            return kept

    def drop(self) -> None:
        """Count and log an event for which there was no room."""
        with self._changed:
            self._count_drop(self._started(), "the queue is full")

    def hurry(self, *, last: bool = False) -> Callable[[], bool]:
        """Send what waits now; whether that is done is for `wait_for` and `ask`."""
        with self._changed:
            dispatch = self._started()
            count = dispatch.hurry(monotonic(), last=last)
            self._changed.notify_all()
        return lambda: self._closed or dispatch.settled_count >= count

    def wait_for(self, happened: Callable[[], bool], timeout_s: float | None) -> bool:
        """Whether it happened in time; asked again whenever something was settled."""
        with self._changed:
            return self._changed.wait_for(happened, timeout_s)

    def ask(self, happened: Callable[[], bool], listener: Callable[[], None]) -> bool:
        """Whether it happened; if not, the listener is called once, from another thread, when to ask again."""
        with self._changed:
            if happened():
                return True
            self._listeners.append(listener)
            return False

    def tell(self) -> Delivery:
        """What became of events since this was asked last."""
        with self._changed:
            return self._started().tell()

    def close(self, timeout_s: float) -> Delivery:
        """Send what waits, for so long, and end."""
        self.wait_for(self.hurry(last=True), timeout_s)
        return self.end()

    def end(self) -> Delivery:
        """Take no more, and end the thread; a request under way is left to itself after a second."""
        with self._changed:
            dispatch = self._started()
            first, self._closed = not self._closed, True
            self._progress()
        _OPEN.discard(self)
        if self._thread is not None:
            self._thread.join(_LEAVE_AFTER_S)
        with self._changed:
            told = dispatch.tell()
        if first and told.waiting:
            _LOGGER.warning("Closed while %d events were not known to be sent.", told.waiting)
        return told

    def after_fork(self) -> None:
        """In the child: nothing of the parent's but the settings."""
        self._changed = threading.Condition()
        self._listeners = []
        if self._dispatch is not None:
            self._dispatch.queue.abandon()
        self._dispatch = self._thread = None

    def _started(self) -> Dispatch:
        if self._dispatch is None:
            self._dispatch = Dispatch(self._open_queue(), self._interval_s)
            self._thread = threading.Thread(
                target=self._run, args=(self._dispatch,), name="footfall-client", daemon=True
            )
            self._thread.start()
        return self._dispatch

    def _count_drop(self, dispatch: Dispatch, reason: str) -> None:
        dispatch.drop()
        if monotonic() - self._drops_told_s >= _TELL_DROPS_EVERY_S:
            self._drops_told_s = monotonic()
            _LOGGER.warning("Events are dropped: %s. flush() counts them.", reason)

    def _run(self, dispatch: Dispatch) -> None:
        while self._carry(dispatch):
            self._sync(dispatch)
        try:
            dispatch.queue.close()
        except OSError as error:
            _LOGGER.warning("The queue's directory cannot be closed: %s", error)

    def _carry(self, dispatch: Dispatch) -> bool:
        """Send a body, or wait for one; False when the client is closed."""
        with self._changed:
            if self._closed:
                return False
            wait_s = dispatch.wait_s(monotonic())
            if wait_s > 0:
                # Not longer while something waits, because it may have to be synced.
                self._changed.wait(None if wait_s == inf else min(wait_s, _SYNC_EVERY_S))
                return True
            events = dispatch.take(monotonic())
        outcome = self._send(events)
        self._report(outcome, dispatch.failures)
        with self._changed:
            dispatch.settle(events, outcome, monotonic())
            self._progress()
        return True

    def _progress(self) -> None:
        self._changed.notify_all()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def _send(self, events: list[bytes]) -> Settled | Again:
        if not events:
            return Settled(0)
        now = datetime.now(timezone.utc)
        try:
            return read_answer(self._endpoint.post(body_of(events, now)), events, now)
        except Unreachable as error:
            return Again(str(error))
        except Exception:
            _LOGGER.exception("A request failed in a way that was not foreseen.")
            return Again("an error of the client")

    def _report(self, outcome: Settled | Again, failures: int) -> None:
        if isinstance(outcome, Again):
            if failures == 0:
                _LOGGER.warning(
                    "Events are kept and sent again, because Footfall took none: %s", outcome.reason
                )
            return
        if failures:
            _LOGGER.info("Footfall takes events again.")
        if outcome.rejections:
            first = outcome.rejections[0]
            _LOGGER.warning(
                "Footfall refused %d of %d events. The first: %s (%s)",
                len(outcome.rejections),
                outcome.accepted + len(outcome.rejections),
                first.message,
                first.code,
            )
        for rejection in outcome.rejections if self._on_rejected else ():
            self._call(rejection)

    def _call(self, rejection: Rejection) -> None:
        try:
            if self._on_rejected is not None:
                self._on_rejected(rejection)
        except Exception:
            _LOGGER.exception("on_rejected failed.")

    def _sync(self, dispatch: Dispatch) -> None:
        try:
            dispatch.queue.sync()
        except OSError as error:
            _LOGGER.warning("The queue's directory cannot be synced: %s", error)


def _after_fork() -> None:
    for courier in list(_OPEN):
        courier.after_fork()


def _at_exit() -> None:
    for courier in list(_OPEN):
        courier.close(EXIT_TIMEOUT_S)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
