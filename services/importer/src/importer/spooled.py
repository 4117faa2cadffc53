"""A file's lines with their places: only a line feed ends one, and memory stays constant at any size."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

MAX_LINE_BYTES: Final = 512 * 1024
IDENTITY_BYTES: Final = 1024
"""How much of a file's start names it: less when the file was shorter when first seen."""

_BLOCK_BYTES: Final = 256 * 1024
_EVIDENCE_BYTES: Final = 4096
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_NESTED_GZIP: Final = 2


class TruncatedFile(Exception):
    """The gzip data ends before its end mark, or is damaged; what came before it was read."""


class Line(NamedTuple):
    """One line without its end.

    `offset` is the byte offset of its first byte in the unpacked file, `end` that of the next line,
    `number` counts from 1. Of a line longer than MAX_LINE_BYTES only the start is in `text`.
    `open_ended` is the last line of a file that does not end with a line feed.
    """

    offset: int
    end: int
    number: int
    text: bytes
    too_long: bool = False
    open_ended: bool = False


class Spooled:
    """An uploaded file, unpacked while it is read."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._plain: io.BufferedReader | gzip.GzipFile = raw
        for _ in range(_NESTED_GZIP):
            start = self._read(len(_GZIP_MAGIC))
            self._plain.seek(0)
            if start != _GZIP_MAGIC:
                break
            self._plain = gzip.GzipFile(fileobj=self._plain, mode="rb")

    def bytes_done(self) -> int:
        """How far the uploaded bytes are read: for progress, not for positions."""
        return self._raw.tell()

    def start(self) -> bytes:
        """The first IDENTITY_BYTES of the unpacked file, or all of a shorter one; leaves the place at 0."""
        self._plain.seek(0)
        start = b""
        while len(start) < IDENTITY_BYTES and (more := self._read(IDENTITY_BYTES - len(start))):
            start += more
        self._plain.seek(0)
        return start

    def lines(self, offset: int = 0, number: int = 0) -> Iterator[Line]:
        """The lines from `offset`, the end of line `number`, on; a last one without a line feed too.

        Blank space of NUL bytes at a line's start (left by copytruncate) belongs to no line. Raises
        TruncatedFile after the last whole line.
        """
        try:
            self._plain.seek(offset)
        except EOFError as error:
            raise TruncatedFile(str(error)) from error
        carried = b""
        discarded = 0
        while block := self._read(_BLOCK_BYTES):
            pieces = (carried + block).split(b"\n")
            carried = pieces.pop()
            for piece in pieces:
                number += 1
                end = offset + discarded + len(piece) + 1
                yield _line(offset, end, number, piece, discarded > 0)
                offset = end
                discarded = 0
            if discarded or len(carried) > MAX_LINE_BYTES:
                kept = carried[:_EVIDENCE_BYTES]
                discarded += len(carried) - len(kept)
                carried = kept
            elif carried and not carried.strip(b"\0"):
                offset += len(carried)
                carried = b""
        if carried:
            end = offset + discarded + len(carried)
            yield _line(offset, end, number + 1, carried, discarded > 0)._replace(open_ended=True)

    def _read(self, max_bytes: int) -> bytes:
        # read1, because read gathers several blocks and loses those before the one that is damaged.
        try:
            return self._plain.read1(max_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TruncatedFile(str(error)) from error


def _line(offset: int, end: int, number: int, piece: bytes, too_long: bool) -> Line:
    if too_long or len(piece) > MAX_LINE_BYTES:
        return Line(offset, end, number, piece[:_EVIDENCE_BYTES], too_long=True)
    text = piece.lstrip(b"\0")
    offset += len(piece) - len(text)
    if number == 1 and text.startswith(_UTF8_BOM):
        text = text[len(_UTF8_BOM) :]
    return Line(offset, end, number, text.rstrip(b"\r"))


@contextmanager
def open_spooled(path: Path) -> Iterator[Spooled]:
    """The file at `path`, unpacked when its first bytes say that it is gzip."""
    with path.open("rb") as raw:
        yield Spooled(raw)


def identity_of(start: bytes) -> str:
    """The name of the file that starts with these bytes: 32 hex digits."""
    return hashlib.blake2b(start[:IDENTITY_BYTES], digest_size=16).hexdigest()
