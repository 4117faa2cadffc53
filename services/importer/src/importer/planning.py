"""A dry run: what the first lines of a file would become. Nothing is kept."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Final

from access.cache import Access
from eventmodel import ProjectId
from importer.frames import Failure, Job, Plan, Source
from importer.job_policy import policy_of
from importer.reader import ReaderDied, start_reader
from importer.spool import FileTooLarge, Spool, SpoolFull
from importer.uploads import spool_full
from lifecycle.clock import Clock
from lifecycle.errors import Problem

MAX_PLAN_BYTES: Final = 8 * 1024 * 1024
PLANS_AT_ONCE: Final = 2
PLAN_S: Final = 60.0


class Planner:
    """At most PLANS_AT_ONCE at a time; the others wait."""

    def __init__(self, spool: Spool, access: Access, clock: Clock) -> None:
        self._spool = spool
        self._access = access
        self._clock = clock
        self._turns = asyncio.Semaphore(PLANS_AT_ONCE)

    async def plan(
        self, project: ProjectId, source: Source, account: str | None, chunks: AsyncIterator[bytes]
    ) -> Plan:
        """What a run of a file that starts like this body would do. Raises Problem."""
        try:
            async with self._spool.receive(chunks, MAX_PLAN_BYTES) as received, self._turns:
                job = Job(
                    path=str(received.path),
                    source=source,
                    name="plan",
                    project=project,
                    run="plan",
                    account=account,
                    identity="plan",
                    salt=secrets.token_bytes(32),
                    received_at=self._clock.now(),
                    max_unpacked_bytes=100 * MAX_PLAN_BYTES,
                    plan=True,
                    **policy_of(self._access.project(project)),
                )
                return await _first_frame(job)
        except FileTooLarge as error:
            raise Problem(
                413,
                "file_too_large",
                f"A plan reads at most the first {MAX_PLAN_BYTES:,} bytes of a file.",
                hint=f"Send its start: head -c {MAX_PLAN_BYTES} FILE | curl --data-binary @- …",
            ) from error
        except SpoolFull as error:
            raise spool_full() from error


async def _first_frame(job: Job) -> Plan:
    async with asyncio.timeout(PLAN_S), start_reader(job) as frames:
        async for frame in frames:
            match frame:
                case Plan():
                    return frame
                case Failure():
                    raise ReaderDied(frame.detail or frame.message)
                case _:
                    raise ReaderDied("The reading process answered a run to a plan.")
    raise ReaderDied("The reading process said nothing.")
