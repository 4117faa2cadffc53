"""What events and rejections add to the sources: counted per row, then written in the projector's transaction."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import asyncpg
import msgspec

from eventmodel import ProjectId, Sender
from stream_gateway.projection.tally import Projected, columns_of

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

Source: TypeAlias = tuple[int, ProjectId, str, str]
"""Part, project, the key's id and the SDK; empty where they are not known."""

Fate: TypeAlias = Literal["stored", "duplicates", "set_aside"]
"""What becomes of an event in the log."""

MAX_SDKS: Final = 50
"""SDKs with rows of their own, for each part, project and key: a public key lets anybody invent more."""
OTHER_SDK: Final = "other"
MINUTES_KEPT: Final = timedelta(hours=2)
SOURCES_KEPT: Final = timedelta(days=90)

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_NO_TIME = timedelta()
_MINUTE = timedelta(minutes=1)
_AN_HOUR = timedelta(hours=1)

_COUNT = """
    with sources as (
        insert into gateway.source as t (part, project, key, sdk, events, first_received_at, last_received_at)
        select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                             $6::timestamptz[], $7::timestamptz[])
        on conflict (project, key, sdk, part)
            do update set events = t.events + excluded.events,
                first_received_at = least(t.first_received_at, excluded.first_received_at),
                last_received_at = greatest(t.last_received_at, excluded.last_received_at)
    )
    insert into gateway.source_minute as t (part, project, key, sdk, minute, events)
    select * from unnest($8::smallint[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::bigint[])
    on conflict (project, minute, key, sdk, part) do update set events = t.events + excluded.events
"""
_ACCOUNT = """
    insert into gateway.source_hour as t (part, project, key, sdk, hour, stored, duplicates, set_aside)
    select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
                         $7::bigint[], $8::bigint[])
    on conflict (project, hour, key, sdk, part) do update set stored = t.stored + excluded.stored,
        duplicates = t.duplicates + excluded.duplicates, set_aside = t.set_aside + excluded.set_aside
"""
_REFUSE = """
    insert into gateway.source_rejection as t
        (part, project, key, sdk, code, rejections, first_at, last_at, last)
    select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                         $7::timestamptz[], $8::timestamptz[], $9::jsonb[])
    on conflict (project, key, sdk, code, part)
        do update set rejections = t.rejections + excluded.rejections,
            first_at = least(t.first_at, excluded.first_at),
            last_at = greatest(t.last_at, excluded.last_at),
            last = case when excluded.last_at >= t.last_at then excluded.last else t.last end
"""
_SDKS = """
    select part, project, key, array_agg(distinct sdk) as sdks
    from (select part, project, key, sdk from gateway.source where project = any($2::text[])
        union all select part, project, key, sdk from gateway.source_rejection where project = any($2::text[])) as s
    join unnest($1::smallint[], $2::text[], $3::text[]) as u(part, project, key) using (part, project, key)
    group by part, project, key
"""


class RejectedInput(msgspec.Struct):
    """What the read model needs of a record of `footfall.rejected`."""

    id: str
    received_at: datetime
    source: str
    code: str
    message: str
    place: dict[str, int | str]
    field: str | None = None
    hint: str | None = None
    sender: Sender | None = None
    quarantined: bool = False


decode_rejected = msgspec.json.Decoder(RejectedInput).decode


@dataclass(slots=True)
class _Refusals:
    """The rejections of one source for one reason."""

    count: int
    first_at: datetime
    last_at: datetime
    last: str

    def add(self, other: "_Refusals") -> None:
        self.count += other.count
        self.first_at = min(self.first_at, other.first_at)
        if other.last_at >= self.last_at:
            self.last_at, self.last = other.last_at, other.last


@dataclass(slots=True)
class _Seen:
    """The events of one source."""

    first_at: datetime
    last_at: datetime
    events: int = 0
    hour: datetime = _EARLIEST
    fates: "_Fates" = field(default_factory=lambda: _Fates())
    minutes: dict[datetime, int] = field(default_factory=dict)

    def add(self, other: "_Seen") -> None:
        self.events += other.events
        self.first_at = min(self.first_at, other.first_at)
        self.last_at = max(self.last_at, other.last_at)
        for minute, events in other.minutes.items():
            self.minutes[minute] = self.minutes.get(minute, 0) + events


class _Fates:
    """What became of the events of one source and hour."""

    __slots__ = ("duplicates", "set_aside", "stored")

    def __init__(self) -> None:
        self.stored = self.duplicates = self.set_aside = 0

    def add(self, other: "_Fates") -> None:
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.set_aside += other.set_aside


class _Receipt(msgspec.Struct):
    """What says to whose account an event goes."""

    received_at: datetime
    origin: str = "live"
    sender: Sender | None = None


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


class SourceTally:
    """Some events and rejections, added up by source. Events received before `minutes_from` count in no minute."""

    def __init__(self, minutes_from: datetime) -> None:
        self._minutes_from = minutes_from
        self._minute = _EARLIEST
        self._seen: dict[Source, _Seen] = {}
        self._refused: dict[tuple[Source, str], _Refusals] = {}
        self._fates: dict[tuple[Source, datetime], _Fates] = {}

    def add(self, part: int, project: ProjectId, event: Projected) -> None:
        """One event that counts; some have no source."""
        if not _has_source(event.origin, event.sender):
            return
        source, at = _source(part, project, event.sender), event.received_at
        seen = self._seen.get(source)
        if seen is None:
            seen = self._seen[source] = _Seen(at, at)
        seen.events += 1
        if not _NO_TIME <= at - seen.hour < _AN_HOUR:
            seen.hour = at.replace(minute=0, second=0, microsecond=0)
            seen.fates = self._fates_of(source, seen.hour)
        seen.fates.stored += 1
        if at < seen.first_at:
            seen.first_at = at
        elif at > seen.last_at:
            seen.last_at = at
        if at >= self._minutes_from:
            # Making the minute takes longer than all the rest here, and nearly all events share the last one.
            if not _NO_TIME <= at - self._minute < _MINUTE:
                self._minute = at.replace(second=0, microsecond=0)
            seen.minutes[self._minute] = seen.minutes.get(self._minute, 0) + 1

    def account(self, part: int, project: ProjectId, value: bytes, fate: Fate) -> None:
        """An event that is not added, and what became of it all the same; some have no source."""
        try:
            receipt = _decode_receipt(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if not _has_source(receipt.origin, receipt.sender):
            return
        fates = self._fates_of(_source(part, project, receipt.sender), receipt.received_at)
        setattr(fates, fate, getattr(fates, fate) + 1)

    def refuse(self, part: int, project: ProjectId, refused: RejectedInput) -> None:
        """One rejection; those of an import are the run's, not a source's."""
        if refused.source == "import":
            return
        at = refused.received_at
        last = {name: getattr(refused, name) for name in ("message", "hint", "field", "place")}
        one = _Refusals(1, at, at, msgspec.json.encode(last).decode())
        _merge(self._refused, (_source(part, project, refused.sender), refused.code), one)

    async def write(self, tx: "Connection", names: "SdkNames") -> None:
        """Add to the tables; SDKs beyond the bound share one row."""
        met = {*self._seen, *(source for source, _ in (*self._refused, *self._fates))}
        for source in await names.beyond(tx, met):
            self._fold(source)
        if self._seen:
            seen = sorted(self._seen.items())
            minutes = ((*s, minute, n) for s, one in seen for minute, n in sorted(one.minutes.items()))
            await tx.execute(
                _COUNT,
                *columns_of(((*s, one.events, one.first_at, one.last_at) for s, one in seen), 7),
                *columns_of(minutes, 6),
            )
        if self._fates:
            fates = sorted(self._fates.items(), key=lambda item: item[0])
            accounts = (
                (*source, hour, one.stored, one.duplicates, one.set_aside) for (source, hour), one in fates
            )
            await tx.execute(_ACCOUNT, *columns_of(accounts, 8))
        if self._refused:
            refused = sorted(self._refused.items(), key=lambda item: item[0])
            rows = ((*s, code, one.count, one.first_at, one.last_at, one.last) for (s, code), one in refused)
            await tx.execute(_REFUSE, *columns_of(rows, 9))

    def _fates_of(self, source: Source, at: datetime) -> _Fates:
        return self._fates.setdefault((source, at.replace(minute=0, second=0, microsecond=0)), _Fates())

    def _fold(self, source: Source) -> None:
        other = (*source[:3], OTHER_SDK)
        if source in self._seen:
            _merge(self._seen, other, self._seen.pop(source))
        for entry in [entry for entry in self._refused if entry[0] == source]:
            _merge(self._refused, (other, entry[1]), self._refused.pop(entry))
        for place in [place for place in self._fates if place[0] == source]:
            _merge(self._fates, (other, place[1]), self._fates.pop(place))


class SdkNames:
    """Which SDKs have rows, by part, project and key: the first MAX_SDKS; remembered until `forget`.

    A name whose transaction failed may be remembered too; it then takes a place that it does not use.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ProjectId, str], set[str]] = {}

    async def beyond(self, tx: "Connection", sources: Collection[Source]) -> list[Source]:
        """Those of the sources for whose SDK there is no place."""
        unknown = sorted({source[:3] for source in sources} - self._known.keys())
        if unknown:
            rows = await tx.fetch(_SDKS, *columns_of(unknown, 3))
            self._known.update((key, set()) for key in unknown)
            for row in rows:
                self._known[row["part"], row["project"], row["key"]] = set(row["sdks"])
        found = []
        for source in sorted(sources):
            names, sdk = self._known[source[:3]], source[3]
            if sdk in names or sdk in ("", OTHER_SDK):
                continue
            if len(names) < MAX_SDKS:
                names.add(sdk)
            else:
                found.append(source)
        return found

    def forget(self, parts: Collection[int]) -> None:
        """Read anew what there is of these parts."""
        for key in [key for key in self._known if key[0] in parts]:
            del self._known[key]


async def tidy_sources(tx: "Connection", parts: Collection[int], now: datetime) -> None:
    """Delete what is too old of these parts: minutes after two hours, hours and sources nobody uses after 90 days."""
    for table, at, kept in (
        ("source_minute", "minute", MINUTES_KEPT),
        ("source", "last_received_at", SOURCES_KEPT),
        ("source_hour", "hour", SOURCES_KEPT),
        ("source_rejection", "last_at", SOURCES_KEPT),
    ):
        await tx.execute(
            f"delete from gateway.{table} where part = any($1::smallint[]) and {at} < $2",  # noqa: S608
            sorted(parts),
            now - kept,
        )


def _has_source(origin: str, sender: Sender | None) -> bool:
    """Of imports those have one that a vendor's SDK sent; files do not, and a replay was accounted for before."""
    return origin == "live" or (origin == "import" and sender is not None)


def _source(part: int, project: ProjectId, sender: Sender | None) -> Source:
    if sender is None:
        return part, project, "", ""
    return part, project, sender.key or "", sender.sdk or ""


def _merge(into: dict[Any, Any], key: object, one: _Seen | _Refusals | _Fates) -> None:
    found = into.setdefault(key, one)
    if found is not one:
        found.add(one)
