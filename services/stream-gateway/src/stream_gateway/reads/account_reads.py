"""Questions about accounts: the list, and one with its people and its period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from eventmodel import ProjectId
from stream_gateway.reads.counts import ActionChange, ActionCount, Scope, count_period
from stream_gateway.reads.listing import Listing, Sorts, string_trait
from stream_gateway.reads.people import EVERYBODY_KNOWN, ids_of, known_as
from stream_gateway.reads.period import Days, Period
from stream_gateway.reads.snapshot import snapshot

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

ACCOUNT_SORTS: Final[Sorts] = {
    "account": str,
    "activities": int,
    "users": int,
    "first_seen": datetime,
    "last_seen": datetime,
}
_MEMBERS: Final = 100
_TOP_ACTIONS: Final = 3


class AccountRow(msgspec.Struct, frozen=True):
    """`daily` is there when days were asked for."""

    account: str
    name: str | None
    activities: int
    users: int
    first_seen: datetime
    last_seen: datetime
    traits: msgspec.Raw
    daily: list[int] | msgspec.UnsetType = msgspec.UNSET


class Member(msgspec.Struct, frozen=True):
    """A person in an account; `actions` are the most frequent of theirs there, as JSON."""

    subject: str
    name: str | None
    activities: int
    first_seen: datetime
    last_seen: datetime
    actions: msgspec.Raw


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One account at one moment. `members` are the latest 100; `people` counts those active in the period."""

    row: AccountRow
    breakdown: Sequence[ActionCount]
    members: Sequence[Member]
    changes: Sequence[ActionChange]
    people: int


class AccountReads:
    """The questions, over one pool."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def page(self, project: ProjectId, listing: Listing, days: Days | None) -> Sequence[AccountRow]:
        """Accounts as asked for; with `days`, each with its activities on every one of them, oldest first."""
        values: list[object] = [project]
        by_users = listing.sort == "users"
        column = "coalesce(u.users, 0)" if by_users else f"a.{listing.sort}"
        searched = ("a.account", string_trait("n.traits"))
        where = listing.conditions(column, "a.account", searched, values)
        values.append(listing.limit)
        chosen = _CHOSEN.format(
            users=column if by_users else "null::bigint",
            account="",
            counted=_COUNTED if by_users else "",
            named=_NAMED if listing.search is not None else "",
            where=where,
            order=f"{listing.order(column, 'a.account')} limit ${len(values)}",
        )
        query = _ROWS.format(chosen=chosen, order=listing.order(f"c.{listing.sort}", "c.account"))
        async with snapshot(self._pool) as tx:
            rows = await tx.fetch(query, *values)
            if days is None:
                return [_row(row) for row in rows]
            daily = await _daily(tx, project, [row["account"] for row in rows], days)
        return [_row(row, daily[row["account"]]) for row in rows]

    async def account(self, project: ProjectId, account: str, period: Period | None) -> AccountPage | None:
        """One account with its people, latest first, and what it does, most first."""
        chosen = _CHOSEN.format(
            users="null::bigint", account="and account = $2", counted="", named="", where="true", order=""
        )
        async with snapshot(self._pool) as tx:
            row = await tx.fetchrow(_ROWS.format(chosen=chosen, order=""), project, account)
            if row is None:
                return None
            breakdown = await tx.fetch(
                "select action, sum(activities)::bigint as count from gateway.account_action"
                " where project = $1 and account = $2 group by action order by count desc, action",
                project,
                account,
            )
            members = await tx.fetch(_LATEST_MEMBERS, project, account, _MEMBERS, _TOP_ACTIONS)
            changes: Sequence[ActionChange] = []
            people = 0
            if period is not None:
                changes = await count_period(tx, project, Scope(account=account), period)
                people = await _people(tx, project, account, period.days)
        return AccountPage(
            _row(row),
            [ActionCount(*one) for one in breakdown],
            [_member(one) for one in members],
            changes,
            people,
        )


async def _daily(
    tx: "Connection", project: ProjectId, accounts: Sequence[str], days: Days
) -> Mapping[str, list[int]]:
    """Activities of each account on each of the days."""
    rows = await tx.fetch(
        "select account, day - $3 as place, sum(activities)::bigint as count from gateway.account_day"
        " where project = $1 and account = any($2::text[]) and day between $3 and $4 group by account, day",
        project,
        accounts,
        days.first,
        days.last,
    )
    daily = {account: [0] * ((days.last - days.first).days + 1) for account in accounts}
    for row in rows:
        daily[row["account"]][row["place"]] = row["count"]
    return daily


async def _people(tx: "Connection", project: ProjectId, account: str, days: Days) -> int:
    """How many people were active in the account on days that last until now.

    Whoever last did something since the days began was active in them: no other rows are needed.
    """
    people: int = await tx.fetchval(
        "select count(distinct coalesce(known.person, m.subject)) from (select distinct subject"  # noqa: S608
        " from gateway.person_action"
        " where project = $1 and account = $2 and activities > 0 and last_seen >= $3 and first_seen < $4"
        f") as m {known_as('m.subject')}",
        project,
        account,
        days.begins_at,
        days.ends_at,
    )
    return people


# Only what decides which accounts are shown is asked of all of them.
_CHOSEN: Final = """
    select a.account, a.activities, a.first_seen, a.last_seen, {users} as users
    from (
        select account, sum(activities)::bigint as activities, min(first_seen) as first_seen,
            max(last_seen) as last_seen
        from gateway.account where project = $1 {account} group by account
    ) as a {counted} {named}
    where {where} {order}
"""
_COUNTED: Final = f"""
    left join (
        select m.account, count(distinct coalesce(known.person, m.subject)) as users
        from (
            select distinct account, subject from gateway.person_action where project = $1 and account <> ''
        ) as m left join {EVERYBODY_KNOWN} as known on known.subject = m.subject
        group by m.account
    ) as u on u.account = a.account
"""  # noqa: S608 (constants)
_NAMED: Final = """
    left join (
        select distinct on (account) account, traits from gateway.account
        where project = $1 and traits ? 'name' order by account, traits_at desc, part
    ) as n on n.account = a.account
"""
# A later trait wins; the parts of an account have one writer each, so their traits are merged here.
_ROWS: Final = f"""
    with chosen as materialized ({{chosen}})
    select c.account, {string_trait("t.traits")} as name, c.activities,
        coalesce(c.users, (select count(distinct coalesce(known.person, m.subject)) from (
                select distinct subject from gateway.person_action where project = $1 and account = c.account
            ) as m {known_as("m.subject")})) as users,
        c.first_seen, c.last_seen, t.traits::text as traits
    from chosen as c cross join lateral (
        select coalesce(jsonb_object_agg(latest.key, latest.value), '{{{{}}}}') as traits
        from (
            select distinct on (e.key) e.key, e.value from gateway.account as p, jsonb_each(p.traits) as e
            where p.project = $1 and p.account = c.account order by e.key, p.traits_at desc, p.part
        ) as latest
    ) as t
    {{order}}
"""  # noqa: S608 (a column)
_LATEST_MEMBERS: Final = f"""
    with member as materialized (
        select coalesce(known.person, s.subject) as subject, array_agg(s.subject) as ids,
            sum(s.activities)::bigint as activities, min(s.first_seen) as first_seen, max(s.last_seen) as last_seen
        from (
            select subject, sum(activities) as activities, min(first_seen) as first_seen,
                max(last_seen) as last_seen
            from gateway.person_action where project = $1 and account = $2 group by subject
        ) as s {known_as("s.subject")}
        group by 1 order by last_seen desc, 1 limit $3
    )
    select m.subject,
        (select {string_trait("p.traits")} from gateway.person as p
            where p.project = $1 and p.subject = any({ids_of("m.subject")}) and p.traits ? 'name'
            order by p.subject = m.subject desc, p.traits_at desc, p.subject limit 1) as name,
        m.activities, m.first_seen, m.last_seen,
        (select coalesce(json_agg(json_build_object('action', a.action, 'count', a.count)
                order by a.count desc, a.action), '[]')::text
            from (
                select action, sum(activities)::bigint as count from gateway.person_action
                where project = $1 and account = $2 and subject = any(m.ids)
                group by action having sum(activities) > 0 order by count desc, action limit $4
            ) as a) as actions
    from member as m order by m.last_seen desc, m.subject
"""  # noqa: S608 (a column)


def _row(row: asyncpg.Record, daily: list[int] | msgspec.UnsetType = msgspec.UNSET) -> AccountRow:
    return AccountRow(
        row["account"],
        row["name"],
        row["activities"],
        row["users"],
        row["first_seen"],
        row["last_seen"],
        msgspec.Raw(row["traits"].encode()),
        daily,
    )


def _member(row: asyncpg.Record) -> Member:
    return Member(
        row["subject"],
        row["name"],
        row["activities"],
        row["first_seen"],
        row["last_seen"],
        msgspec.Raw(row["actions"].encode()),
    )
