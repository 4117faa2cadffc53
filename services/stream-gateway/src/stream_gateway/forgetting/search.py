"""Looks for ids as text in every table of the suite's schemas."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

import asyncpg

from access.mentions import mention_pattern
from eventmodel import ProjectId

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

SCHEMAS: Final = ("access", "gateway", "importer", "log", "rules", "runtime")

SEARCH_S: Final = 3600.0
"""The most a search may take in one table; it reads all of it."""

_COLUMNS: Final = """
    select c.table_schema, c.table_name, c.column_name, c.data_type
    from information_schema.columns as c join information_schema.tables as t using (table_schema, table_name)
    where c.table_schema = any($1) and t.table_type = 'BASE TABLE'
        and not exists (
            select from pg_inherits i join pg_class k on k.oid = i.inhrelid
            join pg_namespace n on n.oid = k.relnamespace
            where n.nspname = c.table_schema and k.relname = c.table_name
        )
    order by 1, 2, c.ordinal_position
"""
_TEXTS: Final = ("text", "character varying", "jsonb", "json", "ARRAY")
# How a row says whose it is; a table that does not is searched whole.
_SCOPES: Final = {
    ("access", "project"): "id = $3",
    # What is not finished lets go of its ids as it finishes.
    ("access", "forget_request"): "project = $3 and finished_at is not null",
    ("log", "record"): "convert_from(substr(key, 1, length($3) + 1), 'SQL_ASCII') = $3 || ':'",
}
_AT_ONCE: Final = 100


async def search_everywhere(tx: "Connection", project: ProjectId, ids: Collection[str]) -> Mapping[str, int]:
    """By table, how many rows of the project, or of none, hold one of the ids; 0 where none does."""
    found: dict[str, int] = {}
    columns = await tx.fetch(_COLUMNS, list(SCHEMAS))
    chunks = list(_chunks(list(ids)))
    for (schema, table), of_table in groupby(columns, lambda row: (row["table_schema"], row["table_name"])):
        asked = list(of_table)
        found[f"{schema}.{table}"] = 0
        where = _where(schema, table, {row["column_name"]: row["data_type"] for row in asked})
        if where is None:
            continue
        for chunk in chunks:
            found[f"{schema}.{table}"] += await tx.fetchval(
                f'select count(*) from "{schema}"."{table}" where {where}',  # noqa: S608 (of the catalogue)
                mention_pattern(chunk),
                mention_pattern(chunk, escaped=True),
                project,
                timeout=SEARCH_S,
            )
    return found


def _where(schema: str, table: str, kinds: Mapping[str, str]) -> str | None:
    texts = [f'"{name}"::text ~ $1' for name, kind in kinds.items() if kind in _TEXTS]
    octets = [f"encode(\"{name}\", 'escape') ~ $2" for name, kind in kinds.items() if kind == "bytea"]
    if not texts and not octets:
        return None
    scope = _SCOPES.get((schema, table)) or ("project = $3" if "project" in kinds else "true")
    # Every parameter stands somewhere, so that each statement takes the same three.
    return f"({' or '.join((*texts, *octets))}) and {scope} and $1::text || $2::text || $3::text is not null"


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE))
