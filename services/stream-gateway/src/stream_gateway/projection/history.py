"""The months of history: partitions made in advance, and one for everything older."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_MONTHS_AHEAD = 1


async def ensure_months(
    connection: "PoolConnectionProxy[asyncpg.Record]", now: datetime, months_back: int
) -> None:
    """Make the partitions of `gateway.history` up to the month after `now` that are not there yet.

    The first call makes `months_back` months and `history_old` for all before them; later calls only add
    months. An event older than the first month is never refused: it goes to `history_old`. Admission
    clamps the future, so a month ahead suffices.
    """
    this_month = _month(now)
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('gateway.history'))")
        rows = await connection.fetch(
            "select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where i.inhparent = 'gateway.history'::regclass and c.relname <> 'history_old'"
        )
        made = {
            int(row["name"].removeprefix("history_")[:4]) * 12 + int(row["name"][-2:]) - 1 for row in rows
        }
        if not made:
            first = this_month - months_back
            await _make(connection, "history_old", "minvalue", f"'{_start(first)}'")
            made = {first - 1}
        for month in range(max(made) + 1, this_month + _MONTHS_AHEAD + 1):
            name = f"history_{month // 12:04d}_{month % 12 + 1:02d}"
            await _make(connection, name, f"'{_start(month)}'", f"'{_start(month + 1)}'")


async def _make(connection: "PoolConnectionProxy[asyncpg.Record]", name: str, first: str, end: str) -> None:
    """Made beside the table and then attached: `partition of` would wait for every reader, and block the next."""
    await connection.execute(
        f"create table gateway.{name}"
        " (like gateway.history including defaults including constraints including indexes)"
    )
    await connection.execute(
        f"alter table gateway.history attach partition gateway.{name} for values from ({first}) to ({end})"
    )


def _month(at: datetime) -> int:
    utc = at.astimezone(UTC)
    return utc.year * 12 + utc.month - 1


def _start(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}-01 00:00:00+00"
