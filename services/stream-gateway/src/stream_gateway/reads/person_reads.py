"""Questions about people: the list of users, and one person with their accounts and their period."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from eventmodel import ProjectId
from stream_gateway.reads.counts import ActionChange, ActionCount, Scope, count_period
from stream_gateway.reads.listing import Listing, Sorts, string_trait
from stream_gateway.reads.period import Period
from stream_gateway.reads.snapshot import snapshot

USER_SORTS: Final[Sorts] = {"user": str, "activities": int, "first_seen": datetime, "last_seen": datetime}
_MEMBERSHIPS: Final = 100


class PersonRow(msgspec.Struct, frozen=True):
    """`account` is the one they were last active in."""

    subject: str
    name: str | None
    activities: int
    first_seen: datetime
    last_seen: datetime
    traits: msgspec.Raw
    account: str | None


class Membership(msgspec.Struct, frozen=True):
    """An account a person is in, and what there is of them there."""

    account: str
    activities: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class PersonPage:
    """One person at one moment; `memberships` are the latest 100."""

    row: PersonRow
    breakdown: Sequence[ActionCount]
    memberships: Sequence[Membership]
    changes: Sequence[ActionChange]


class PersonReads:
    """The questions, over one pool."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def users(self, project: ProjectId, listing: Listing) -> Sequence[PersonRow]:
        """Known users as asked for; anonymous visitors are not listed."""
        values: list[object] = [project]
        column = "p.subject" if listing.sort == "user" else f"p.{listing.sort}"
        searched = ("substr(p.subject, 3)", string_trait("p.traits"))
        where = listing.conditions(column, "p.subject", searched, values)
        order = listing.order(column, "p.subject")
        values.append(listing.limit)
        chosen = (
            f"select * from gateway.person as p where p.project = $1"  # noqa: S608 (columns)
            f" and p.subject >= 'u:' and p.subject < 'u;' and {where} {order} limit ${len(values)}"
        )
        rows = await self._pool.fetch(_ROWS.format(chosen=chosen, order=order), *values)
        return [_row(row) for row in rows]

    async def person(self, project: ProjectId, subject: str, period: Period | None) -> PersonPage | None:
        """One person with their accounts, latest first, and what they do, most first."""
        chosen = "select * from gateway.person where project = $1 and subject = $2"
        async with snapshot(self._pool) as tx:
            row = await tx.fetchrow(_ROWS.format(chosen=chosen, order=""), project, subject)
            if row is None:
                return None
            breakdown = await tx.fetch(
                "select action, sum(activities)::bigint as count from gateway.person_action"
                " where project = $1 and subject = $2"
                " group by action having sum(activities) > 0 order by count desc, action",
                project,
                subject,
            )
            memberships = await tx.fetch(
                "select account, sum(activities)::bigint as activities, min(first_seen) as first_seen,"
                " max(last_seen) as last_seen from gateway.person_action"
                " where project = $1 and subject = $2 and account <> ''"
                " group by account order by last_seen desc, account limit $3",
                project,
                subject,
                _MEMBERSHIPS,
            )
            changes: Sequence[ActionChange] = []
            if period is not None:
                changes = await count_period(tx, project, Scope(subject=subject), period)
        return PersonPage(
            _row(row),
            [ActionCount(*one) for one in breakdown],
            [Membership(*one) for one in memberships],
            changes,
        )


_ROWS: Final = f"""
    with chosen as materialized ({{chosen}})
    select p.subject, {string_trait("p.traits")} as name, p.activities, p.first_seen, p.last_seen,
        coalesce(p.traits, '{{{{}}}}')::text as traits,
        (select m.account from gateway.person_action as m
            where m.project = $1 and m.subject = p.subject and m.account <> ''
            group by m.account order by max(m.last_seen) desc, m.account limit 1) as account
    from chosen as p {{order}}
"""  # noqa: S608 (a column)


def _row(row: asyncpg.Record) -> PersonRow:
    return PersonRow(
        row["subject"],
        row["name"],
        row["activities"],
        row["first_seen"],
        row["last_seen"],
        msgspec.Raw(row["traits"].encode()),
        row["account"],
    )
