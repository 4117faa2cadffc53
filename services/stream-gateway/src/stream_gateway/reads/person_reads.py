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
from stream_gateway.reads.people import EVERYBODY_KNOWN, ids_of, is_known_by_itself
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


class OtherId(msgspec.Struct, frozen=True):
    """Another id of a person, and what there is of them under it."""

    subject: str
    activities: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class PersonPage:
    """One person at one moment; `memberships` are the latest 100, `identities` the other ids, oldest first.

    `known_as` is the subject whom this one belongs to, if there is one.
    """

    row: PersonRow
    breakdown: Sequence[ActionCount]
    memberships: Sequence[Membership]
    identities: Sequence[OtherId]
    known_as: str | None
    changes: Sequence[ActionChange]


class PersonReads:
    """The questions, over one pool."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def users(self, project: ProjectId, listing: Listing) -> Sequence[PersonRow]:
        """Known users as asked for, each with what belongs to them; anonymous visitors are not listed."""
        values: list[object] = [project]
        by_name = listing.sort == "user"
        column = "p.subject" if by_name else f"p.{listing.sort}"
        # Only where it decides who is shown, everybody is added up.
        people = "gateway.person" if by_name and listing.search is None else _EVERYBODY
        searched = ("substr(p.subject, 3)", string_trait("p.traits"), "p.others")
        where = listing.conditions(column, "p.subject", searched, values)
        order = listing.order(column, "p.subject")
        values.append(listing.limit)
        chosen = (
            f"select p.subject from {people} as p where p.project = $1"  # noqa: S608 (columns)
            f" and p.subject >= 'u:' and p.subject < 'u;' and {is_known_by_itself('p.subject')}"
            f" and {where} {order} limit ${len(values)}"
        )
        rows = await self._pool.fetch(
            _ROWS.format(chosen=chosen, ids=ids_of("c.subject"), order=order), *values
        )
        return [_row(row) for row in rows]

    async def person(
        self, project: ProjectId, subject: str, period: Period | None, *, alone: bool = False
    ) -> PersonPage | None:
        """One person with their accounts, latest first, and what they do, most first.

        With all that belongs to the subject, unless it is asked for `alone`.
        """
        ids = ids_of("$2", alone=alone)
        async with snapshot(self._pool) as tx:
            row = await tx.fetchrow(
                _ROWS.format(
                    chosen="select $2::text as subject", ids=ids_of("c.subject", alone=alone), order=""
                ),
                project,
                subject,
            )
            if row is None:
                return None
            breakdown = await tx.fetch(
                "select action, sum(activities)::bigint as count from gateway.person_action"  # noqa: S608 (constants)
                f" where project = $1 and subject = any({ids})"
                " group by action having sum(activities) > 0 order by count desc, action",
                project,
                subject,
            )
            memberships = await tx.fetch(
                "select account, sum(activities)::bigint as activities, min(first_seen) as first_seen,"  # noqa: S608
                " max(last_seen) as last_seen from gateway.person_action"
                f" where project = $1 and subject = any({ids}) and account <> ''"
                " group by account order by last_seen desc, account limit $3",
                project,
                subject,
                _MEMBERSHIPS,
            )
            identities = await tx.fetch(
                "select subject, sum(activities)::bigint as activities, min(first_seen) as first_seen,"  # noqa: S608
                " max(last_seen) as last_seen from gateway.person"
                f" where project = $1 and subject = any({ids}) and subject <> $2"
                " group by subject order by first_seen, subject",
                project,
                subject,
            )
            known_as: str | None = None
            if not alone:
                known_as = await tx.fetchval("select nullif(gateway.person_of($1, $2), $2)", project, subject)
            changes: Sequence[ActionChange] = []
            if period is not None:
                changes = await count_period(tx, project, Scope(subject=subject, alone=alone), period)
        return PersonPage(
            _row(row),
            [ActionCount(*one) for one in breakdown],
            [Membership(*one) for one in memberships],
            [OtherId(*one) for one in identities],
            known_as,
            changes,
        )


# Everybody with what belongs to them, and the ids and names of that.
_EVERYBODY: Final = f"""(
    select p.project, p.subject, p.traits, o.others, p.activities + coalesce(o.activities, 0) as activities,
        least(p.first_seen, o.first_seen) as first_seen, greatest(p.last_seen, o.last_seen) as last_seen
    from gateway.person as p left join (
        select known.person, sum(m.activities)::bigint as activities, min(m.first_seen) as first_seen,
            max(m.last_seen) as last_seen,
            string_agg(concat_ws(e'\\n', substr(m.subject, 3), {string_trait("m.traits")}), e'\\n') as others
        from {EVERYBODY_KNOWN} as known join gateway.person as m on m.project = $1 and m.subject = known.subject
        where known.person <> known.subject group by known.person
    ) as o on o.person = p.subject
    where p.project = $1
)"""  # noqa: S608 (constants)
# What was told of an id itself wins over what was told of those that belong to it, among these the later.
_ROWS: Final = f"""
    with chosen as materialized ({{chosen}})
    select p.subject, {string_trait("p.traits")} as name, p.activities, p.first_seen, p.last_seen,
        p.traits::text as traits,
        (select m.account from gateway.person_action as m
            where m.project = $1 and m.subject = any(p.ids) and m.account <> ''
            group by m.account order by max(m.last_seen) desc, m.account limit 1) as account
    from (
        select c.subject, i.ids, s.activities, s.first_seen, s.last_seen, t.traits
        from chosen as c cross join lateral (select {{ids}} as ids) as i
        cross join lateral (
            select sum(activities)::bigint as activities, min(first_seen) as first_seen,
                max(last_seen) as last_seen
            from gateway.person where project = $1 and subject = any(i.ids)
        ) as s cross join lateral (
            select coalesce(jsonb_object_agg(latest.key, latest.value), '{{{{}}}}') as traits
            from (
                select distinct on (e.key) e.key, e.value
                from gateway.person as m, jsonb_each(m.traits) as e
                where m.project = $1 and m.subject = any(i.ids)
                order by e.key, m.subject = c.subject desc, m.traits_at desc, m.subject
            ) as latest
        ) as t
        where s.activities is not null
    ) as p {{order}}
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
