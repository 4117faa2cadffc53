"""Questions to the read model. Every query names its project; counts are sums over the parts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from access.model import Project
from eventmodel import ProjectId
from stream_gateway.keyset import Before
from stream_gateway.projector import GROUP, NOW_WINDOW

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

TOP_ACTIVITIES = 10


class ActionCount(msgspec.Struct, frozen=True):
    action: str
    count: int


class Pulse(msgspec.Struct, frozen=True):
    """The numbers of one moment, and the positions that had been projected at it."""

    active_now: int
    active_today: int
    trial_signups_today: int
    top_activities: list[ActionCount]
    positions: Mapping[int, int]


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    account: str | None = None
    subject: str | None = None
    action: str | None = None
    origin: str | None = None


class Activity(msgspec.Struct, frozen=True):
    """One event as it is shown, and where it stands in the order of history."""

    before: Before
    event: msgspec.Raw


class AccountRow(msgspec.Struct, frozen=True):
    account: str
    activities: int
    users: int
    first_seen: datetime
    last_seen: datetime
    traits: msgspec.Raw


class PersonRow(msgspec.Struct, frozen=True):
    subject: str
    activities: int
    first_seen: datetime
    last_seen: datetime
    traits: msgspec.Raw


class Membership(msgspec.Struct, frozen=True):
    """A person in an account: the account's name or the person's subject, as the question was."""

    name: str
    activities: int
    first_seen: datetime
    last_seen: datetime


class DayCount(msgspec.Struct, frozen=True):
    day: date
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class Today:
    """The project's day that contains a moment: from its first instant up to the next day's."""

    day: date
    begins_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, project: Project, now: datetime) -> "Today":
        zone = ZoneInfo(project.settings.time_zone)
        day = now.astimezone(zone).date()
        return cls(
            day,
            datetime.combine(day, time(), zone),
            datetime.combine(day + timedelta(days=1), time(), zone),
        )


class ReadModel:
    """The queries over one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def pulse(self, project: Project, now: datetime, topic: str) -> Pulse:
        """All numbers and the positions of `topic` from one snapshot."""
        today = Today.of(project, now)
        async with self._snapshot() as tx:
            positions = await tx.fetch(
                "select p.part, p.next from runtime.position p join runtime.grp g on g.id = p.grp"
                " where g.name = $1 and p.topic = $2",
                GROUP,
                topic,
            )
            numbers = await tx.fetchrow(
                "select (select count(distinct subject) from gateway.active_now"
                "        where project = $1 and last_at > $2) as active_now,"
                " (select count(distinct subject) from gateway.active_day"
                "        where project = $1 and day = $3) as active_today,"
                " (select count(distinct subject) from gateway.trial_signup"
                "        where project = $1 and occurred_at >= $4 and occurred_at < $5) as trial_signups",
                project.id,
                now - NOW_WINDOW,
                today.day,
                today.begins_at,
                today.ends_at,
            )
            top = await tx.fetch(
                "select action, sum(activities)::bigint as count from gateway.activity_quarter"
                " where project = $1 and quarter >= $2 and quarter < $3"
                " group by action order by count desc, action limit $4",
                project.id,
                today.begins_at,
                today.ends_at,
                TOP_ACTIVITIES,
            )
        assert numbers is not None
        return Pulse(
            numbers["active_now"],
            numbers["active_today"],
            numbers["trial_signups"],
            [ActionCount(row["action"], row["count"]) for row in top],
            {row["part"]: row["next"] for row in positions},
        )

    async def days(
        self, project: Project, first: date, last: date, account: str | None, action: str | None
    ) -> Sequence[DayCount]:
        """Activities by day of the project's zone and action, both days included, oldest first."""
        zone = project.settings.time_zone
        rows = await self._pool.fetch(
            "select (quarter at time zone $2)::date as day, action, sum(activities)::bigint as count"
            " from gateway.activity_quarter where project = $1"
            " and quarter >= ($3::date)::timestamp at time zone $2"
            " and quarter < ($4::date + 1)::timestamp at time zone $2"
            " and ($5::text is null or account = $5) and ($6::text is null or action = $6)"
            " group by 1, 2 order by 1, 2",
            project.id,
            zone,
            first,
            last,
            account,
            action,
        )
        return [DayCount(row["day"], row["action"], row["count"]) for row in rows]

    async def active_days(self, project: Project, first: date, last: date) -> Mapping[date, int]:
        """Distinct active people by day of the project's zone; days without any are missing."""
        rows = await self._pool.fetch(
            "select day, count(distinct subject) as people from gateway.active_day"
            " where project = $1 and day between $2 and $3 group by day",
            project.id,
            first,
            last,
        )
        return {row["day"]: row["people"] for row in rows}

    async def history(
        self, project: ProjectId, wanted: HistoryFilter, before: Before | None, limit: int
    ) -> Sequence[Activity]:
        """Events newest first, older than `before`."""
        conditions = ["project = $1"]
        values: list[object] = [project]
        for column, value in (
            ("account", wanted.account),
            ("subject", wanted.subject),
            ("action", wanted.action),
            ("origin", wanted.origin),
        ):
            if value is not None:
                values.append(value)
                conditions.append(f"{column} = ${len(values)}")
        if before is not None:
            values += before
            last = len(values)
            # The first condition repeats part of the second, for the planner to leave out whole months.
            conditions.append(f"occurred_at <= ${last - 1} and (occurred_at, seq) < (${last - 1}, ${last})")
        values.append(limit)
        where, limited = " and ".join(conditions), f"limit ${len(values)}"
        query = f"select occurred_at, seq, event from gateway.history where {where}"  # noqa: S608 (columns, numbers)
        rows = await self._pool.fetch(f"{query} order by occurred_at desc, seq desc {limited}", *values)
        return [
            Activity(Before(row["occurred_at"], row["seq"]), msgspec.Raw(row["event"].encode()))
            for row in rows
        ]

    async def event(self, project: ProjectId, event_id: str) -> Sequence[msgspec.Raw]:
        """The events of an id, newest first: ids are unique per user, not per project."""
        rows = await self._pool.fetch(
            "select event from gateway.history where project = $1 and id = $2"
            " order by occurred_at desc, seq desc limit 10",
            project,
            event_id,
        )
        return [msgspec.Raw(row["event"].encode()) for row in rows]

    async def accounts(self, project: ProjectId, after: str | None, limit: int) -> Sequence[AccountRow]:
        """Accounts by name, after `after`."""
        rows = await self._pool.fetch(
            _ACCOUNTS.format(where="a.project = $1 and a.account > $2", limit="limit $3"),
            project,
            after or "",
            limit,
        )
        return [_account(row) for row in rows]

    async def account(self, project: ProjectId, account: str) -> AccountRow | None:
        rows = await self._pool.fetch(
            _ACCOUNTS.format(where="a.project = $1 and a.account = $2", limit=""), project, account
        )
        return _account(rows[0]) if rows else None

    async def account_breakdown(self, project: ProjectId, account: str) -> Sequence[ActionCount]:
        """Activities of an account by action, most first."""
        rows = await self._pool.fetch(
            "select action, sum(activities)::bigint as count from gateway.account_action"
            " where project = $1 and account = $2 group by action order by count desc, action",
            project,
            account,
        )
        return [ActionCount(row["action"], row["count"]) for row in rows]

    async def account_people(self, project: ProjectId, account: str, limit: int) -> Sequence[Membership]:
        """The people of an account, latest first."""
        rows = await self._pool.fetch(
            _MEMBERSHIPS.format(name="subject", where="account"), project, account, limit
        )
        return [Membership(*row) for row in rows]

    async def people(self, project: ProjectId, after: str | None, limit: int) -> Sequence[PersonRow]:
        """Known users by id, after `after`; anonymous visitors are not listed."""
        rows = await self._pool.fetch(
            "select subject, activities, first_seen, last_seen, coalesce(traits, '{}')::text as traits"
            " from gateway.person where project = $1 and subject > $2 and subject >= 'u:' and subject < 'u;'"
            " order by subject limit $3",
            project,
            after or "u:",
            limit,
        )
        return [_person(row) for row in rows]

    async def person(self, project: ProjectId, subject: str) -> PersonRow | None:
        row = await self._pool.fetchrow(
            "select subject, activities, first_seen, last_seen, coalesce(traits, '{}')::text as traits"
            " from gateway.person where project = $1 and subject = $2",
            project,
            subject,
        )
        return None if row is None else _person(row)

    async def person_breakdown(self, project: ProjectId, subject: str) -> Sequence[ActionCount]:
        """Activities of a person by action, most first."""
        rows = await self._pool.fetch(
            "select action, count(*) as count from gateway.history"
            " where project = $1 and subject = $2 and kind in ('track', 'page', 'screen')"
            " group by action order by count desc, action",
            project,
            subject,
        )
        return [ActionCount(row["action"], row["count"]) for row in rows]

    async def person_accounts(self, project: ProjectId, subject: str, limit: int) -> Sequence[Membership]:
        """The accounts of a person, latest first."""
        rows = await self._pool.fetch(
            _MEMBERSHIPS.format(name="account", where="subject"), project, subject, limit
        )
        return [Membership(*row) for row in rows]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator["Connection"]:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


# A later trait wins; the parts of an account have one writer each, so their traits are merged here.
_ACCOUNTS = """
    select a.account, sum(a.activities)::bigint as activities, min(a.first_seen) as first_seen,
        max(a.last_seen) as last_seen,
        (select count(distinct m.subject) from gateway.account_person m
            where m.project = $1 and m.account = a.account) as users,
        coalesce((select jsonb_object_agg(t.key, t.value) from (
            select distinct on (e.key) e.key, e.value
            from gateway.account p, jsonb_each(p.traits) as e
            where p.project = $1 and p.account = a.account order by e.key, p.traits_at desc) as t), '{{}}')::text
            as traits
    from gateway.account a where {where}
    group by a.account order by a.account {limit}
"""
_MEMBERSHIPS = """
    select {name}, sum(activities)::bigint as activities, min(first_seen) as first_seen, max(last_seen) as last_seen
    from gateway.account_person where project = $1 and {where} = $2
    group by {name} order by last_seen desc, {name} limit $3
"""


def _account(row: asyncpg.Record) -> AccountRow:
    return AccountRow(
        row["account"],
        row["activities"],
        row["users"],
        row["first_seen"],
        row["last_seen"],
        msgspec.Raw(row["traits"].encode()),
    )


def _person(row: asyncpg.Record) -> PersonRow:
    return PersonRow(
        row["subject"],
        row["activities"],
        row["first_seen"],
        row["last_seen"],
        msgspec.Raw(row["traits"].encode()),
    )
