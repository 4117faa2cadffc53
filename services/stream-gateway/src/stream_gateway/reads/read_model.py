"""Questions about the whole project: its pulse, its days and its history.

Every query names its project; counts are sums over the parts. Accounts and people are asked for in
`account_reads` and `person_reads`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from access.model import Project
from eventmodel import ProjectId
from stream_gateway.live.presentation import Presenter
from stream_gateway.projection.projector import GROUP, NOW_WINDOW
from stream_gateway.reads.counts import ActionCount, Scope
from stream_gateway.reads.keyset import Before
from stream_gateway.reads.people import EVERYBODY_KNOWN, ids_of, known_as
from stream_gateway.reads.period import Days
from stream_gateway.reads.snapshot import snapshot

TOP_ACTIVITIES = 10
MINUTES: Final = 60

# People whose first trial sign-up, under whatever id of theirs, lies between two moments.
_SIGN_UPS: Final = f"""(
    select s.person, first.occurred_at
    from (
        select distinct coalesce(known.person, t.subject) as person from gateway.trial_signup as t
        {known_as("t.subject")} where t.project = $1 and t.occurred_at >= {{begins}} and t.occurred_at < {{ends}}
    ) as s cross join lateral (
        select min(o.occurred_at) as occurred_at from gateway.trial_signup as o
        where o.project = $1 and o.subject = any({ids_of("s.person")})
    ) as first
    where first.occurred_at >= {{begins}}
)"""  # noqa: S608 (columns)
_NUMBERS: Final = f"""
    select
        (select count(distinct coalesce(known.person, a.subject)) from gateway.active_now as a
            {known_as("a.subject")} where a.project = $1 and a.last_at > $2) as active_now,
        (select count(distinct coalesce(known.person, a.subject)) from gateway.active_day as a
            {known_as("a.subject")} where a.project = $1 and a.day = $3) as active_today,
        (select count(*) from {_SIGN_UPS.format(begins="$4", ends="$5")} as s) as trial_signups
"""  # noqa: S608 (columns)


class Pulse(msgspec.Struct, frozen=True):
    """The numbers of one moment, and the positions that had been projected at it."""

    active_now: int
    active_today: int
    trial_signups_today: int
    activities_today: int
    top_activities: list[ActionCount]
    positions: Mapping[int, int]


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Of a subject `alone`, or with all that belongs to it."""

    account: str | None = None
    subject: str | None = None
    action: str | None = None
    origin: str | None = None
    alone: bool = False


class Activity(msgspec.Struct, frozen=True):
    """One event as it is shown, and where it stands in the order of history."""

    before: Before
    event: msgspec.Raw


class DayCount(msgspec.Struct, frozen=True):
    day: date
    action: str
    count: int


class HourCount(msgspec.Struct, frozen=True):
    """`weekday` is 1 for Monday to 7, `hour` 0 to 23."""

    weekday: int
    hour: int
    count: int


class MinuteCount(msgspec.Struct, frozen=True):
    minute: datetime
    count: int


class ReadModel:
    """The queries over one pool."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", presenter: Presenter) -> None:
        self._pool = pool
        self._presenter = presenter

    async def pulse(self, project: Project, now: datetime, topic: str) -> Pulse:
        """All numbers and the positions of `topic` from one snapshot."""
        today = Days.until(now, project.settings.time_zone, 1)
        async with snapshot(self._pool) as tx:
            positions = await tx.fetch(
                "select p.part, p.next from runtime.position p join runtime.grp g on g.id = p.grp"
                " where g.name = $1 and p.topic = $2",
                GROUP,
                topic,
            )
            numbers = await tx.fetchrow(
                _NUMBERS,
                project.id,
                now - NOW_WINDOW,
                today.last,
                today.begins_at,
                today.ends_at,
            )
            top = await tx.fetch(
                "select action, sum(activities)::bigint as count,"
                " (sum(sum(activities)) over ())::bigint as of_all from gateway.activity_quarter"
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
            top[0]["of_all"] if top else 0,
            [ActionCount(row["action"], row["count"]) for row in top],
            {row["part"]: row["next"] for row in positions},
        )

    async def minutes(self, project: ProjectId, now: datetime) -> Sequence[MinuteCount]:
        """Activities in each of the last 60 minutes, oldest first; the last is the minute of `now`."""
        last = now.astimezone(UTC).replace(second=0, microsecond=0)
        minutes = [last - timedelta(minutes=age) for age in reversed(range(MINUTES))]
        rows = await self._pool.fetch(
            "select minute, sum(activities)::bigint as count from gateway.activity_minute"
            " where project = $1 and minute between $2 and $3 group by minute",
            project,
            minutes[0],
            last,
        )
        counts = {row["minute"]: row["count"] for row in rows}
        return [MinuteCount(minute, counts.get(minute, 0)) for minute in minutes]

    async def days(self, project: ProjectId, days: Days, scope: Scope) -> Sequence[DayCount]:
        """Activities by day of the project's zone and action, oldest first."""
        values: list[object] = []
        activities = scope.activities(project, days.begins_at, days.ends_at, values)
        values.append(days.zone)
        rows = await self._pool.fetch(
            f"select (at at time zone ${len(values)})::date as day, action, sum(number)::bigint as count"  # noqa: S608 (columns)
            f" from (select at, action, sum(number) as number from ({activities}) as a group by at, action) as b"
            " group by 1, 2 order by 1, 2",
            *values,
        )
        return [DayCount(*row) for row in rows]

    async def hours(self, project: ProjectId, days: Days, scope: Scope) -> Sequence[HourCount]:
        """Activities by weekday and hour of the project's zone, those with any, from Monday's first hour on."""
        values: list[object] = []
        activities = scope.activities(project, days.begins_at, days.ends_at, values)
        values.append(days.zone)
        rows = await self._pool.fetch(
            "select extract(isodow from clock)::integer, extract(hour from clock)::integer, sum(number)::bigint"  # noqa: S608 (columns)
            f" from (select at at time zone ${len(values)} as clock, sum(number) as number"
            f" from ({activities}) as a group by at) as b group by 1, 2 order by 1, 2",
            *values,
        )
        return [HourCount(*row) for row in rows]

    async def active_days(self, project: ProjectId, days: Days) -> Mapping[date, int]:
        """Distinct active people by day of the project's zone; days without any are missing."""
        rows = await self._pool.fetch(
            "select a.day, count(distinct coalesce(known.person, a.subject)) as people from gateway.active_day as a"  # noqa: S608 (a constant)
            f" left join {EVERYBODY_KNOWN} as known on known.subject = a.subject"
            " where a.project = $1 and a.day between $2 and $3 group by a.day order by a.day",
            project,
            days.first,
            days.last,
        )
        return {row["day"]: row["people"] for row in rows}

    async def sign_up_days(self, project: ProjectId, days: Days) -> Mapping[date, int]:
        """New trial sign-ups by day of the project's zone; days without any are missing."""
        rows = await self._pool.fetch(
            "select (occurred_at at time zone $4)::date as day, count(*) as people"  # noqa: S608 (a constant)
            f" from {_SIGN_UPS.format(begins='$2', ends='$3')} as s group by 1 order by 1",
            project,
            days.begins_at,
            days.ends_at,
            days.zone,
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
        order = f"order by occurred_at desc, seq desc {limited}"
        query = "select occurred_at, seq, event from gateway.history where"
        if wanted.subject is None:
            query = f"{query} {where} {order}"
        else:
            # Each id by itself: an index has the newest of one, and of several together none has.
            values.append(wanted.subject)
            ids = ids_of(f"${len(values)}", alone=wanted.alone)
            theirs = f"{query} subject = i.subject and {where} {order}"
            query = f"select h.* from unnest({ids}) as i(subject) cross join lateral ({theirs}) as h {order}"  # noqa: S608
        rows = await self._pool.fetch(query, *values)
        return [Activity(Before(row["occurred_at"], row["seq"]), self._raw(row["event"])) for row in rows]

    async def event(self, project: ProjectId, event_id: str) -> Sequence[msgspec.Raw]:
        """The events of an id, newest first: ids are unique per user, not per project."""
        rows = await self._pool.fetch(
            "select event from gateway.history where project = $1 and id = $2"
            " order by occurred_at desc, seq desc limit 10",
            project,
            event_id,
        )
        return [self._raw(row["event"]) for row in rows]

    def _raw(self, event: str) -> msgspec.Raw:
        return msgspec.Raw(self._presenter.enriched(event).encode())
