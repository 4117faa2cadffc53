"""Uploaded files on disk until their run is over: written once, synced, named by their run.

Replicas that share the directory share the work. The directory carries an id, so that a replica with
another one leaves runs to those who have the files.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

_ID_FILE: Final = "spool.id"
_PARTIAL_SUFFIX: Final = ".partial"
_WRITE_BYTES: Final = 1024 * 1024
ORPHAN_S: Final = 24 * 3600
"""How old a file must be that belongs to no run before it is removed: an upload may still be on its way."""


class SpoolFull(Exception):
    """The disk under the spool has no room."""


class FileTooLarge(Exception):
    """The body has more than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The file has more than {max_bytes:,} bytes.")
        self.max_bytes = max_bytes


class Received:
    """A body on disk: `path`, its size and its SHA-256."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.digest = hashlib.sha256()


class Spool:
    """The directory of uploaded files; `id` names it across processes."""

    def __init__(self, directory: Path, spool_id: str) -> None:
        self.id = spool_id
        self._directory = directory

    def path(self, run: str) -> Path:
        """Where the run's file is."""
        return self._directory / run

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[Received]:
        """Write a body to disk and sync it; removed at the end unless `keep` has given it to a run.

        Raises FileTooLarge, SpoolFull.
        """
        received = Received(self._directory / (secrets.token_hex(12) + _PARTIAL_SUFFIX))
        try:
            try:
                await _write(received, chunks, max_bytes)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise SpoolFull from error
                raise
            yield received
        finally:
            await asyncio.to_thread(received.path.unlink, missing_ok=True)

    async def keep(self, received: Received, run: str) -> None:
        """Make the file the run's, safe from a crash."""
        await asyncio.to_thread(self._keep, received.path, run)

    async def remove(self, run: str) -> None:
        """Remove the run's file, if it is there."""
        await asyncio.to_thread(self.path(run).unlink, missing_ok=True)

    async def files(self) -> Collection[str]:
        """The names of the runs whose files are here; removes what an interrupted upload left a day ago."""
        return await asyncio.to_thread(self._files)

    async def old(self, runs: Collection[str]) -> Collection[str]:
        """Those of `runs` whose files lie here for longer than ORPHAN_S."""
        return await asyncio.to_thread(lambda: [run for run in runs if _age_s(self.path(run)) > ORPHAN_S])

    def _keep(self, path: Path, run: str) -> None:
        path.rename(self.path(run))
        _sync(self._directory)

    def _files(self) -> list[str]:
        names = []
        for entry in self._directory.iterdir():
            if entry.suffix == _PARTIAL_SUFFIX:
                if _age_s(entry) > ORPHAN_S:
                    entry.unlink(missing_ok=True)
            elif entry.name != _ID_FILE:
                names.append(entry.name)
        return names


def open_spool(directory: Path) -> Spool:
    """The spool in `directory`, made when it is not there, readable by its owner alone."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    id_file = directory / _ID_FILE
    fresh = directory / f"{_ID_FILE}.{secrets.token_hex(4)}{_PARTIAL_SUFFIX}"
    fresh.write_text(secrets.token_hex(8))
    # A link fails where a rename would replace the id that another replica just gave the directory.
    with suppress(FileExistsError):
        id_file.hardlink_to(fresh)
    fresh.unlink()
    return Spool(directory, id_file.read_text().strip())


async def _write(received: Received, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
    descriptor = await asyncio.to_thread(os.open, received.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        waiting = bytearray()
        async for chunk in chunks:
            received.size_bytes += len(chunk)
            if received.size_bytes > max_bytes:
                raise FileTooLarge(max_bytes)
            waiting += chunk
            if len(waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(_store, file, received, waiting)
                waiting = bytearray()
        await asyncio.to_thread(_store, file, received, waiting)
        await asyncio.to_thread(os.fsync, descriptor)


def _store(file: BinaryIO, received: Received, piece: bytearray) -> None:
    received.digest.update(piece)
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
