"""The spool's files: appended and fsynced, read back in order past whatever was damaged.

A segment is lines. A line is a header of 25 ASCII bytes (CRC-32 of the rest, length of the place, length of
the value, in hex), the place (topic, space, key), the value, a line feed. Lengths find the next line, and a
line feed finds it where a header is damaged: so a damaged line costs itself alone.
"""

import fcntl
import os
import re
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from eventlog.port import Message
from lifecycle.failures import StartError

SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""A segment is closed once it is as large as this; what is drained goes a segment at a time."""
_READ_BYTES: Final = 1024 * 1024
_HEADER: Final = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{6}) ([0-9a-f]{8}) ")
_HEADER_BYTES: Final = 25
_CRC_BYTES: Final = 9
_MAX_LINE_BYTES: Final = 2 * 1024 * 1024
_SUFFIX: Final = ".spool"


class SpoolFull(Exception):
    """There is no room for these events: the bound is reached, or the disk takes no more."""


class SpoolUnusable(StartError):
    """The directory belongs to another process, or cannot be written to."""


class Salvaged(NamedTuple):
    """Some messages of a segment with their topics, in order, and the bytes of what could not be read between them."""

    messages: list[tuple[str, Message]]
    damaged: list[bytes]


def line_of(topic: str, message: tuple[bytes, bytes]) -> bytes:
    """The message of the topic as one line of a segment."""
    key, value = message
    place = b"%b %b" % (topic.encode(), key)
    body = place + value
    lengths = b"%06x %08x " % (len(place), len(value))
    return b"%08x %b%b\n" % (zlib.crc32(lengths + body), lengths, body)


class Segments:
    """The files of one directory, which this process alone may use; at most `max_bytes` of them.

    Raises SpoolUnusable. All methods block; none may be called while another runs, except `held_bytes` and `empty`.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._lock = _locked(directory)
        self._sizes = {path: path.stat().st_size for path in sorted(directory.glob(f"*{_SUFFIX}"))}
        self._next = 1 + max((int(path.stem) for path in self._sizes if path.stem.isdecimal()), default=0)
        self._open: tuple[int, Path] | None = None
        # A write in a thread outlives its cancelled task; closing must not take the file from under it.
        self._writing = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(self._sizes.values())

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._sizes

    def close(self) -> None:
        """Let another process use the directory; what waits stays."""
        with self._writing:
            self._seal()
            os.close(self._lock)

    def write(self, lines: bytes) -> None:
        """Append the lines; return once they survive a crash. Raises SpoolFull, and then nothing was kept."""
        with self._writing:
            self._append(lines)

    def oldest(self) -> Path | None:
        """The segment to drain first, closed: nothing is appended to it any more."""
        path = next(iter(self._sizes), None)
        if self._open is not None and path == self._open[1]:
            self._seal()
        return path

    def read(self, path: Path) -> Iterator[Salvaged]:
        """The records of a segment, about a MiB at a time."""
        with path.open("rb") as file:
            rest = b""
            while chunk := file.read(_READ_BYTES):
                salvaged, rest = salvage(rest + chunk, final=False)
                yield salvaged
            yield salvage(rest, final=True)[0]

    def set_aside(self, damaged: list[bytes]) -> None:
        """Keep what could not be read in the file `damaged`, for a person to look at; the first 8 MiB of it."""
        with (self._directory / "damaged").open("ab") as file:
            file.write(b"".join(one + b"\n" for one in damaged)[: max(0, SEGMENT_BYTES - file.tell())])

    def remove(self, path: Path) -> None:
        """Forget a drained segment."""
        path.unlink(missing_ok=True)
        del self._sizes[path]

    def _append(self, lines: bytes) -> None:
        if self.held_bytes + len(lines) > self._max_bytes:
            raise SpoolFull(f"The spool holds {self.held_bytes:,} of {self._max_bytes:,} bytes.")
        try:
            descriptor, path = self._open or self._begin()
            written = 0
            while written < len(lines):
                written += os.write(descriptor, memoryview(lines)[written:])
            os.fdatasync(descriptor)
        except OSError as error:
            # Half a line may stand there now, and a file whose fsync failed may lie about the rest.
            self._give_up()
            raise SpoolFull(f"The spool's disk takes no more: {error.strerror}.") from error
        self._sizes[path] += len(lines)
        if self._sizes[path] >= SEGMENT_BYTES:
            self._seal()

    def _begin(self) -> tuple[int, Path]:
        path = self._directory / f"{self._next:016d}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._next += 1
        self._open = descriptor, path
        self._sizes[path] = 0
        parent = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
        return self._open

    def _seal(self) -> None:
        if self._open is not None:
            os.close(self._open[0])
            self._open = None

    def _give_up(self) -> None:
        if self._open is None:
            return
        descriptor, path = self._open
        size = self._sizes[path]
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            # Reading passes over half a line.
            self._sizes[path] = path.stat().st_size
        self._seal()
        if self._sizes[path] == 0:
            self.remove(path)


def _locked(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SpoolUnusable(
            f"The spool directory {directory} cannot be written to: {error.strerror}. "
            "Change FOOTFALL_SPOOL_DIR, or who owns the directory."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SpoolUnusable(
            f"Another process uses the spool in {directory}. Give each ingest-api a FOOTFALL_SPOOL_DIR of its own."
        ) from error
    return descriptor


def salvage(text: bytes, *, final: bool) -> tuple[Salvaged, bytes]:
    """The whole lines of the text, and what may be the beginning of another."""
    messages: list[tuple[str, Message]] = []
    damaged: list[bytes] = []
    at = 0
    while at < len(text):
        lengths = _lengths(text, at)
        if lengths is not None:
            end = at + _HEADER_BYTES + sum(lengths) + 1
            if end > len(text) and not final:
                break
            message = _message(text, at, *lengths)
            if message is not None:
                messages.append(message)
                at = end
                continue
        feed = text.find(b"\n", at)
        if feed < 0 and not final and len(text) - at < _MAX_LINE_BYTES:
            break
        end = len(text) if feed < 0 else feed
        if text[at:end]:
            damaged.append(text[at:end])
        at = end + 1
    return Salvaged(messages, damaged), text[at:]


def _lengths(text: bytes, at: int) -> tuple[int, int] | None:
    """The lengths of place and value that the header at this place names; None when it is no header."""
    header = _HEADER.fullmatch(text, at, at + _HEADER_BYTES)
    if header is None:
        return None
    place_bytes, value_bytes = int(header[2], 16), int(header[3], 16)
    return (place_bytes, value_bytes) if place_bytes + value_bytes <= _MAX_LINE_BYTES else None


def _message(text: bytes, at: int, place_bytes: int, value_bytes: int) -> tuple[str, Message] | None:
    """The topic and message of the line at this place, when its checksum holds."""
    body = at + _HEADER_BYTES
    end = body + place_bytes + value_bytes
    if end > len(text) or zlib.crc32(text[at + _CRC_BYTES : end]) != int(text[at : at + 8], 16):
        return None
    topic, _, key = text[body : body + place_bytes].partition(b" ")
    return topic.decode(), Message(key, text[body + place_bytes : end])
