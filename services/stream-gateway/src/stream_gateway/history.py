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
            await connection.execute(
                "create table gateway.history_old partition of gateway.history"
                f" for values from (minvalue) to ('{_start(first)}')"
            )
            made = {first - 1}
        for month in range(max(made) + 1, this_month + _MONTHS_AHEAD + 1):
            await connection.execute(
                f"create table gateway.history_{month // 12:04d}_{month % 12 + 1:02d}"
                " partition of gateway.history"
                f" for values from ('{_start(month)}') to ('{_start(month + 1)}')"
            )


def _month(at: datetime) -> int:
    utc = at.astimezone(UTC)
    return utc.year * 12 + utc.month - 1


def _start(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}-01 00:00:00+00"
