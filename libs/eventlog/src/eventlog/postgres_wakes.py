"""Telling readers that records came: at once within the process, by NOTIFY between processes."""

import asyncio
import secrets
from collections.abc import Collection
from typing import Protocol

from eventlog.errors import LogUnavailable
from eventlog.postgres_session import Session

CHANNEL = "footfall_log"
NOTIFY_EVERY_S = 0.02
RECONNECT_EVERY_S = 0.5


class Sleeper(Protocol):
    """Someone who waits for records of some topics."""

    def wake(self, topics: Collection[str]) -> None: ...


class Wakes:
    """Wakes this process's sleepers, and through the database those of the others.

    A lost notification costs its readers no more than their next poll.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sleepers: set[Sleeper] = set()
        self._origin = secrets.token_hex(4)
        self._pending: set[str] = set()
        self._changed = asyncio.Event()

    def add(self, sleeper: Sleeper) -> None:
        self._sleepers.add(sleeper)

    def remove(self, sleeper: Sleeper) -> None:
        self._sleepers.discard(sleeper)

    def committed(self, topics: Collection[str]) -> None:
        """This process has committed records of `topics`."""
        self._wake(topics)
        self._pending |= set(topics)
        self._changed.set()

    async def run(self) -> None:
        """Listens and notifies until cancelled."""
        while True:
            try:
                await self._listen()
                await self._changed.wait()
                self._changed.clear()
                if self._pending:
                    await self._notify()
            except LogUnavailable:
                await asyncio.sleep(RECONNECT_EVERY_S)
            await asyncio.sleep(NOTIFY_EVERY_S)

    async def _listen(self) -> None:
        if not self._session.connected:
            async with self._session.use() as connection:
                connection.add_termination_listener(self._lost)
                await connection.add_listener(CHANNEL, self._heard)

    async def _notify(self) -> None:
        topics, self._pending = self._pending, set()
        async with self._session.use() as connection:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join([self._origin, *topics]))

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        origin, *topics = str(payload).split(",")
        if origin != self._origin:
            self._wake(topics)

    def _lost(self, _connection: object) -> None:
        self._changed.set()

    def _wake(self, topics: Collection[str]) -> None:
        for sleeper in self._sleepers:
            sleeper.wake(topics)
