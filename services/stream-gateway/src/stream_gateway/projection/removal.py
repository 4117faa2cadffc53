"""Removes a person from one part of the read model: in the owner's transactions, so that what remains adds up."""

from collections import Counter
from typing import TYPE_CHECKING, Final

import asyncpg

from access.forgetting import note_removed
from access.forgotten import ForgetRequest
from access.mentions import mention_pattern
from eventlog.consumer import FencedTransaction
from eventmodel import ACTIVITY_KINDS
from stream_gateway.projection.tally import merge_account_traits

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_ROWS: Final = 1_000
_TAKE: Final = """
    with found as (
        select tableoid, ctid from gateway.history
        where part = $1 and project = $2 and subject = any($3::text[]) limit $4
    )
    delete from gateway.history h using found f where h.tableoid = f.tableoid and h.ctid = f.ctid
    returning h.part, h.project, h.occurred_at, h.account, h.kind, h.action
"""
_TAKEN: Final = """
    create temporary table taken (
        part smallint, project text, occurred_at timestamptz, account text collate "C", kind text,
        action text collate "C", counted boolean
    ) on commit drop
"""
_KEEP: Final = """
    insert into taken select u.*, u.kind = any($7::text[])
    from unnest($1::smallint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
        as u(part, project, occurred_at, account, kind, action)
"""
_QUARTER: Final = """date_trunc('hour', occurred_at, 'UTC')
    + interval '15 minutes' * floor(date_part('minute', occurred_at at time zone 'UTC') / 15)"""
_SUBTRACT: Final = """
    merge into gateway.{table} as t
    using (
        select part, project, {expressions}, count(*) as number
        from taken join gateway.derivation as d using (part, project) where counted group by part, project, {keys}
    ) as u on t.part = u.part and t.project = u.project and {same}
    when matched and t.activities <= u.number then delete
    when matched then update set activities = t.activities - u.number
"""


def _subtract(table: str, **keys: str) -> str:
    """SQL that takes off what the taken rows counted; a row of which nothing remains goes."""
    return _SUBTRACT.format(
        table=table,
        expressions=", ".join(f"{expression} as {key}" for key, expression in keys.items()),
        keys=", ".join(map(str, range(3, 3 + len(keys)))),
        same=" and ".join(f"t.{key} = u.{key}" for key in keys),
    )


_COUNTS: Final = (
    _subtract("activity_quarter", quarter=_QUARTER, account="account", action="action"),
    _subtract("activity_minute", minute="date_trunc('minute', occurred_at, 'UTC')"),
    _subtract("account_day", account="account", day="(occurred_at at time zone d.time_zone)::date"),
    _subtract("account_action", account="account", action="action"),
)
_ACCOUNTS: Final = (
    """
    update gateway.account t set activities = t.activities - u.number
    from (select part, project, account, count(*) as number from taken where counted group by 1, 2, 3) as u
    where t.part = u.part and t.project = u.project and t.account = u.account
    """,
    """
    delete from gateway.account t using (select distinct part, project, account from taken) as u
    where t.part = u.part and t.project = u.project and t.account = u.account and not exists (
        select from gateway.history h where h.project = u.project and h.account = u.account and h.part = u.part
    )
    """,
)
_SPAN: Final = """
    update gateway.{table} t set first_seen = s.first_seen, last_seen = s.last_seen
    from (
        select part, project, {keys}, min(occurred_at) as first_at, max(occurred_at) as last_at
        from taken {of_taken} group by part, project, {keys}
    ) as u cross join lateral (
        select min(h.occurred_at) as first_seen, max(h.occurred_at) as last_seen from gateway.history h
        where h.project = u.project and h.account = u.account and h.part = u.part {of_history}
    ) as s
    where t.part = u.part and t.project = u.project and {same} and s.first_seen is not null
        and (t.first_seen >= u.first_at or t.last_seen <= u.last_at)
"""
_SPANS: Final = (
    _SPAN.format(table="account", keys="account", of_taken="", of_history="", same="t.account = u.account"),
    _SPAN.format(
        table="account_action",
        keys="account, action",
        of_taken="where counted",
        of_history="and h.action = u.action and h.kind in ('track', 'page', 'screen')",
        same="t.account = u.account and t.action = u.action",
    ),
)
_GROUPED: Final = "select distinct account from taken where kind = 'group' and account <> ''"
_FORGET_TRAITS: Final = """
    update gateway.account set traits = null, traits_at = null
    where part = $1 and project = $2 and account = any($3::text[])
"""
_REMAINING_TRAITS: Final = """
    select account, occurred_at, event::json ->> 'traits' as traits from gateway.history
    where part = $1 and project = $2 and account = any($3::text[]) and kind = 'group' order by seq
"""
_PERSONAL: Final = {
    "link": "belongs_to",
    **dict.fromkeys(("person", "person_action", "active_day", "active_now", "trial_signup"), "subject"),
}
_OUTCOMES: Final = """
    delete from gateway.rejected_outcome o using gateway.rejected r
    where r.part = $1 and r.project = $2 and r.record ~ $3 and r.received_at < $4
        and o.project = r.project and o.id = r.id and o.part = r.part
"""
_REJECTED: Final = (
    "delete from gateway.rejected where part = $1 and project = $2 and record ~ $3 and received_at < $4"
)
# The count stays, as it does for a rejection that nobody kept; what was said with the last one named the person.
_LAST_REJECTIONS: Final = """
    update gateway.source_rejection
    set last = '{"message": "It named a person who was removed since.", "hint": null, "field": null, "place": {}}'
    where part = $1 and project = $2 and last::text ~ $3 and last_at < $4
"""


async def remove_person(request: ForgetRequest, part: int, fenced: "FencedTransaction[Connection]") -> None:
    """Remove what the part holds of the person, a batch a transaction, and confirm it with the last.

    Between batches the sums agree with history. Raises Fenced and StoreUnavailable.
    """
    while True:
        async with fenced([part]) as tx:
            taken = await _take(tx, request, part)
            if taken < _ROWS:
                removed = await _remove_rows(tx, request, part)
                removed["gateway.history"] = taken
                await note_removed(tx, request, "gateway", part, removed, done=True)
                return
            await note_removed(tx, request, "gateway", part, {"gateway.history": taken}, done=False)


async def _take(tx: "Connection", request: ForgetRequest, part: int) -> int:
    rows = await tx.fetch(_TAKE, part, request.project, list(request.subjects), _ROWS)
    if not rows:
        return 0
    await tx.execute(_TAKEN)
    columns = zip(*(row.values() for row in rows), strict=True)
    await tx.execute(_KEEP, *columns, sorted(ACTIVITY_KINDS))
    for statement in (*_COUNTS, *_ACCOUNTS, *_SPANS):
        await tx.execute(statement)
    accounts = [row["account"] for row in await tx.fetch(_GROUPED)]
    if accounts:
        await tx.execute(_FORGET_TRAITS, part, request.project, accounts)
        async for row in tx.cursor(_REMAINING_TRAITS, part, request.project, accounts):
            if row["traits"] not in (None, "{}"):
                await merge_account_traits(
                    tx, (part, request.project, row["account"], row["traits"], row["occurred_at"])
                )
    return len(rows)


async def _remove_rows(tx: "Connection", request: ForgetRequest, part: int) -> Counter[str]:
    removed: Counter[str] = Counter()
    for table, column in _PERSONAL.items():
        done = await tx.execute(
            f"delete from gateway.{table} where part = $1 and project = $2 and {column} = any($3::text[])",  # noqa: S608
            *(part, request.project, list(request.subjects)),
        )
        removed[f"gateway.{table}"] = _number(done)
    if request.mentions:
        said = (part, request.project, mention_pattern(request.mentions), request.requested_at)
        removed["gateway.rejected_outcome"] = _number(await tx.execute(_OUTCOMES, *said))
        removed["gateway.rejected"] = _number(await tx.execute(_REJECTED, *said))
        removed["gateway.source_rejection"] = _number(await tx.execute(_LAST_REJECTIONS, *said))
    return removed


def _number(done: str) -> int:
    return int(done.split()[-1])
