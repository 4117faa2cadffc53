"""What events add to the read model: counted per row, then written so that each row is touched once.

The projector counts what is new this way, and `footfall verify` counts everything again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import msgspec

from eventlog.port import Record
from eventmodel import ACTIVITY_KINDS, ProjectId, Sender, fold_action
from stream_gateway.live.presentation import shown
from stream_gateway.projection.derivation import Derivation
from stream_gateway.projection.links import Links, add_links, linked_subjects

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

# The driver writes the very first instant as -infinity, which is no time.
_EARLIEST = datetime.min.replace(microsecond=1, tzinfo=UTC)
_NO_TRAITS = msgspec.Raw(b"{}")
HISTORY_COLUMNS = (
    *("part", "project", "occurred_at", "subject", "account"),
    *("kind", "action", "origin", "id", "event"),
)
_PROJECT = (files("stream_gateway.projection") / "projection.sql").read_text()
_MERGE_TRAITS = """
    update gateway.{table} t set
        traits = case when t.traits_at is null or u.at >= t.traits_at
            then coalesce(t.traits, '{{}}') || u.traits else u.traits || coalesce(t.traits, '{{}}') end,
        traits_at = greatest(t.traits_at, u.at)
    from unnest($1::smallint[], $2::text[], $3::text[], $4::jsonb[], $5::timestamptz[])
        as u(part, project, name, traits, at)
    where t.project = u.project and t.{name} = u.name and t.part = u.part
"""
_MERGE_USER_TRAITS = _MERGE_TRAITS.format(table="person", name="subject")
_MERGE_ACCOUNT_TRAITS = _MERGE_TRAITS.format(table="account", name="account")
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
    anonymous_id: str | None = None
    previous_id: str | None = None
    traits: msgspec.Raw = _NO_TRAITS
    received_at: datetime = _EARLIEST
    sender: Sender | None = None


decode_projected = msgspec.json.Decoder(Projected).decode


class Span:
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
class Tally:
    """Some events, added up per row of the read model.

    Only live activities after `now_from` make somebody active now, and only activities after
    `minutes_from` are counted by minute.
    """

    now_from: datetime
    minutes_from: datetime
    history: list[tuple[Any, ...]] = field(default_factory=list)
    quarters: dict[tuple[int, str, datetime, str, str], int] = field(default_factory=dict)
    account_actions: dict[tuple[int, str, str, str], Span] = field(default_factory=dict)
    accounts: dict[tuple[int, str, str], Span] = field(default_factory=dict)
    people: dict[tuple[int, str, str], Span] = field(default_factory=dict)
    person_actions: dict[tuple[int, str, str, str, str], Span] = field(default_factory=dict)
    days: set[tuple[int, str, date, str]] = field(default_factory=set)
    minutes: dict[tuple[int, str, datetime], int] = field(default_factory=dict)
    account_days: dict[tuple[int, str, str, date], int] = field(default_factory=dict)
    now: dict[tuple[int, str, str], datetime] = field(default_factory=dict)
    sign_ups: dict[tuple[int, str, str], tuple[str, str, datetime]] = field(default_factory=dict)
    user_traits: list[tuple[int, str, str, str, datetime]] = field(default_factory=list)
    account_traits: list[tuple[int, str, str, str, datetime]] = field(default_factory=list)
    links: Links = field(default_factory=dict)

    def add(
        self, record: Record, project: ProjectId, subject: str, event: Projected, derivation: Derivation
    ) -> None:
        """One record: its row of history, and what it counts."""
        self.history.append(history_row(record, project, subject, event))
        self.count(record.part, project, subject, event, derivation)

    def count(
        self, number: int, project: ProjectId, subject: str, event: Projected, derivation: Derivation
    ) -> None:
        """What one event of history counts."""
        at, action, account = max(event.occurred_at, _EARLIEST), event.action, event.account or ""
        counted = 1 if event.kind in ACTIVITY_KINDS else 0
        person = subject.startswith(("u:", "a:"))
        if person:
            _span(self.people, (number, project, subject), at).add(at, counted)
            done = (number, project, account, subject, action if counted else "")
            _span(self.person_actions, done, at).add(at, counted)
            if event.kind == "identify" and event.traits != _NO_TRAITS:
                self.user_traits.append((number, project, subject, bytes(event.traits).decode(), at))
            if (event.anonymous_id or event.previous_id) and subject.startswith("u:"):
                self._link(number, project, subject, event, at)
        if account:
            _span(self.accounts, (number, project, account), at).add(at, counted)
            if event.kind == "group" and event.traits != _NO_TRAITS:
                self.account_traits.append((number, project, account, bytes(event.traits).decode(), at))
        if not counted:
            return
        quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        quarter_key = (number, project, quarter, account, action)
        self.quarters[quarter_key] = self.quarters.get(quarter_key, 0) + 1
        _span(self.account_actions, (number, project, account, action), at).add(at, 1)
        if at > self.minutes_from:
            minute_key = (number, project, at.replace(second=0, microsecond=0))
            self.minutes[minute_key] = self.minutes.get(minute_key, 0) + 1
        day = derivation.day(at)
        if account:
            day_key = (number, project, account, day)
            self.account_days[day_key] = self.account_days.get(day_key, 0) + 1
        if not person:
            return
        self.days.add((number, project, day, subject))
        who = (number, project, subject)
        if event.origin == "live" and at > self.now_from and at > self.now.get(who, self.now_from):
            self.now[who] = at
        if fold_action(action) in derivation.trial_actions:
            earlier = self.sign_ups.get(who)
            if earlier is None or at < earlier[2]:
                self.sign_ups[who] = (account, action, at)

    def _link(self, number: int, project: ProjectId, user: str, event: Projected, at: datetime) -> None:
        for subject in linked_subjects(user, event.kind, event.anonymous_id, event.previous_id):
            pair = (number, project, subject, user)
            known = self.links.get(pair)
            if known is None or (at, event.id) < known:
                self.links[pair] = (at, event.id)


def history_row(record: Record, project: ProjectId, subject: str, event: Projected) -> tuple[Any, ...]:
    """The record's row of history, in the order of HISTORY_COLUMNS."""
    at = max(event.occurred_at, _EARLIEST)
    account = event.account or ""
    return (
        *(record.part, project, at, subject, account),
        *(event.kind, event.action, event.origin, event.id, shown(record)),
    )


def _span(spans: dict[Any, Span], key: tuple[Any, ...], at: datetime) -> Span:
    found = spans.get(key)
    if found is None:
        found = spans[key] = Span(at)
    return found


def columns_of(rows: Iterable[tuple[Any, ...]], width: int) -> Sequence[Sequence[Any]]:
    """Rows to columns, as `unnest` takes them; `width` empty columns where there are no rows."""
    columns = list(zip(*rows, strict=True))
    return columns or [()] * width


def _spans(spans: Mapping[Any, Span], width: int) -> Sequence[Sequence[Any]]:
    rows = ((*key, span.activities, span.first, span.last) for key, span in sorted(spans.items()))
    return columns_of(rows, width)


async def write(tx: "Connection", tally: Tally, schema: Literal["gateway", "pg_temp"] = "gateway") -> int:
    """Add the tally to the tables of `schema`; those of pg_temp are a recount's (`projection.recount`).

    How many links were refused.
    """

    def within(statement: str) -> str:
        return statement if schema == "gateway" else statement.replace("gateway.", f"{schema}.")

    if tally.history:
        await tx.copy_records_to_table(
            "history", schema_name=schema, columns=HISTORY_COLUMNS, records=tally.history
        )
    await tx.execute(
        within(_PROJECT),
        *columns_of(((*key, n) for key, n in sorted(tally.quarters.items())), 6),
        *_spans(tally.account_actions, 7),
        *_spans(tally.accounts, 6),
        *_spans(tally.people, 6),
        *_spans(tally.person_actions, 8),
        *columns_of(sorted(tally.days), 4),
        *columns_of(((*key, n) for key, n in sorted(tally.minutes.items())), 4),
        *columns_of(((*key, n) for key, n in sorted(tally.account_days.items())), 5),
        *columns_of(((*key, at) for key, at in sorted(tally.now.items())), 4),
    )
    if tally.sign_ups:
        await tx.execute(
            within(_SIGN_UP), *columns_of(((*who, *what) for who, what in tally.sign_ups.items()), 6)
        )
    # One by one: a later identify of the same person in this batch must see the earlier one's traits.
    for row in tally.user_traits:
        await tx.execute(within(_MERGE_USER_TRAITS), *([value] for value in row))
    for row in tally.account_traits:
        await merge_account_traits(tx, row, schema)
    return await add_links(tx, tally.links, schema) if tally.links else 0


async def merge_account_traits(
    tx: "Connection",
    row: tuple[int, str, str, str, datetime],
    schema: Literal["gateway", "pg_temp"] = "gateway",
) -> None:
    """Merge one group event's traits, as (part, project, account, JSON, time), into the account's row."""
    statement = _MERGE_ACCOUNT_TRAITS
    if schema != "gateway":
        statement = statement.replace("gateway.", f"{schema}.")
    await tx.execute(statement, *([value] for value in row))
