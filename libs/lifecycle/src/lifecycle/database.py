"""A pool of PostgreSQL connections set up alike everywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from lifecycle.failures import DatabaseAway
from telemetry.logs import get_logger
from telemetry.redaction import redact

CONNECT_TIMEOUT_S = 5.0
START_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0
_SETTINGS = {"timezone": "UTC", "jit": "off"}
_log = get_logger(__name__)


@asynccontextmanager
async def open_pool(
    url: str,
    *,
    min_size: int = 1,
    max_size: int = 8,
    application: str = "footfall",
    command_timeout_s: float = 30.0,
) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """A pool whose sessions speak UTC, without JIT, named `application` in pg_stat_activity.

    Tries for 30 s, then raises DatabaseAway. Leaving gives back the connections, by force after 5 s.
    """
    pool = await _connect(url, min_size, max_size, application, command_timeout_s)
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _connect(
    url: str, min_size: int, max_size: int, application: str, command_timeout_s: float
) -> "asyncpg.Pool[asyncpg.Record]":
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT_S
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=min_size,
                max_size=max_size,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=command_timeout_s,
                server_settings={**_SETTINGS, "application_name": application},
            )
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise DatabaseAway(redact(f"The database refuses FOOTFALL_DATABASE_URL: {error}")) from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            said = redact(str(error) or type(error).__name__)
            if loop.time() >= deadline:
                raise DatabaseAway(
                    f"The database at FOOTFALL_DATABASE_URL does not answer: {said}. Check the address, and "
                    "that PostgreSQL runs and may be reached from here."
                ) from error
            _log.warning("waiting for the database", reason=said)
            await asyncio.sleep(1)
