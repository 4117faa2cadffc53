"""Which spans of the demo's timeline Footfall has: kept in a file, so that a restart fills what is missing."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from footfall.installation import write_whole

FIRST_PIECE: Final = timedelta(hours=48)
"""The newest part, imported first, so that the pages are full soon."""
_PIECE: Final = timedelta(days=7)


class Span(NamedTuple):
    """From `start` (inclusive) to `end` (exclusive)."""

    start: datetime
    end: datetime


class _Kept(msgspec.Struct):
    project: str
    has_rules: bool = False
    spans: list[Span] = []


class Coverage:
    """What the project has of its timeline; every change is on disk when its method returns.

    A file that cannot be read, or is of another project, counts as none: what is sent again counts once.
    Changes raise StartError when the file cannot be written.
    """

    def __init__(self, file: Path, project: str) -> None:
        self._file = file
        self._kept = _read(file, project)
        self._writing = asyncio.Lock()

    @property
    def has_rules(self) -> bool:
        """Whether the demo's rules were put in place."""
        return self._kept.has_rules

    async def keep_rules(self) -> None:
        """The rules are in place; whoever changes them now keeps the change."""
        self._kept.has_rules = True
        await self._write()

    async def add(self, span: Span) -> None:
        """The project has this span."""
        self._kept.spans = joined([*self._kept.spans, span])
        await self._write()

    def missing(self, wanted: Span) -> Sequence[Span]:
        """The parts of `wanted` the project does not have, oldest first; none of a span that ends before it starts."""
        found: list[Span] = []
        at = wanted.start
        if at >= wanted.end:
            return found
        for span in self._kept.spans:
            if span.start > at:
                found.append(Span(at, min(span.start, wanted.end)))
            at = max(at, span.end)
            if at >= wanted.end:
                return found
        return [*found, Span(at, wanted.end)] if at < wanted.end else found

    def end(self) -> datetime | None:
        """Up to when the newest span reaches."""
        return self._kept.spans[-1].end if self._kept.spans else None

    async def _write(self) -> None:
        async with self._writing:
            await asyncio.to_thread(write_whole, self._file, msgspec.json.encode(self._kept))


def joined(spans: Sequence[Span]) -> list[Span]:
    """The same time in as few spans as possible, oldest first."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def pieces(missing: Sequence[Span], introduction: Span) -> list[Span]:
    """The missing spans in the order they are best brought in.

    First what of the introduction is missing; then the newest two days; then week by week into the past.
    """
    found = [common for span in missing if (common := _common(span, introduction))]
    later = [rest for span in missing if (rest := _after(span, introduction.end))]
    for place, span in enumerate(reversed(later)):
        end = span.end
        longest = FIRST_PIECE if place == 0 else _PIECE
        while end > span.start:
            start = max(span.start, end - longest)
            found.append(Span(start, end))
            end, longest = start, _PIECE
    return found


def _common(span: Span, other: Span) -> Span | None:
    start, end = max(span.start, other.start), min(span.end, other.end)
    return Span(start, end) if start < end else None


def _after(span: Span, moment: datetime) -> Span | None:
    return Span(max(span.start, moment), span.end) if span.end > moment else None


def _read(file: Path, project: str) -> _Kept:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return _Kept(project)
    return kept if kept.project == project else _Kept(project)
