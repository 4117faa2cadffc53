"""Where the database driver's errors end, outside the consumer's own transactions."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Fenced: TypeAlias = Callable[[Collection[int]], AbstractAsyncContextManager[Connection]]

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)


class RulesUnavailable(Exception):
    """The database that holds the rules does not answer; retry after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@asynccontextmanager
async def connected(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for the block. Raises RulesUnavailable."""
    try:
        async with pool.acquire(timeout=5) as connection:
            yield connection
    except _AWAY as error:
        raise RulesUnavailable("The database does not answer. Try again in a moment.") from error
