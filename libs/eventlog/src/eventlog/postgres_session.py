"""One connection to PostgreSQL, opened when first needed and anew after it broke."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from eventlog.errors import LogUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Session:
    """Lends its connection to one caller at a time, and translates the driver's errors.

    The server gives a statement up after `limit_s`, the client a little later; so a hung server never
    holds a caller, nor a lock, for longer. A connection in whose use anything went wrong is not used again.
    """

    def __init__(self, url: str, limit_s: float, settings: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._limit_s = limit_s
        self._settings = {
            "application_name": "footfall log",
            "jit": "off",
            "statement_timeout": str(int(limit_s * 800)),
            **(settings or {}),
        }
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    @asynccontextmanager
    async def use(self, limit_s: float | None = None) -> AsyncIterator[Connection]:
        """The connection, for what takes at most `limit_s`, else the session's limit.

        Raises LogUnavailable, on leaving too; the connection is then closed, as after any other exception.
        """
        limit_s = limit_s or self._limit_s
        try:
            async with asyncio.timeout(limit_s), self._turn:
                try:
                    yield await self._open()
                except BaseException:
                    self._drop()
                    raise
        except TimeoutError as error:
            raise LogUnavailable(f"The log's database did not answer within {limit_s:g} s.") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise LogUnavailable(f"The log's database failed: {error}") from error

    async def close(self) -> None:
        """Say goodbye to the server, which then releases what the connection held; never raises."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            await connection.close(timeout=1)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection.terminate()

    async def _open(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url, timeout=self._limit_s, server_settings=self._settings
            )
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()
