"""The spool at work: many requests share one fsync, and what waits goes to the log in the order it came."""

import asyncio
import random
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from eventlog.errors import LogUnavailable, MessageTooLarge, UnknownTopic
from eventlog.port import LogWriter
from ingest_api.spool.segments import Salvaged, Segments, SpoolFull, line_of
from telemetry.catalog import INGEST_SPOOL_BYTES, INGEST_SPOOL_EVENTS
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_APPEND_RECORDS: Final = 500
_APPEND_WITHIN_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.25
_LAST_PAUSE_S: Final = 5.0

_log = get_logger(__name__)


class _Waiting(NamedTuple):
    lines: bytes
    events: int
    kept: "asyncio.Future[None]"


class Spool:
    """Keeps messages on disk until the log has them; somebody must own its `run`.

    A segment is forgotten once the log has all of it, so after a crash some of it may be appended again: the
    consumers know the ids and count them once.
    """

    def __init__(self, log: LogWriter, segments: Segments, metrics: Metrics) -> None:
        self._log = log
        self._segments = segments
        self._waiting: list[_Waiting] = []
        self._writing = False
        self._wake = asyncio.Event()
        self._disk = asyncio.Lock()
        self._bytes = metrics.gauge(INGEST_SPOOL_BYTES)
        self._events = {
            outcome: metrics.counter(INGEST_SPOOL_EVENTS, outcome)
            for outcome in ("kept", "drained", "damaged", "refused")
        }
        self._show()

    @property
    def holds(self) -> bool:
        """Whether anything waits for the log: what comes now must wait behind it, lest it overtake."""
        return bool(self._waiting) or self._writing or not self._segments.empty

    async def check(self) -> str:
        """ "ok", or a sentence that says how much waits."""
        if not self.holds:
            return "ok"
        return f"{self._segments.held_bytes:,} bytes of events wait here for the log."

    async def put(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Return once the messages survive a crash of this machine. Raises SpoolFull, and then none was kept."""
        lines = b"".join(line_of(topic, message) for message in messages)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(lines, len(messages), kept))
        self._wake.set()
        await kept

    async def run(self) -> None:
        """Write what is put and drain what waits, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            group.create_task(self._drain())

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            # A cancelled request has its answer: keeping its events all the same could only surprise.
            batch = [waiting for waiting in self._waiting if not waiting.kept.done()]
            self._waiting.clear()
            if not batch:
                continue
            self._writing = True
            try:
                await self._keep(batch)
            finally:
                self._writing = False
                self._show()

    async def _keep(self, batch: list[_Waiting]) -> None:
        async with self._disk:
            try:
                await asyncio.to_thread(self._segments.write, b"".join(one.lines for one in batch))
            except SpoolFull as full:
                if len(batch) == 1:
                    self._refuse(batch[0], full)
                else:
                    await self._keep_each(batch)
            else:
                self._answer(batch)

    async def _keep_each(self, batch: list[_Waiting]) -> None:
        """There was no room for all; a small one may still fit."""
        for one in batch:
            try:
                await asyncio.to_thread(self._segments.write, one.lines)
            except SpoolFull as full:
                self._refuse(one, full)
            else:
                self._answer([one])

    def _answer(self, kept: list[_Waiting]) -> None:
        for one in kept:
            self._events["kept"].inc(one.events)
            if not one.kept.done():
                one.kept.set_result(None)

    def _refuse(self, one: _Waiting, full: SpoolFull) -> None:
        self._events["refused"].inc(one.events)
        if not one.kept.done():
            one.kept.set_exception(full)

    async def _drain(self) -> None:
        while True:
            async with self._disk:
                path = self._segments.oldest()
            if path is None:
                # Events only begin to wait while the log is away, so there is no hurry to look again.
                await asyncio.sleep(_FIRST_PAUSE_S)
                continue
            reading = self._segments.read(path)
            while (salvaged := await asyncio.to_thread(next, reading, None)) is not None:
                await self._carry(salvaged)
                if salvaged.damaged:
                    self._events["damaged"].inc(len(salvaged.damaged))
                    _log.error("spooled events cannot be read; kept beside the spool", segment=path.name)
                    await asyncio.to_thread(self._segments.set_aside, salvaged.damaged)
            async with self._disk:
                self._segments.remove(path)
            self._show()

    async def _carry(self, salvaged: Salvaged) -> None:
        for topic, group in groupby(salvaged.messages, key=itemgetter(0)):
            messages = [message for _, message in group]
            for at in range(0, len(messages), _APPEND_RECORDS):
                await self._append(topic, messages[at : at + _APPEND_RECORDS])

    async def _append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Append until the log has them, however long that takes."""
        pause_s = _FIRST_PAUSE_S
        while messages:
            try:
                async with asyncio.timeout(_APPEND_WITHIN_S):
                    await self._log.append(topic, messages)
            except MessageTooLarge as error:
                _log.error("a spooled event is larger than the log takes", size_bytes=error.size_bytes)
                self._events["damaged"].inc()
                messages = [*messages[: error.index], *messages[error.index + 1 :]]
            except (TimeoutError, LogUnavailable, UnknownTopic):
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))
                pause_s = min(_LAST_PAUSE_S, 2 * pause_s)
            else:
                self._events["drained"].inc(len(messages))
                return

    def _show(self) -> None:
        self._bytes.set(self._segments.held_bytes)
