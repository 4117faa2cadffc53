"""The projector: records of the log become the read model, in the consumer's own transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import msgspec

from access.cache import Access
from access.errors import AccessUnavailable
from access.model import ProjectSettings
from access.project_settings import fold_action
from eventlog.consumer import Batch, FencedTransaction
from eventlog.parts import StoreUnavailable
from eventlog.port import Record
from eventmodel import ACTIVITY_KINDS, ProjectId, topics
from eventmodel.wire import split_key
from lifecycle.clock import Clock
from stream_gateway.derivation import Derivation, rebuild
from stream_gateway.gate import Announcer
from stream_gateway.history import ensure_months
from stream_gateway.presentation import shown

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

GROUP = "projector"
LIVE = (topics.EVENTS, topics.ACTIONS, topics.SIGNALS)
BACKFILL = (topics.BACKFILL,)

NOW_WINDOW = timedelta(minutes=5)
"""How long after their last activity a user counts as active now."""

# The driver writes the very first instant as -infinity, which is no time.
_EARLIEST = datetime.min.replace(microsecond=1, tzinfo=UTC)
_UNSHOWN_KEPT = timedelta(days=9)
_HISTORY = (
    *("part", "project", "occurred_at", "subject", "account"),
    *("kind", "action", "origin", "id", "event"),
)
_PROJECT = (files("stream_gateway") / "projection.sql").read_text()
_MERGE_TRAITS = """
    update gateway.{table} t set
        traits = case when t.traits_at is null or u.at >= t.traits_at
            then coalesce(t.traits, '{{}}') || u.traits else u.traits || coalesce(t.traits, '{{}}') end,
        traits_at = greatest(t.traits_at, u.at)
    from unnest($1::smallint[], $2::text[], $3::text[], $4::jsonb[], $5::timestamptz[])
        as u(part, project, name, traits, at)
    where t.project = u.project and t.{name} = u.name and t.part = u.part
"""
_SIGN_UP = """
    insert into gateway.trial_signup as t (part, project, subject, account, action, occurred_at)
    select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
    on conflict (project, subject, part) do update
        set account = excluded.account, action = excluded.action, occurred_at = excluded.occurred_at
        where excluded.occurred_at < t.occurred_at
"""


class Projected(msgspec.Struct):
    """What the read model needs of an event; traits stay bytes."""

    id: str
    action: str
    occurred_at: datetime
    kind: Literal["track", "identify", "group", "page", "screen", "alias"] = msgspec.field(name="type")
    origin: str = "live"
    account: str | None = None
    traits: msgspec.Raw = msgspec.Raw(b"{}")


_decoder = msgspec.json.Decoder(Projected)


class _Span:
    """How many activities, and between which times."""

    __slots__ = ("activities", "first", "last")

    def __init__(self, at: datetime) -> None:
        self.activities = 0
        self.first = at
        self.last = at

    def add(self, at: datetime, activities: int) -> None:
        self.activities += activities
        if at < self.first:
            self.first = at
        elif at > self.last:
            self.last = at


@dataclass
class _Tally:
    """One batch, added up per row of the read model, so that each row is written once."""

    history: list[tuple[Any, ...]] = field(default_factory=list)
    quarters: dict[tuple[int, str, datetime, str, str], int] = field(default_factory=dict)
    account_actions: dict[tuple[int, str, str, str], _Span] = field(default_factory=dict)
    accounts: dict[tuple[int, str, str], _Span] = field(default_factory=dict)
    people: dict[tuple[int, str, str], _Span] = field(default_factory=dict)
    account_people: dict[tuple[int, str, str, str], _Span] = field(default_factory=dict)
    days: set[tuple[int, str, date, str]] = field(default_factory=set)
    now: dict[tuple[int, str, str], datetime] = field(default_factory=dict)
    sign_ups: dict[tuple[int, str, str], tuple[str, str, datetime]] = field(default_factory=dict)
    user_traits: list[tuple[int, str, str, str, datetime]] = field(default_factory=list)
    account_traits: list[tuple[int, str, str, str, datetime]] = field(default_factory=list)


class Projector:
    """The Handler of the consumer group `projector`."""

    def __init__(
        self, pool: asyncpg.Pool, access: Access, clock: Clock, announcer: Announcer, months_back: int = 24
    ) -> None:
        self._pool = pool
        self._access = access
        self._clock = clock
        self._announcer = announcer
        self._months_back = months_back
        self._tidied_at: datetime | None = None
        self._derivations: dict[tuple[int, ProjectId], Derivation] = {}
        self._met: dict[tuple[int, ProjectId], Derivation] = {}

    async def apply(self, tx: "Connection", batch: Batch) -> None:
        activity = [record for record in batch.records if record.topic in (topics.EVENTS, topics.BACKFILL)]
        keys = {record.key: split_key(record.key) for record in activity}
        gone = await self._gone({project for project, _ in keys.values()})
        kept = [record for record in activity if keys[record.key][0] not in gone]
        if kept:
            await self._meet(tx, {(record.part, keys[record.key][0]) for record in kept})
            await _write(tx, self._add_up(kept, keys))
        unshown = [*batch.duplicates, *(record for record in activity if keys[record.key][0] in gone)]
        if unshown:
            await tx.execute(
                "insert into gateway.unshown (topic, part, off, recorded_at)"
                " select * from unnest($1::text[], $2::smallint[], $3::bigint[], $4::timestamptz[])"
                " on conflict do nothing",
                *_columns([(r.topic, r.part, r.offset, r.recorded_at) for r in unshown], 4),
            )

    async def committed(self, batch: Batch) -> None:
        self._derivations.update(self._met)
        self._met.clear()
        self._announcer.announce()

    def forget(self, parts: frozenset[int]) -> None:
        self._met.clear()
        for key in [key for key in self._derivations if key[0] in parts]:
            del self._derivations[key]

    async def tend(self, parts: frozenset[int], fenced: "FencedTransaction[Connection]") -> None:
        now = self._clock.now()
        if self._tidied_at is None or now - self._tidied_at > timedelta(minutes=1):
            await self._tidy(parts, fenced, now)
            self._tidied_at = now
        for (number, project_id), derivation in list(self._derivations.items()):
            wanted = self._wanted(project_id)
            if wanted is None or wanted == derivation:
                continue
            async with fenced([number]) as tx:
                await rebuild(tx, number, project_id, wanted)
            self._derivations[number, project_id] = wanted

    async def _tidy(
        self, parts: frozenset[int], fenced: "FencedTransaction[Connection]", now: datetime
    ) -> None:
        async with self._pool.acquire() as connection:
            await ensure_months(connection, now, self._months_back)
        async with fenced(parts) as tx:
            await tx.execute(
                "delete from gateway.active_now where part = any($1::smallint[]) and last_at < $2",
                sorted(parts),
                now - 2 * NOW_WINDOW,
            )
            await tx.execute(
                "delete from gateway.unshown where part = any($1::smallint[]) and recorded_at < $2",
                sorted(parts),
                now - _UNSHOWN_KEPT,
            )

    def _wanted(self, project_id: ProjectId) -> Derivation | None:
        project = self._access.project(project_id)
        return None if project is None else Derivation.of(project.settings)

    async def _gone(self, projects: Collection[ProjectId]) -> set[ProjectId]:
        """Those that are deleted for certain."""
        try:
            return {project for project in projects if await self._access.resolve(project) is None}
        except AccessUnavailable as error:
            raise StoreUnavailable(str(error)) from error

    async def _meet(self, tx: "Connection", met: Collection[tuple[int, ProjectId]]) -> None:
        """Know under which settings the derived rows of each part and project are made."""
        unknown = sorted(key for key in met if key not in self._derivations)
        if not unknown:
            return
        for number, project_id in unknown:
            wanted = self._wanted(project_id) or Derivation.of(ProjectSettings())
            row = await tx.fetchrow(
                "with made as (insert into gateway.derivation (part, project, time_zone, trial_actions)"
                " values ($1, $2, $3, $4) on conflict do nothing returning time_zone, trial_actions)"
                " select time_zone, trial_actions from made union all"
                " select time_zone, trial_actions from gateway.derivation where part = $1 and project = $2"
                " limit 1",
                number,
                project_id,
                wanted.time_zone,
                sorted(wanted.trial_actions),
            )
            if row is not None:
                wanted = Derivation(row["time_zone"], frozenset(row["trial_actions"]))
            self._met[number, project_id] = wanted

    def _add_up(self, records: Sequence[Record], keys: Mapping[bytes, tuple[ProjectId, str]]) -> _Tally:
        tally = _Tally()
        now_from = self._clock.now() - NOW_WINDOW
        for record in records:
            project, subject = keys[record.key]
            event = _decoder.decode(record.value)
            key = (record.part, project)
            derivation = self._derivations.get(key) or self._met[key]
            _add(tally, record, project, subject, event, derivation, now_from)
        return tally


def _add(
    tally: _Tally,
    record: Record,
    project: ProjectId,
    subject: str,
    event: Projected,
    derivation: Derivation,
    now_from: datetime,
) -> None:
    number, at, action = record.part, max(event.occurred_at, _EARLIEST), event.action
    account = event.account or ""
    tally.history.append(
        (number, project, at, subject, account, event.kind, action, event.origin, event.id, shown(record))
    )
    counted = 1 if event.kind in ACTIVITY_KINDS else 0
    person = subject.startswith(("u:", "a:"))
    if person:
        _span(tally.people, (number, project, subject), at).add(at, counted)
        if event.kind == "identify" and event.traits != b"{}":
            tally.user_traits.append((number, project, subject, bytes(event.traits).decode(), at))
    if account:
        _span(tally.accounts, (number, project, account), at).add(at, counted)
        if person:
            _span(tally.account_people, (number, project, account, subject), at).add(at, counted)
        if event.kind == "group" and event.traits != b"{}":
            tally.account_traits.append((number, project, account, bytes(event.traits).decode(), at))
    if not counted:
        return
    quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
    quarter_key = (number, project, quarter, account, action)
    tally.quarters[quarter_key] = tally.quarters.get(quarter_key, 0) + 1
    _span(tally.account_actions, (number, project, account, action), at).add(at, 1)
    if not person:
        return
    tally.days.add((number, project, derivation.day(at), subject))
    who = (number, project, subject)
    if event.origin == "live" and at > now_from and at > tally.now.get(who, now_from):
        tally.now[who] = at
    if fold_action(action) in derivation.trial_actions:
        earlier = tally.sign_ups.get(who)
        if earlier is None or at < earlier[2]:
            tally.sign_ups[who] = (account, action, at)


def _span(spans: dict[Any, _Span], key: tuple[Any, ...], at: datetime) -> _Span:
    found = spans.get(key)
    if found is None:
        found = spans[key] = _Span(at)
    return found


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> Sequence[Sequence[Any]]:
    """Rows to columns, as `unnest` takes them; `width` empty columns where there are no rows."""
    columns = list(zip(*rows, strict=True))
    return columns or [()] * width


def _spans(spans: Mapping[Any, _Span], width: int) -> Sequence[Sequence[Any]]:
    rows = ((*key, span.activities, span.first, span.last) for key, span in sorted(spans.items()))
    return _columns(rows, width)


async def _write(tx: "Connection", tally: _Tally) -> None:
    await tx.copy_records_to_table("history", schema_name="gateway", columns=_HISTORY, records=tally.history)
    await tx.execute(
        _PROJECT,
        *_columns(((*key, n) for key, n in sorted(tally.quarters.items())), 6),
        *_spans(tally.account_actions, 7),
        *_spans(tally.accounts, 6),
        *_spans(tally.people, 6),
        *_spans(tally.account_people, 7),
        *_columns(sorted(tally.days), 4),
        *_columns(((*key, at) for key, at in sorted(tally.now.items())), 4),
    )
    if tally.sign_ups:
        await tx.execute(_SIGN_UP, *_columns(((*who, *what) for who, what in tally.sign_ups.items()), 6))
    # One by one: a later identify of the same person in this batch must see the earlier one's traits.
    for row in tally.user_traits:
        await tx.execute(_MERGE_TRAITS.format(table="person", name="subject"), *([value] for value in row))
    for row in tally.account_traits:
        await tx.execute(_MERGE_TRAITS.format(table="account", name="account"), *([value] for value in row))
