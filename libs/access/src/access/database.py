"""Where the database driver's errors end: they become AccessUnavailable, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from access.errors import AccessUnavailable

STATEMENTS_S = 5.0
"""How long a change may take; a person or a script waits for it."""

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_UNMIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InvalidSchemaNameError)
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What a connection says that the server ended at the wrong moment.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
)


@asynccontextmanager
async def connected(pool: Pool, within_s: float = STATEMENTS_S) -> AsyncIterator[Connection]:
    """A connection for the block, which must end within the time. Raises AccessUnavailable."""
    try:
        async with asyncio.timeout(within_s), pool.acquire() as connection:
            yield connection
    except _UNMIGRATED as error:
        raise AccessUnavailable("The tables of access are missing or old. Run: footfall migrate") from error
    except _AWAY as error:
        raise AccessUnavailable(
            f"The database does not answer ({type(error).__name__}). Trying again by itself; nothing to do "
            "here but to bring it back."
        ) from error


@asynccontextmanager
async def changing(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction that changes access; changes come one after another. Raises AccessUnavailable."""
    async with connected(pool) as connection, connection.transaction():
        # Taken first: every change raises it at its end, and two that took their rows before it in
        # different order would wait for each other.
        await connection.execute("SELECT n FROM access.version FOR UPDATE")
        yield connection
