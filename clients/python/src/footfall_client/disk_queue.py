"""The offline queue: events in files, which a killed process leaves to the next one.

    DIRECTORY/lock                            held while a process comes or goes
    DIRECTORY/<began>-<pid>/lock              held as long as the process lives
    DIRECTORY/<began>-<pid>/<number>.body     one request's events, a line each: CRC-32, space, JSON

Any number of processes may share a directory: each writes into a folder of its own, and who starts takes over
the folders whose process has ended.
"""

import contextlib
import fcntl
import logging
import os
import time
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from footfall_client.queues import Bounds

_LOGGER: Final = logging.getLogger("footfall_client")


class _BodyFile(NamedTuple):
    path: Path
    events: int
    size_bytes: int


class DiskQueue:
    """A queue that `put` leaves in the kernel's hands, and `sync` on the disk.

    So a killed process loses nothing that was put, and a power failure what was put since the last `sync`.
    Raises OSError when the directory cannot be used.
    """

    def __init__(self, directory: Path, bounds: Bounds) -> None:
        self._directory = directory
        self._bounds = bounds
        self._files: deque[_BodyFile] = deque()
        self._number = 0
        self._open: int | None = None
        self._open_events = self._open_bytes = 0
        self._waiting = self._bytes = 0
        self._dirty = False
        self._closing: deque[int] = deque()
        self._taken: list[bytes] | None = None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _guarded(directory):
            self._home = directory / f"{time.time_ns():020d}-{os.getpid()}"
            self._home.mkdir(mode=0o700)
            self._lock = _descriptor(self._home / "lock")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._take_over()

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def has_full_body(self) -> bool:
        return bool(self._files)

    def put(self, event: bytes) -> bool:
        line = b"%08x %b\n" % (zlib.crc32(event), event)
        if self._bytes + len(line) > self._bounds.queue_bytes:
            return False
        if self._open_events and (
            self._open_events >= self._bounds.body_events
            or self._open_bytes + len(line) > self._bounds.body_bytes
        ):
            self._seal()
        if self._open is None:
            self._open = _descriptor(self._path(self._number + 1))
            self._number += 1
        self._write(self._open, line)
        self._open_events += 1
        self._open_bytes += len(line)
        self._waiting += 1
        self._bytes += len(line)
        self._dirty = True
        return True

    def take(self) -> tuple[list[bytes], int]:
        if self._taken is not None:
            return self._taken, 0
        if not self._files:
            self._seal()
        file = self._files[0]
        try:
            lines = file.path.read_bytes().splitlines()
        except OSError as error:
            _LOGGER.warning("%s cannot be read and is set aside: %s", file.path, error)
            with contextlib.suppress(OSError):
                file.path.rename(file.path.with_suffix(".unreadable"))
            lines = []
        self._taken = [event for line in lines if (event := _event(line)) is not None]
        return self._taken, file.events - len(self._taken)

    def remove(self) -> None:
        self._taken = None
        file = self._files.popleft()
        self._waiting -= file.events
        self._bytes -= file.size_bytes
        try:
            file.path.unlink(missing_ok=True)
        except OSError as error:
            _LOGGER.warning("%s is sent but cannot be removed; it will be sent again: %s", file.path, error)

    def sync(self) -> None:
        if not self._dirty and not self._closing:
            return
        if self._dirty and (descriptor := self._open) is not None:
            self._dirty = False
            os.fsync(descriptor)
        while self._closing:
            descriptor = self._closing.popleft()
            # What is sent already is removed, and needs no disk.
            if os.fstat(descriptor).st_nlink:
                os.fsync(descriptor)
            os.close(descriptor)
        folder = os.open(self._home, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def close(self) -> None:
        self._seal()
        self.sync()
        with _guarded(self._directory):
            if not self._files:
                _remove_folder(self._home)
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)

    def abandon(self) -> None:
        for descriptor in (self._lock, *self._closing, *([] if self._open is None else [self._open])):
            os.close(descriptor)

    def _path(self, number: int) -> Path:
        return self._home / f"{number:012d}.body"

    def _write(self, descriptor: int, line: bytes) -> None:
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError("The disk took only part of an event.")
        except OSError:
            # The next event must not be glued to half of this one.
            self._seal()
            raise

    def _seal(self) -> None:
        if self._open is None:
            return
        self._files.append(_BodyFile(self._path(self._number), self._open_events, self._open_bytes))
        self._closing.append(self._open)
        self._open, self._open_events, self._open_bytes, self._dirty = None, 0, 0, False

    def _take_over(self) -> None:
        """Move the files of ended processes into our folder, before anything of ours."""
        for folder in sorted(path for path in self._directory.iterdir() if path.is_dir()):
            if folder == self._home:
                continue
            lock = _descriptor(folder / "lock")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                for path in sorted(folder.glob("*.body")):
                    self._adopt(path)
                _remove_folder(folder)
            finally:
                os.close(lock)

    def _adopt(self, path: Path) -> None:
        text = path.read_bytes()
        if not text:
            path.unlink()
            return
        self._number += 1
        ours = path.rename(self._path(self._number))
        # A process killed while it wrote leaves half a line.
        events = text.count(b"\n") + (not text.endswith(b"\n"))
        self._files.append(_BodyFile(ours, events, len(text)))
        self._waiting += events
        self._bytes += len(text)


def _event(line: bytes) -> bytes | None:
    """The event of one line; None when it is not as it was written."""
    checksum, _, event = line.partition(b" ")
    return event if checksum == b"%08x" % zlib.crc32(event) else None


def _descriptor(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)


def _remove_folder(folder: Path) -> None:
    (folder / "lock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        # Not empty where something could not be read, or is not ours.
        folder.rmdir()


@contextlib.contextmanager
def _guarded(directory: Path) -> Iterator[None]:
    """Nobody else comes or goes meanwhile."""
    guard = _descriptor(directory / "lock")
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        # Not by closing alone: a child forked meanwhile would hold it on.
        fcntl.flock(guard, fcntl.LOCK_UN)
        os.close(guard)
