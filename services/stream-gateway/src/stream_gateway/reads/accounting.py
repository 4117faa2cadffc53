"""Received = stored + duplicate + quarantined + rejected + limited + pending, by source: nothing gets lost unseen.

Ingest says what it answered, the projector what it found in the log. Both go by the hour of receipt.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import asyncpg
import msgspec

from access.usage import LastError, Unit, Usage, UsageRow
from eventmodel import ProjectId
from stream_gateway.projection.source_tally import OTHER_SDK

MAX_HOURS: Final = 90 * 24
_BY_HOUR: Final = 48
"""Hours up to which each is looked at for itself; a longer time by days."""
_STORED = """
    select key, sdk, date_trunc($3, hour, 'UTC') as at, sum(stored)::bigint as stored,
        sum(duplicates)::bigint as duplicates, sum(set_aside)::bigint as set_aside
    from gateway.source_hour where project = $1 and hour >= $2 group by 1, 2, 3
"""

Source: TypeAlias = tuple[str, str]
"""A key's public id and an SDK, '' where it is not known."""


class Account(msgspec.Struct):
    """What became of the events that were received. `unavailable` ones were not: their senders send them again."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    rejected: int = 0
    limited: int = 0
    unavailable: int = 0
    pending: int = 0

    def add(self, other: "Account") -> None:
        """Add the other's numbers to these."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class SourceAccount:
    """One source in the time asked for; `first_at` and `last_at` are None where ingest did not count it."""

    account: Account = field(default_factory=Account)
    first_at: datetime | None = None
    last_at: datetime | None = None
    error: LastError | None = None


class Accounts:
    """Reads both sides and closes the equation."""

    def __init__(self, pool: asyncpg.Pool, usage: Usage) -> None:
        self._pool = pool
        self._usage = usage

    async def read(self, project: ProjectId, since: datetime, hours: int) -> Mapping[Source, SourceAccount]:
        """By source, what became of what was received since that hour. Raises AccessUnavailable."""
        unit: Unit = "hour" if hours <= _BY_HOUR else "day"
        # What ingest says first: what was on its way then may have arrived since, and never the other way round.
        usage = await self._usage.read(project, since, unit)
        stored = await self._pool.fetch(_STORED, project, since, unit)
        return _sources(usage, stored)


def first_hour(now: datetime, hours: int) -> datetime:
    """When the last `hours` hours begin, the current one being the last."""
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)


@dataclass(slots=True)
class _Both:
    """What both sides say of one source in one hour or day."""

    accepted: int = 0
    quarantined: int = 0
    rejected: int = 0
    limited: int = 0
    unavailable: int = 0
    stored: int = 0
    duplicates: int = 0
    set_aside: int = 0

    @property
    def found(self) -> int:
        return self.stored + self.duplicates + self.set_aside

    def add(self, other: "_Both") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def account(self) -> Account:
        # More may be found than was accepted: the log took what was answered 503, or a count was lost with its
        # process, or it is not written down yet. What is in the log was received.
        accepted = max(self.accepted, self.found)
        rejected = self.rejected + self.set_aside
        return Account(
            received=accepted + self.quarantined + self.rejected + self.limited,
            stored=self.stored,
            duplicate=self.duplicates,
            quarantined=self.quarantined,
            rejected=rejected,
            limited=self.limited,
            unavailable=self.unavailable,
            pending=accepted - self.found,
        )


def _sources(usage: Sequence[UsageRow], stored: Sequence[asyncpg.Record]) -> Mapping[Source, SourceAccount]:
    sources: defaultdict[Source, SourceAccount] = defaultdict(SourceAccount)
    both: defaultdict[tuple[str, datetime], defaultdict[str, _Both]] = defaultdict(lambda: defaultdict(_Both))
    for row in usage:
        _see(sources[row.key, row.sdk], row)
        counted = (row.accepted, row.quarantined, row.rejected, row.limited, row.unavailable)
        both[row.key, row.at][row.sdk].add(_Both(*counted))
    for found in stored:
        one = _Both(stored=found["stored"], duplicates=found["duplicates"], set_aside=found["set_aside"])
        both[found["key"], found["at"]][found["sdk"]].add(one)
    for (key, _), by_sdk in both.items():
        _share(by_sdk)
        for sdk, one in by_sdk.items():
            sources[key, sdk].account.add(one.account())
    return sources


def _share(by_sdk: defaultdict[str, _Both]) -> None:
    """Where SDKs had to share a row, each side named others: what does not agree by name agrees together."""
    if OTHER_SDK not in by_sdk:
        return
    for sdk in [sdk for sdk, one in by_sdk.items() if sdk != OTHER_SDK and one.accepted != one.found]:
        by_sdk[OTHER_SDK].add(by_sdk.pop(sdk))


def _see(source: SourceAccount, row: UsageRow) -> None:
    source.first_at = _choose(min, source.first_at, row.first_at)
    source.last_at = _choose(max, source.last_at, row.last_at)
    if row.error is not None and (source.error is None or source.error.at < row.error.at):
        source.error = row.error


def _choose(
    which: Callable[[datetime, datetime], datetime], one: datetime | None, other: datetime
) -> datetime:
    return other if one is None else which(one, other)
