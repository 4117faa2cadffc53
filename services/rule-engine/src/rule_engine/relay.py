"""Carries the outbox to `footfall.actions`: in order by part, at least once, each record with its stable id."""

import asyncio
from contextlib import suppress
from typing import Final

from eventlog.errors import LogUnavailable
from eventlog.port import LogWriter, Message
from eventmodel import topics
from rule_engine.database import Pool, RulesUnavailable, connected
from telemetry import catalog
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_PAGE: Final = 500
_IDLE_S: Final = 1.0

_log = get_logger("relay")


class Relay:
    """Relays the parts this process owns; `run` needs an owner and runs until cancelled.

    Two processes may believe for a moment that they own a part, and a crash may come between append and
    delete: then a record is appended twice, with the same id.
    """

    def __init__(self, pool: Pool, log: LogWriter, metrics: Metrics) -> None:
        self._pool = pool
        self._log = log
        self._parts: frozenset[int] = frozenset()
        self._wanted = asyncio.Event()
        self._waiting = metrics.gauge(catalog.RULES_OUTBOX)
        self._relayed = metrics.counter(catalog.RULES_RELAYED)

    def own(self, parts: frozenset[int]) -> None:
        """Relay these parts from now on; also what an earlier owner left in them."""
        if parts - self._parts:
            self.wake()
        self._parts = parts

    def disown(self, parts: frozenset[int]) -> None:
        """Leave what waits in these parts to their next owner."""
        self._parts -= parts

    def wake(self) -> None:
        """There is something to relay."""
        self._wanted.set()

    async def run(self) -> None:
        """Relay whenever woken, and every second what is left over; outages are waited out."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_S):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._measure()
                while await self.relay_page() == _PAGE:
                    continue
            except (LogUnavailable, RulesUnavailable) as error:
                _log.warning("relay_waits", reason=str(error))
                await asyncio.sleep(_IDLE_S)

    async def relay_page(self) -> int:
        """Move the oldest rows of the owned parts; how many there were."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                "select part, seq, key, value from rules.outbox"
                " where part = any($1::smallint[]) order by part, seq limit $2",
                sorted(self._parts),
                _PAGE,
            )
        if not rows:
            return 0
        await self._log.append(topics.ACTIONS, [Message(row["key"], row["value"]) for row in rows])
        async with connected(self._pool) as connection:
            await connection.execute(
                "delete from rules.outbox o using unnest($1::smallint[], $2::bigint[]) as u(part, seq)"
                " where o.part = u.part and o.seq = u.seq",
                [row["part"] for row in rows],
                [row["seq"] for row in rows],
            )
        self._waiting.dec(len(rows))
        self._relayed.inc(len(rows))
        return len(rows)

    async def _measure(self) -> None:
        async with connected(self._pool) as connection:
            waiting = await connection.fetchval(
                "select count(*) from rules.outbox where part = any($1::smallint[])", sorted(self._parts)
            )
        self._waiting.set(waiting)
