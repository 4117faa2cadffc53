"""The worker: takes up runs one after the other and moves what their reader finds into the log."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, assert_never

import asyncpg

from access.cache import Access
from access.errors import AccessUnavailable
from access.projects import Projects
from eventlog.errors import LogUnavailable, MessageTooLarge, UnknownTopic
from eventlog.port import LogWriter, Message
from eventmodel import ProjectId, topics
from importer.claims import Claim, Progress, RunLost, claim
from importer.frames import Batch, End, Failure, Job, Plan
from importer.job_policy import policy_of
from importer.reader import ReaderDied, start_reader
from importer.runs import FINISHED, Run, Runs, RunsUnavailable
from importer.spool import Spool
from lifecycle.clock import Clock
from telemetry.catalog import IMPORT_LINES, IMPORT_RUNS
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

UNPACKED_FACTOR: Final = 20
"""How many times the largest upload a gzip file may unpack to."""
MAX_FAILURES: Final = 5
SLICE_S: Final = 60.0
"""How long a run may keep the worker while another one is queued."""

_IDLE_S: Final = 1.0
_HOUSEKEEPING_S: Final = 60.0
_MAX_BACKOFF_S: Final = 30.0
_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RunsUnavailable, AccessUnavailable)
# What another attempt may or may not cure, and what must not keep the other runs from being worked on.
_RUN_FAILED: Final = (
    ReaderDied,
    MessageTooLarge,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
)
_log = get_logger(__name__)


class Worker:
    """One run at a time, one append in flight, at most `max_events_per_s`: live traffic goes first.

    A run goes on where it was left, whoever left it, and however: events are appended, then the
    checkpoint moves. What is appended twice has the same ids and counts once.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        runs: Runs,
        spool: Spool,
        log: LogWriter,
        access: Access,
        clock: Clock,
        metrics: Metrics,
        *,
        max_bytes: int,
        max_events_per_s: int,
    ) -> None:
        self._pool = pool
        self._runs = runs
        self._spool = spool
        self._eventlog = log
        self._access = access
        self._projects = Projects(pool, clock)
        self._clock = clock
        self._metrics = metrics
        self._max_unpacked_bytes = UNPACKED_FACTOR * max_bytes
        self._max_events_per_s = max_events_per_s
        self._queued = asyncio.Event()
        self._housekeeping_at = 0.0

    def wake(self) -> None:
        """Look for a queued run now rather than within the second."""
        self._queued.set()

    async def run(self) -> None:
        """Work until cancelled; a database that is away is waited for."""
        backoff_s = _IDLE_S
        while True:
            idle_s = _IDLE_S
            try:
                if await self._turn():
                    idle_s = 0.0
                backoff_s = _IDLE_S
            except _AWAY as error:
                _log.warning(
                    "the importer waits for its database or spool", error=repr(error), retry_s=backoff_s
                )
                idle_s = backoff_s
                backoff_s = min(2 * backoff_s, _MAX_BACKOFF_S)
            if idle_s:
                await self._rest(idle_s)

    async def _rest(self, idle_s: float) -> None:
        self._queued.clear()
        try:
            async with asyncio.timeout(idle_s):
                await self._queued.wait()
        except TimeoutError:
            return

    async def _turn(self) -> bool:
        """Work on one run; False when there is none."""
        if self._clock.monotonic() >= self._housekeeping_at:
            await self._keep_house()
            self._housekeeping_at = self._clock.monotonic() + _HOUSEKEEPING_S
        async with self._pool.acquire() as connection:
            claimed = await claim(connection, self._spool.id)
            if claimed is None:
                return False
            run = claimed.run
            try:
                if await self._access.resolve(run.project) is None:
                    await self._forget(run.project)
                else:
                    await self._attempt(claimed)
            except RunLost:
                _log.info("the run was cancelled or taken over", project=run.project, run=run.id)
        return True

    async def _attempt(self, claimed: Claim) -> None:
        try:
            await self._work(claimed)
        except _RUN_FAILED as error:
            await self._after_failure(claimed, repr(error))

    async def _work(self, claimed: Claim) -> None:
        run = claimed.run
        _log.info("importing", project=run.project, run=run.id, offset_bytes=run.offset_bytes)
        path = self._spool.path(run.id)
        if not path.exists():
            await claimed.fail(
                "spool_lost",
                "The uploaded copy of the file is gone from the importer's disk. Upload the file again: what was "
                "imported already is not counted twice.",
                self._clock.now(),
            )
            self._ended(run, "failed")
            return
        async with start_reader(await self._job(run, str(path))) as frames:
            progress = Progress.of(run)
            began = since = self._clock.monotonic()
            async for frame in frames:
                match frame:
                    case Batch():
                        since = await self._publish(claimed, progress, frame, since)
                        if await self._has_had_its_turn(began):
                            await claimed.requeue()
                            return
                    case End():
                        await claimed.finish(self._clock.now())
                        await self._close(run, "done")
                        return
                    case Failure(error="internal"):
                        raise ReaderDied(frame.detail)
                    case Failure():
                        await claimed.fail(frame.error, frame.message, self._clock.now())
                        await self._close(run, "failed")
                        return
                    case Plan():
                        raise ReaderDied("The reading process answered a plan to a run.")
                    case _:
                        assert_never(frame)

    async def _publish(self, claimed: Claim, progress: Progress, batch: Batch, since: float) -> float:
        """Make the batch durable, then move the checkpoint, then give the live traffic its share.

        Returns until when the run's working time is counted; `since` is what the call before returned.
        """
        began = self._clock.monotonic()
        waited_s = await self._append(claimed, topics.BACKFILL, batch.events)
        waited_s += await self._append(claimed, topics.REJECTED, batch.rejected_records)
        appended = self._clock.monotonic()
        progress.bytes_done = batch.bytes_done
        progress.offset_bytes = batch.offset
        progress.line_number = batch.number
        progress.published += len(batch.events)
        progress.rejected += batch.rejected
        for rule, count in batch.skipped.items():
            progress.skipped[rule] = progress.skipped.get(rule, 0) + count
        progress.worked_s += appended - since - waited_s
        await claimed.checkpoint(progress, batch.bad)
        self._count(batch)
        took_s = self._clock.monotonic() - began - waited_s
        await asyncio.sleep(max(0.0, len(batch.events) / self._max_events_per_s - took_s))
        return appended

    async def _append(self, claimed: Claim, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> float:
        """Append until the log has it; the seconds that were lost waiting for the log."""
        if not messages:
            return 0.0
        began = self._clock.monotonic()
        delay_s = 0.5
        while True:
            tried = self._clock.monotonic()
            try:
                await self._eventlog.append(topic, [Message(key, value) for key, value in messages])
            except (LogUnavailable, UnknownTopic) as error:
                await claimed.wait_for(
                    f"{error} The import goes on by itself when the log takes events again."
                )
                _log.warning(
                    "the import waits for the log", run=claimed.run.id, error=str(error), retry_s=delay_s
                )
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(2 * delay_s, _MAX_BACKOFF_S)
            else:
                return tried - began

    async def _has_had_its_turn(self, began: float) -> bool:
        return self._clock.monotonic() - began > SLICE_S and await self._runs.others_wait(self._spool.id)

    async def _after_failure(self, claimed: Claim, detail: str) -> None:
        """Give the run back for another attempt, or end it when that has not helped."""
        run = claimed.run
        _log.error("an import stopped", project=run.project, run=run.id, detail=detail)
        if run.failures + 1 >= MAX_FAILURES:
            await claimed.fail(
                "internal",
                f"Reading stopped {MAX_FAILURES} times soon after line {run.line_number:,} of the file for a reason "
                "that is not the file's format. The importer's log says more; uploading again starts over without "
                "counting anything twice.",
                self._clock.now(),
            )
            await self._close(run, "failed")
            return
        delay_s = 2.0**run.failures
        await claimed.retry("Reading stopped unexpectedly; it is tried again.", timedelta(seconds=delay_s))

    async def _job(self, run: Run, path: str) -> Job:
        return Job(
            path=path,
            source=run.source,
            name=run.name,
            project=run.project,
            run=run.id,
            account=run.account,
            identity=run.identity,
            salt=await self._runs.salt(run.project, secrets.token_bytes(32)),
            received_at=run.created_at,
            offset=run.offset_bytes,
            number=run.line_number,
            rejected=run.rejected,
            max_unpacked_bytes=self._max_unpacked_bytes,
            **policy_of(self._access.project(run.project)),
        )

    async def _close(self, run: Run, state: str) -> None:
        await self._spool.remove(run.id)
        self._ended(run, state)

    def _ended(self, run: Run, state: str) -> None:
        self._metrics.counter(IMPORT_RUNS, state).inc()
        _log.info("the import is over", project=run.project, run=run.id, state=state)

    def _count(self, batch: Batch) -> None:
        self._metrics.counter(IMPORT_LINES, "published").inc(len(batch.events))
        self._metrics.counter(IMPORT_LINES, "rejected").inc(batch.rejected)
        self._metrics.counter(IMPORT_LINES, "skipped").inc(sum(batch.skipped.values()))

    async def _keep_house(self) -> None:
        """Remove what is kept of deleted projects, the files of runs that are over, and files without a run."""
        for project in await self._projects.deleted("importer"):
            await self._forget(project)
            await self._projects.purged(project, "importer")
        files = await self._spool.files()
        states = await self._runs.states(self._spool.id, files)
        lost = [run for run in await self._spool.old(files) if run not in states]
        for run in [run for run, state in states.items() if state in FINISHED] + lost:
            await self._spool.remove(run)

    async def _forget(self, project: ProjectId) -> None:
        for run in await self._runs.forget(project):
            await self._spool.remove(run)
