"""The read model's tables beside a recount of one part: what differs, and putting it right."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from eventmodel import ProjectId
from stream_gateway.projection import tally

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

EXAMPLES: Final = 5
"""Differences told in full, of each table and part."""


class Table(NamedTuple):
    """What identifies a row within its part, and what it says. `columns` are those that a repair writes."""

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    selected: str
    grouped: str
    columns: tuple[str, ...]


class Difference(NamedTuple):
    """One row that is not as it was recounted: `expected` is None for one too many, `found` for a missing one."""

    table: str
    part: int
    key: Mapping[str, Any]
    expected: Mapping[str, Any] | None
    found: Mapping[str, Any] | None


def _derived(name: str, keys: tuple[str, ...], values: tuple[str, ...] = ()) -> Table:
    columns = (*keys, *values)
    return Table(name, keys, values, ", ".join(columns), "", ("part", *columns))


_SPAN: Final = ("activities", "first_seen", "last_seen")
_TRAITS: Final = ("traits", "traits_at")
DERIVED: Final = (
    _derived("activity_quarter", ("project", "quarter", "account", "action"), ("activities",)),
    _derived("account_action", ("project", "account", "action"), _SPAN),
    _derived("account", ("project", "account"), (*_SPAN, *_TRAITS)),
    _derived("person", ("project", "subject"), (*_SPAN, *_TRAITS)),
    _derived("person_action", ("project", "account", "subject", "action"), _SPAN),
    _derived("account_day", ("project", "account", "day"), ("activities",)),
    _derived("link", ("project", "subject", "belongs_to"), ("linked_at", "id")),
    _derived("active_day", ("project", "day", "subject")),
    _derived("trial_signup", ("project", "subject"), ("account", "action", "occurred_at")),
)
# An id may come again after the days that ids are remembered, so rows of one key are compared together.
_CONTENT: Final = "concat_ws(e'\\x1f', account, kind, action, origin, event)"
HISTORY: Final = Table(
    "history",
    ("project", "subject", "id", "occurred_at"),
    ("rows", "content"),
    "project, subject, id, occurred_at, count(*) as rows, encode(sha256(convert_to(string_agg("
    f"{_CONTENT}, e'\\x1e' order by {_CONTENT}), 'UTF8')), 'hex') as content",
    "group by project, subject, id, occurred_at",
    tally.HISTORY_COLUMNS,
)


async def compare(
    tx: "Connection", table: Table, part: int, projects: Collection[ProjectId]
) -> tuple[int, Sequence[Difference]]:
    """How many rows of the part differ from the recount in pg_temp, and the first of them in full."""
    sides = [f"{side}.{name} as {side}_{name}" for side in "ef" for name in ("here", *table.values)]
    rows = await tx.fetch(
        f"select {', '.join((*table.keys, *sides))}, count(*) over () as total {_differing(table)}"
        f" order by {', '.join(table.keys)} limit $3",
        part,
        list(projects),
        EXAMPLES,
    )
    examples = [
        Difference(
            table.name,
            part,
            {name: row[name] for name in table.keys},
            {name: row[f"e_{name}"] for name in table.values} if row["e_here"] else None,
            {name: row[f"f_{name}"] for name in table.values} if row["f_here"] else None,
        )
        for row in rows
    ]
    return (rows[0]["total"] if rows else 0), examples


async def put_right(tx: "Connection", table: Table, part: int, projects: Collection[ProjectId]) -> None:
    """Make the part's rows as recounted; only rows that differ are touched."""
    keys, columns = ", ".join(table.keys), ", ".join(table.columns)
    order = "order by r.seq" if table is HISTORY else ""
    await tx.execute(
        f"create temporary table differing on commit drop as select {keys} from gateway.{table.name} with no data"  # noqa: S608
    )
    await tx.execute(
        f"insert into differing select {keys} {_differing(table)}",
        part,
        list(projects),
    )
    same = " and ".join(f"t.{name} = d.{name}" for name in table.keys)
    await tx.execute(
        f"delete from gateway.{table.name} t using differing d where t.part = $1 and {same}",  # noqa: S608
        part,
    )
    await tx.execute(
        f"insert into gateway.{table.name} ({columns})"  # noqa: S608
        f" select {columns} from pg_temp.{table.name} r join differing using ({keys}) {order}"
    )
    await tx.execute("drop table differing")


def _differing(table: Table) -> str:
    """From and where of the rows that differ: $1 the part, $2 the projects."""
    expected, found = (
        f"(select true as here, {table.selected} from {schema}.{table.name}"  # noqa: S608 (one of the above)
        f" where part = $1 and project = any($2::text[]) {table.grouped})"
        for schema in ("pg_temp", "gateway")
    )
    unlike = " or ".join(f"e.{name} is distinct from f.{name}" for name in ("here", *table.values))
    return f"from {expected} e full join {found} f using ({', '.join(table.keys)}) where {unlike}"
