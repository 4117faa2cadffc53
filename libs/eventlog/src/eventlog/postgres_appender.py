"""The one appender of a process: concurrent appends become one transaction, one in flight."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import NamedTuple

import asyncpg

from eventlog.errors import LogBusy, LogUnavailable
from eventlog.postgres_session import Connection, Session

BATCH_RECORDS = 2_000
BATCH_BYTES = 8 * 1024 * 1024
PATIENT_RECORDS = 500
"""A transaction's most records of patient topics, so that live appends never wait for more."""
PATIENT_MIN_RECORDS = 100
"""Their share when live topics fill the transaction: patient topics are slow then, not stopped."""
MESSAGE_OVERHEAD_BYTES = 100
"""What a queued message takes beside its key and value, roughly."""


@dataclass(eq=False, slots=True)
class Call:
    """One append call: its messages with their sizes in bytes and parts."""

    topic: str
    topic_id: int
    messages: Sequence[tuple[bytes, bytes]]
    sizes: Sequence[int]
    parts: Sequence[int]
    done: asyncio.Future[None]
    taken: int = 0
    """How many messages have gone into a transaction, committed or in flight."""


class Slice(NamedTuple):
    """Messages `start` to `stop` of a call, as they go into one transaction."""

    call: Call
    start: int
    stop: int


class Queue:
    """Calls that wait, in order within a topic; live topics share a transaction, patient ones fill it up.

    The bound in bytes holds for live and for patient topics apart: a backfill never makes live appends busy.
    """

    def __init__(self, max_bytes: int, patient: Collection[str]) -> None:
        self._max_bytes = max_bytes
        self._patient = frozenset(patient)
        self._waiting: dict[str, deque[Call]] = {}
        self._bytes = {True: 0, False: 0}
        self.filled = asyncio.Event()

    def put(self, call: Call) -> None:
        """Raises LogBusy when the queue has something in it and would exceed its bound."""
        size = sum(call.sizes)
        patient = call.topic in self._patient
        if self._bytes[patient] and self._bytes[patient] + size > self._max_bytes:
            raise LogBusy(
                f"{self._bytes[patient]:,} bytes wait to be appended; the log is slower than what comes in."
            )
        self._bytes[patient] += size
        self._waiting.setdefault(call.topic, deque()).append(call)
        self.filled.set()

    def abandon(self, call: Call) -> None:
        """Forget what was not yet sent of a call whose caller has gone."""
        calls = self._waiting.get(call.topic)
        if calls is not None and call in calls:
            calls.remove(call)
            self._release(call, call.taken, len(call.messages))

    def abandon_all(self) -> list[Call]:
        """Empty the queue; what was in it."""
        calls = [call for waiting in self._waiting.values() for call in waiting]
        for call in calls:
            self.abandon(call)
        return calls

    def take(self) -> list[Slice]:
        """The next transaction's messages, and out of the queue with them."""
        live = [name for name in self._waiting if name not in self._patient]
        patient = [name for name in self._waiting if name in self._patient]
        slices: list[Slice] = []
        room = self._take(live, BATCH_RECORDS, BATCH_BYTES, slices)
        patient_room = max(PATIENT_MIN_RECORDS, min(PATIENT_RECORDS, room))
        self._take(patient, patient_room, BATCH_BYTES // 4, slices)
        if not self._waiting:
            self.filled.clear()
        return slices

    def _take(self, names: Sequence[str], records: int, max_bytes: int, into: list[Slice]) -> int:
        """Take fairly from the topics, those with least waiting first; the records left."""
        names = sorted(names, key=lambda name: len(self._waiting[name]))
        for left, name in zip(range(len(names), 0, -1), names, strict=True):
            share, share_bytes = max(1, records // left), max_bytes // left
            calls = self._waiting[name]
            while calls and share > 0 and share_bytes > 0:
                call = calls[0]
                start, stop = call.taken, call.taken
                while stop < len(call.messages) and stop - start < share and share_bytes > 0:
                    share_bytes -= call.sizes[stop]
                    stop += 1
                call.taken = stop
                share -= stop - start
                records -= stop - start
                max_bytes -= self._release(call, start, stop)
                into.append(Slice(call, start, stop))
                if stop == len(call.messages):
                    calls.popleft()
            if not calls:
                del self._waiting[name]
        return records

    def _release(self, call: Call, start: int, stop: int) -> int:
        size = sum(call.sizes[start:stop])
        self._bytes[call.topic in self._patient] -= size
        return size


class Appender:
    """Sends what is queued, one transaction at a time; `committed` is told the topics of each."""

    def __init__(self, session: Session, queue: Queue, committed: Callable[[Collection[str]], None]) -> None:
        self._session = session
        self._queue = queue
        self._committed = committed
        self._closed = False

    async def append(self, call: Call) -> None:
        if self._closed:
            raise _closing()
        self._queue.put(call)
        try:
            await call.done
        except asyncio.CancelledError:
            self._queue.abandon(call)
            raise

    async def run(self) -> None:
        """Runs until cancelled; then every waiting call fails."""
        try:
            while True:
                await self._queue.filled.wait()
                # Whoever is ready to append in this turn of the loop joins the transaction.
                await asyncio.sleep(0)
                if slices := self._queue.take():
                    await self._send(slices)
        finally:
            self._closed = True
            _fail(self._queue.abandon_all(), _closing())

    async def _send(self, slices: Sequence[Slice]) -> None:
        batch = _Batch(slices)
        try:
            await self._store(batch)
        except LogUnavailable as error:
            calls = [call for call, _, _ in slices]
            if isinstance(error.__cause__, TimeoutError | asyncpg.QueryCanceledError):
                # What queued behind a hung transaction has waited as long: better to tell it now.
                calls += self._queue.abandon_all()
            for call in calls:
                self._queue.abandon(call)
            _fail(calls, error)
            return
        except BaseException:
            _fail([call for call, _, _ in slices], _closing())
            raise
        for call, _, stop in slices:
            if stop == len(call.messages) and not call.done.done():
                call.done.set_result(None)
        self._committed({call.topic for call, _, _ in slices})

    async def _store(self, batch: "_Batch") -> None:
        async with self._session.use() as connection:
            try:
                await batch.store(connection)
            except asyncpg.CheckViolationError:
                # No segment for today: nobody made it in advance. Nothing was stored, so once more is safe.
                await connection.execute(
                    "SELECT log.make_segments(d, d) FROM log.day_of(clock_timestamp()) d"
                )
                await batch.store(connection)


class _Batch:
    """Messages grouped by topic and part, as log.append_records takes them."""

    def __init__(self, slices: Sequence[Slice]) -> None:
        self._groups: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}
        for call, start, stop in slices:
            for number, message in zip(call.parts[start:stop], call.messages[start:stop], strict=True):
                self._groups.setdefault((call.topic_id, number), []).append(message)

    async def store(self, connection: Connection) -> None:
        """Commit."""
        messages = list(chain.from_iterable(self._groups.values()))
        firsts = list(accumulate((len(group) for group in self._groups.values()), initial=1))
        await connection.execute(
            "SELECT FROM log.append_records($1, $2, $3, $4, $5)",
            [topic for topic, _ in self._groups],
            [number for _, number in self._groups],
            firsts[:-1],
            [key for key, _ in messages],
            [value for _, value in messages],
        )


def _closing() -> LogUnavailable:
    return LogUnavailable("This process is closing its log.")


def _fail(calls: Sequence[Call], error: LogUnavailable) -> None:
    for call in calls:
        if not call.done.done():
            own = LogUnavailable(str(error))
            own.__cause__ = error.__cause__
            call.done.set_exception(own)
