"""Completes what the owners of rows have begun: the log, the search for what is left, the receipt."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from access.errors import AccessUnavailable
from access.forgetting import Forgetting, finish
from access.forgotten import ForgetRequest, Forgotten, key_hash
from access.mentions import mention_pattern
from eventlog.errors import LogError
from eventlog.port import EventLog, Person
from eventmodel import topics
from lifecycle.clock import Clock
from stream_gateway.forgetting.search import search_everywhere
from stream_gateway.live.gate import DATABASE_AWAY
from telemetry.logs import get_logger

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

LOG_DAYS: Final = 8
"""How long Kafka keeps the records of a person after their last one."""

_EVERY_S: Final = 1.0
_SETTLED_S: Final = 3.0
"""By then every process follows the request, and what a relay had in its hands is in the log."""
_LOCK: Final = "select pg_try_advisory_lock(hashtext('gateway.forgetting'))"
_UNLOCK: Final = "select pg_advisory_unlock(hashtext('gateway.forgetting'))"

_log = get_logger("forgetting")


class Completion:
    """`run` needs an owner. Of several gateways one completes at a time."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", forgetting: Forgetting, log: EventLog, clock: Clock
    ) -> None:
        self._pool = pool
        self._forgetting = forgetting
        self._eventlog = log
        self._clock = clock
        self._met: dict[str, float] = {}

    async def run(self) -> None:
        """Look every second until cancelled; outages are waited out."""
        while True:
            try:
                await self.complete()
            except (AccessUnavailable, LogError, TimeoutError, *DATABASE_AWAY) as error:
                _log.warning("forgetting_waits", reason=str(error))
            await asyncio.sleep(_EVERY_S)

    async def complete(self) -> None:
        """Finish the requests that every owner has confirmed."""
        requests = await self._forgetting.open()
        now = asyncio.get_running_loop().time()
        self._met = {request.id: self._met.get(request.id, now) for request in requests}
        settled = [request for request in requests if now - self._met[request.id] >= _SETTLED_S]
        if not settled:
            return
        async with self._pool.acquire() as connection:
            if not await connection.fetchval(_LOCK):
                return
            try:
                for request in settled:
                    if await self._is_confirmed(request):
                        await self._finish(connection, request)
            finally:
                await connection.execute(_UNLOCK)

    async def _is_confirmed(self, request: ForgetRequest) -> bool:
        parts = set(range((await self._eventlog.topic(topics.EVENTS)).partitions))
        confirmed = await self._forgetting.confirmed(request)
        return (
            parts <= set(confirmed.get("gateway", ()))
            and parts <= set(confirmed.get("rules", ()))
            and bool(confirmed.get("importer"))
        )

    async def _finish(self, connection: "Connection", request: ForgetRequest) -> None:
        person = Person(request.project, request.keys, mention_pattern(request.mentions, escaped=True))
        until = {key_hash(key): request.requested_at for key in request.keys}
        of_them = Forgotten(until)
        any_of_them = request.keys[0]

        def theirs(key: bytes, value: bytes) -> bool:
            # What was refused has a key of its own.
            return of_them.covers(key if key_hash(key) in until else any_of_them, value)

        blanked = await self._eventlog.blank(person, theirs)
        await self._forgetting.confirm(request, "log", {"log.record": blanked or 0})
        left = await search_everywhere(connection, request.project, request.mentions)
        await finish(connection, request, self._clock.now(), _report(request, left, blanked))
        _log.info("person_forgotten", project=request.project, request=request.id, left=sum(left.values()))


def _report(request: ForgetRequest, left: Mapping[str, int], blanked: int | None) -> Mapping[str, Any]:
    return {
        "ids": len(request.subjects),
        "shared_ids": sum(subject[2:] not in request.mentions for subject in request.subjects),
        "left": left,
        "log": "blanked" if blanked is not None else "retention",
        "log_days": 0 if blanked is not None else LOG_DAYS,
    }
