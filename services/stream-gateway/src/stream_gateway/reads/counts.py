"""Activities counted: whose they are, and between which moments."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import msgspec

from eventmodel import ACTIVITY_KINDS, ProjectId
from stream_gateway.reads.people import ids_of
from stream_gateway.reads.period import Period

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_QUARTERS = "select quarter as at, action, activities as number from gateway.activity_quarter"
_HISTORY = "select occurred_at as at, action, 1 as number from gateway.history"
_KINDS = ", ".join(f"'{kind}'" for kind in sorted(ACTIVITY_KINDS))


class ActionCount(msgspec.Struct, frozen=True):
    action: str
    count: int


class ActionChange(msgspec.Struct, frozen=True):
    """How often in a period, and in the one before it."""

    action: str
    count: int
    previous: int


class Scope(NamedTuple):
    """An account, a person by subject, a person within an account, or the whole project; one action or all.

    A person is the subject `alone`, or with all that belongs to it.
    """

    account: str | None = None
    subject: str | None = None
    action: str | None = None
    alone: bool = False

    def activities(
        self, project: ProjectId, begins_at: datetime, ends_at: datetime, values: list[object]
    ) -> str:
        """A query of (at, action, number) from `begins_at` and before `ends_at`; its parameters go into `values`.

        `at` is a moment for a person, else the beginning of a quarter of an hour. The project is $1, so `values`
        is empty.
        """
        source, at = (_QUARTERS, "quarter") if self.subject is None else (_HISTORY, "occurred_at")
        conditions = [] if self.subject is None else [f"kind in ({_KINDS})"]
        for column, is_as, value in (
            ("project", "=", project),
            (at, ">=", begins_at),
            (at, "<", ends_at),
            ("account", "=", self.account),
            ("action", "=", self.action),
        ):
            if value is not None:
                values.append(value)
                conditions.append(f"{column} {is_as} ${len(values)}")
        if self.subject is not None:
            values.append(self.subject)
            conditions.append(f"subject = any({ids_of(f'${len(values)}', alone=self.alone)})")
        return f"{source} where {' and '.join(conditions)}"


async def count_period(
    tx: "Connection", project: ProjectId, scope: Scope, period: Period
) -> Sequence[ActionChange]:
    """Activities by action in the period and before it, most first; an action of either is there."""
    days = period.days
    values: list[object] = []
    activities = scope.activities(project, period.previous_begins_at, days.ends_at, values)
    values += [days.begins_at, period.previous_ends_at]
    begins, ends = f"${len(values) - 1}", f"${len(values)}"
    rows = await tx.fetch(
        f"select action, coalesce(sum(number) filter (where at >= {begins}), 0)::bigint as count,"  # noqa: S608 (columns)
        f" coalesce(sum(number) filter (where at < {ends}), 0)::bigint as previous"
        f" from ({activities}) as a where at >= {begins} or at < {ends}"
        " group by action order by count desc, previous desc, action",
        *values,
    )
    return [ActionChange(*row) for row in rows]
