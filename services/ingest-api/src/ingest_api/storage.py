"""Where accepted events become durable: in the log, or while it is away in the spool."""

import asyncio
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from eventlog.errors import LogBusy, LogUnavailable, UnknownTopic
from eventlog.port import LogWriter
from eventmodel import topics
from ingest_api.spool.segments import SpoolFull
from ingest_api.spool.spool import Spool
from lifecycle.clock import Clock
from lifecycle.deadlines import Deadlines
from lifecycle.errors import Problem

Durability: TypeAlias = Literal["log", "spool"]
"""What a 2xx rests on: the log's own copies, or this machine's disk until the log is back."""

_RETRY_AFTER_S: Final = 2
_TOPIC_RETRY_AFTER_S: Final = 10
_FULL_RETRY_AFTER_S: Final = 10
NOTHING_STORED: Final = "Nothing of this request was stored."
_UNKNOWN_OUTCOME: Final = (
    "The log did not confirm in time. The events may or may not be stored; nothing is lost and nothing counts "
    "twice when you send the same request again with the same ids or the same Idempotency-Key."
)


class Storage:
    """Makes events durable. With a spool, half the time is the log's and the rest the spool's."""

    def __init__(self, log: LogWriter, spool: Spool | None, clock: Clock) -> None:
        self._log = log
        self._spool = spool
        self._clock = clock
        self._deadlines = Deadlines()

    async def keep(self, topic: str, messages: Sequence[tuple[bytes, bytes]], within_s: float) -> Durability:
        """Return once the messages survive a crash, and where.

        The backfill is never spooled: live events would wait behind it there.
        Raises Problem (503) when that did not happen in time, and MessageTooLarge.
        """
        if self._spool is None or topic == topics.BACKFILL:
            try:
                with self._deadlines.within(within_s):
                    await self._log.append(topic, messages)
            except (TimeoutError, LogUnavailable, UnknownTopic) as error:
                raise _unavailable(error) from error
            return "log"
        return await self._keep_or_spool(self._spool, topic, messages, self._clock.monotonic() + within_s)

    async def _keep_or_spool(
        self, spool: Spool, topic: str, messages: Sequence[tuple[bytes, bytes]], until_s: float
    ) -> Durability:
        if not spool.holds:
            try:
                with self._deadlines.within(max(0.0, (until_s - self._clock.monotonic()) / 2)):
                    await self._log.append(topic, messages)
            except (TimeoutError, LogUnavailable, UnknownTopic):
                # What the log may have taken after all is appended again with the same ids, and counts once.
                return await self._put(spool, topic, messages, until_s)
            return "log"
        return await self._put(spool, topic, messages, until_s)

    async def _put(
        self, spool: Spool, topic: str, messages: Sequence[tuple[bytes, bytes]], until_s: float
    ) -> Durability:
        try:
            async with asyncio.timeout(max(0.0, until_s - self._clock.monotonic())):
                await spool.put(topic, messages)
        except SpoolFull as full:
            raise _problem(
                "log_spool_full",
                f"The log is away and no more can be kept here. {full} {NOTHING_STORED}",
                _FULL_RETRY_AFTER_S,
            ) from full
        except TimeoutError as error:
            raise _unavailable(error) from error
        return "spool"


def _unavailable(error: Exception) -> Problem:
    if isinstance(error, UnknownTopic):
        return _problem("log_unavailable", f"{error} {NOTHING_STORED}", _TOPIC_RETRY_AFTER_S)
    if isinstance(error, LogBusy):
        return _problem("log_busy", f"{error} {NOTHING_STORED}", error.retry_after_s)
    if isinstance(error, LogUnavailable):
        return _problem("log_unavailable", _UNKNOWN_OUTCOME, error.retry_after_s)
    return _problem("log_unavailable", _UNKNOWN_OUTCOME, _RETRY_AFTER_S)


def _problem(code: str, message: str, retry_after_s: int) -> Problem:
    return Problem(
        503,
        code,
        message,
        hint=f"Send the same request again in {retry_after_s} s.",
        headers={"retry-after": str(retry_after_s)},
    )
