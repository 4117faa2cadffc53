"""Several questions to the database about one moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


@asynccontextmanager
async def snapshot(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> AsyncIterator["PoolConnectionProxy[asyncpg.Record]"]:
    """A connection on which every query sees what was committed before the first of them."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
