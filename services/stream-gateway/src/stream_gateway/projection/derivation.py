"""Rows derived under a project's settings, and how they are made again when the settings change."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import asyncpg

from access.model import ProjectSettings
from eventmodel import ACTIVITY_KINDS, ProjectId, fold_action

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_zone = lru_cache(maxsize=1024)(ZoneInfo)


@dataclass(frozen=True, slots=True)
class Derivation:
    """The settings that shape rows: the zone of all days, the actions of `trial_signup` (folded)."""

    time_zone: str
    trial_actions: frozenset[str]

    @classmethod
    def of(cls, settings: ProjectSettings) -> "Derivation":
        return cls(settings.time_zone, frozenset(map(fold_action, settings.trial_actions)))

    def day(self, at: datetime) -> date:
        """The day of `at` in the project's zone; at the ends of the calendar, the UTC day."""
        if self.time_zone == "UTC":
            return at.date()
        try:
            return at.astimezone(_zone(self.time_zone)).date()
        except OverflowError:
            return at.date()


async def rebuild(tx: "Connection", part: int, project: ProjectId, wanted: Derivation) -> None:
    """Make the derived rows of one part and project again from history, in the owner's transaction."""
    kinds = sorted(ACTIVITY_KINDS)
    await tx.execute("delete from gateway.active_day where part = $1 and project = $2", part, project)
    await tx.execute(
        "insert into gateway.active_day (part, project, day, subject)"
        " select distinct part, project, (occurred_at at time zone $3)::date, subject from gateway.history"
        " where part = $1 and project = $2 and kind = any($4) and left(subject, 2) in ('u:', 'a:')",
        part,
        project,
        wanted.time_zone,
        kinds,
    )
    await tx.execute("delete from gateway.account_day where part = $1 and project = $2", part, project)
    await tx.execute(
        "insert into gateway.account_day (part, project, account, day, activities)"
        " select part, project, account, (occurred_at at time zone $3)::date, count(*) from gateway.history"
        " where part = $1 and project = $2 and kind = any($4) and account <> '' group by 1, 2, 3, 4",
        part,
        project,
        wanted.time_zone,
        kinds,
    )
    await tx.execute("delete from gateway.trial_signup where part = $1 and project = $2", part, project)
    actions = await tx.fetch(
        "select distinct action from gateway.account_action where part = $1 and project = $2", part, project
    )
    matching = [row["action"] for row in actions if fold_action(row["action"]) in wanted.trial_actions]
    await tx.execute(
        "insert into gateway.trial_signup (part, project, subject, account, action, occurred_at)"
        " select distinct on (subject) part, project, subject, account, action, occurred_at from gateway.history"
        " where part = $1 and project = $2 and kind = any($3) and action = any($4)"
        " and left(subject, 2) in ('u:', 'a:') order by subject, occurred_at, seq",
        part,
        project,
        kinds,
        matching,
    )
    await tx.execute(
        "insert into gateway.derivation (part, project, time_zone, trial_actions) values ($1, $2, $3, $4)"
        " on conflict (project, part)"
        " do update set time_zone = excluded.time_zone, trial_actions = excluded.trial_actions",
        part,
        project,
        wanted.time_zone,
        sorted(wanted.trial_actions),
    )
