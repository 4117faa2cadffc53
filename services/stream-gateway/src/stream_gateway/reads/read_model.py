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
from stream_gateway.projection.projector import GROUP, NOW_WINDOW
from stream_gateway.reads.counts import ActionCount, Scope
from stream_gateway.reads.keyset import Before
from stream_gateway.reads.period import Days
from stream_gateway.reads.snapshot import snapshot

TOP_ACTIVITIES = 10
MINUTES: Final = 60


class Pulse(msgspec.Struct, frozen=True):
    """The numbers of one moment, and the positions that had been projected at it."""

    active_now: int
    active_today: int
    trial_signups_today: int
    activities_today: int
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

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

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
                "select (select count(distinct subject) from gateway.active_now"
                "        where project = $1 and last_at > $2) as active_now,"
                " (select count(distinct subject) from gateway.active_day"
                "        where project = $1 and day = $3) as active_today,"
                " (select count(distinct subject) from gateway.trial_signup"
                "        where project = $1 and occurred_at >= $4 and occurred_at < $5) as trial_signups",
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
        values: list[object] = [days.zone]
        activities = scope.activities(project, days.begins_at, days.ends_at, values)
        rows = await self._pool.fetch(
            "select (at at time zone $1)::date as day, action, sum(number)::bigint as count"  # noqa: S608 (columns)
            f" from (select at, action, sum(number) as number from ({activities}) as a group by at, action) as b"
            " group by 1, 2 order by 1, 2",
            *values,
        )
        return [DayCount(*row) for row in rows]

    async def hours(self, project: ProjectId, days: Days, scope: Scope) -> Sequence[HourCount]:
        """Activities by weekday and hour of the project's zone, those with any, from Monday's first hour on."""
        values: list[object] = [days.zone]
        activities = scope.activities(project, days.begins_at, days.ends_at, values)
        rows = await self._pool.fetch(
            "select extract(isodow from clock)::integer, extract(hour from clock)::integer, sum(number)::bigint"  # noqa: S608 (columns)
            " from (select at at time zone $1 as clock, sum(number) as number"
            f" from ({activities}) as a group by at) as b group by 1, 2 order by 1, 2",
            *values,
        )
        return [HourCount(*row) for row in rows]

    async def active_days(self, project: ProjectId, days: Days) -> Mapping[date, int]:
        """Distinct active people by day of the project's zone; days without any are missing."""
        rows = await self._pool.fetch(
            "select day, count(distinct subject) as people from gateway.active_day"
            " where project = $1 and day between $2 and $3 group by day order by day",
            project,
            days.first,
            days.last,
        )
        return {row["day"]: row["people"] for row in rows}

    async def sign_up_days(self, project: ProjectId, days: Days) -> Mapping[date, int]:
        """New trial sign-ups by day of the project's zone; days without any are missing."""
        rows = await self._pool.fetch(
            "select (occurred_at at time zone $2)::date as day, count(distinct subject) as people"
            " from gateway.trial_signup where project = $1 and occurred_at >= $3 and occurred_at < $4"
            " group by 1 order by 1",
            project,
            days.zone,
            days.begins_at,
            days.ends_at,
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
