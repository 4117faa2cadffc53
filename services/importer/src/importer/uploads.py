"""From a request's body to a queued run: spool it, name the file, find its twin."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from eventmodel import ProjectId
from importer.frames import Source
from importer.runs import MAX_UNFINISHED_RUNS, Run, Runs, TooManyRuns, Upload, new_run_id
from importer.spool import FileTooLarge, Spool, SpoolFull
from importer.spooled import TruncatedFile, identity_of, open_spooled
from lifecycle.clock import Clock
from lifecycle.errors import Problem

MAX_NAME_CHARS: Final = 255


class Uploads:
    """Takes files in; what it answers is on disk and in the database."""

    def __init__(self, runs: Runs, spool: Spool, clock: Clock, *, max_bytes: int) -> None:
        self._runs = runs
        self._spool = spool
        self._clock = clock
        self.max_bytes = max_bytes

    async def take(
        self,
        project: ProjectId,
        source: Source,
        name: str,
        account: str | None,
        chunks: AsyncIterator[bytes],
        *,
        again: bool,
    ) -> tuple[Run, bool]:
        """Spool a file and queue its run; or the earlier run of the same bytes and False. Raises Problem."""
        if await self._runs.unfinished(project) >= MAX_UNFINISHED_RUNS:
            raise too_many_runs()
        try:
            async with self._spool.receive(chunks, self.max_bytes) as received:
                start = await asyncio.to_thread(_start, received.path)
                identity, identity_bytes = await self._identity(project, source, start)
                upload = Upload(
                    project=project,
                    source=source,
                    name=name,
                    account=account,
                    sha256=received.digest.digest(),
                    identity=identity,
                    identity_bytes=identity_bytes,
                    bytes_total=received.size_bytes,
                )
                run = new_run_id()
                # The file first: a run without its file would fail, a file without its run is swept up.
                await self._spool.keep(received, run)
                return await self._queue(upload, run, again=again)
        except FileTooLarge as error:
            raise file_too_large(error.max_bytes) from error
        except SpoolFull as error:
            raise spool_full() from error
        except TruncatedFile as error:
            raise Problem(400, "damaged_gzip", "The file starts as gzip but cannot be unpacked.") from error

    async def _queue(self, upload: Upload, run: str, *, again: bool) -> tuple[Run, bool]:
        try:
            queued, new = await self._runs.create(upload, run, self._spool.id, self._clock.now(), again=again)
        except TooManyRuns as error:
            await self._spool.remove(run)
            raise too_many_runs() from error
        if not new:
            await self._spool.remove(run)
        return queued, new

    async def _identity(self, project: ProjectId, source: Source, start: bytes) -> tuple[str, int]:
        """The file's name for life, also when it has grown since it was first seen, and of how many bytes."""
        for identity, length in await self._runs.short_identities(project, source):
            if length <= len(start) and identity_of(start[:length]) == identity:
                return identity, length
        return identity_of(start), len(start)


def _start(path: Path) -> bytes:
    with open_spooled(path) as spooled:
        start = spooled.start()
    if not start:
        raise Problem(400, "empty_file", "The file is empty: there is nothing to import.")
    return start


def too_many_runs() -> Problem:
    return Problem(
        429,
        "too_many_runs",
        f"The project already has {MAX_UNFINISHED_RUNS} imports waiting or running. Wait for one, or cancel one.",
        headers={"retry-after": "60"},
    )


def file_too_large(max_bytes: int) -> Problem:
    return Problem(
        413,
        "file_too_large",
        f"The file has more than {max_bytes:,} bytes.",
        hint="Send it compressed, or in pieces cut at line ends (split --line-bytes).",
    )


def spool_full() -> Problem:
    return Problem(
        507,
        "spool_full",
        "The importer's disk has no room for the file.",
        hint="Wait until earlier imports are over, or give FOOTFALL_IMPORT_SPOOL_DIR more room.",
        headers={"retry-after": "60"},
    )
