"""What became of everything that each source sent, counted in memory and written down each second."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from access.errors import AccessUnavailable
from access.usage import LastError, Outcome, UsageRow, UsageStore
from admission import BodyRefused
from eventmodel import ProjectId, Sender
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from telemetry.catalog import INGEST_EVENTS
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

MAX_SOURCES: Final = 10_000
"""Rows held, of all hours; beyond it a project's further sources share one row without a key."""
MAX_SDKS: Final = 50
"""SDKs with rows of their own, for each project, key and hour: a public key lets anybody invent more."""
OTHER_SDK: Final = "other"

_OUTCOMES: Final[tuple[Outcome, ...]] = ("accepted", "quarantined", "rejected", "limited", "unavailable")
_EVERY_S: Final = 1.0
_TIDY_EVERY_S: Final = 3600.0
_HOUR: Final = timedelta(hours=1)
# What was received in an hour is counted seconds after its end at the latest.
_HELD: Final = _HOUR + timedelta(minutes=10)
_NOBODY: Final = Sender()

_Source: TypeAlias = tuple[ProjectId, Sender | None]

_log = get_logger(__name__)


class _Row:
    """One source in one hour."""

    __slots__ = ("changed", "counts", "error", "first_at", "last_at")

    def __init__(self, at: datetime) -> None:
        self.counts: dict[Outcome, int] = dict.fromkeys(_OUTCOMES, 0)
        self.first_at = self.last_at = at
        self.error: LastError | None = None
        self.changed = True


class _Hour:
    """The rows of one hour, and how many SDKs each key has in it."""

    __slots__ = ("begins", "ends", "rows", "sdks")

    def __init__(self, begins: datetime) -> None:
        self.begins, self.ends = begins, begins + _HOUR
        self.rows: dict[_Source, _Row] = {}
        self.sdks: Counter[tuple[ProjectId, str | None]] = Counter()


_NO_HOUR: Final = _Hour(datetime.min.replace(tzinfo=UTC))


class Accounting:
    """Counts by project, source and hour, and in metrics; somebody must own its `run`.

    A count is no event: a process that is killed loses what it counted in its last second.
    """

    def __init__(self, store: UsageStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._instance = uuid.uuid4().hex
        self._hours: dict[datetime, _Hour] = {}
        self._last = _NO_HOUR
        self._held = 0
        self._waits = False
        self._totals = {outcome: metrics.counter(INGEST_EVENTS, outcome) for outcome in _OUTCOMES}

    def count(
        self, outcome: Outcome, project: ProjectId, senders: Sequence[Sender | None], at: datetime
    ) -> None:
        """Events of one request, by their senders; `at` is when it was received."""
        if not senders:
            return
        self._totals[outcome].inc(len(senders))
        for sender, number in _by_sender(senders):
            self._row(project, sender, at).counts[outcome] += number

    def refuse(
        self,
        project: ProjectId,
        senders: Sequence[Sender | None],
        at: datetime,
        refusal: Problem | BodyRefused,
    ) -> None:
        """Count events that were all refused for one reason, and remember it; it holds nothing that was sent."""
        self.count(outcome_of(refusal), project, senders, at)
        for sender, _ in _by_sender(senders):
            self._row(project, sender, at).error = LastError(refusal.code, refusal.message, refusal.hint, at)

    def refuse_request(
        self, project: ProjectId, sender: Sender | None, refusal: Problem | BodyRefused
    ) -> None:
        """A request whose events were not told apart counts as one."""
        self.refuse(project, [sender], self._clock.now(), refusal)

    async def run(self) -> None:
        """Write down what was counted until cancelled, then once more."""
        tidied_s = float("-inf")
        try:
            while True:
                await self.flush()
                if self._clock.monotonic() - tidied_s >= _TIDY_EVERY_S:
                    with suppress(AccessUnavailable):
                        await self._store.tidy(self._clock.now())
                        tidied_s = self._clock.monotonic()
                await asyncio.sleep(_EVERY_S)
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write down what was counted since; while the database is away it waits in memory."""
        changed = [
            (hour, source, row)
            for hour, held in self._hours.items()
            for source, row in held.rows.items()
            if row.changed
        ]
        for _, _, row in changed:
            row.changed = False
        try:
            if changed:
                await self._store.put(self._instance, [_written(*one) for one in changed])
        except BaseException as error:
            for _, _, row in changed:
                row.changed = True
            if not isinstance(error, AccessUnavailable):
                raise
            if not self._waits:
                _log.warning("counts of sources wait in memory", reason=str(error))
            self._waits = True
            return
        self._waits = False
        self._forget(self._clock.now() - _HELD)

    def _forget(self, before: datetime) -> None:
        for hour in [hour for hour in self._hours if hour < before]:
            if not any(row.changed for row in self._hours[hour].rows.values()):
                self._held -= len(self._hours.pop(hour).rows)
                self._last = _NO_HOUR

    def _row(self, project: ProjectId, sender: Sender | None, at: datetime) -> _Row:
        # Finding the hour takes longer than all the rest here, and nearly all requests share the last one.
        hour = self._last
        if not hour.begins <= at < hour.ends:
            hour = self._last = self._hour(at)
        row = hour.rows.get((project, sender)) or self._new_row(hour, project, sender or _NOBODY, at)
        row.changed = True
        if at > row.last_at:
            row.last_at = at
        elif at < row.first_at:
            row.first_at = at
        return row

    def _hour(self, at: datetime) -> _Hour:
        begins = at.replace(minute=0, second=0, microsecond=0)
        found = self._hours.get(begins)
        if found is None:
            found = self._hours[begins] = _Hour(begins)
        return found

    def _new_row(self, hour: _Hour, project: ProjectId, sender: Sender, at: datetime) -> _Row:
        if sender.sdk is not None and (project, sender) not in hour.rows:
            if hour.sdks[project, sender.key] < MAX_SDKS:
                hour.sdks[project, sender.key] += 1
            else:
                sender = Sender(key=sender.key, sdk=OTHER_SDK)
        if (project, sender) not in hour.rows and self._held >= MAX_SOURCES:
            sender = _NOBODY
        found = hour.rows.get((project, sender))
        if found is None:
            self._held += 1
            found = hour.rows[project, sender] = _Row(at)
        return found


def outcome_of(refusal: Problem | BodyRefused) -> Outcome:
    """What a request that was answered so counts as."""
    if isinstance(refusal, BodyRefused):
        return "rejected"
    if refusal.status == 429:
        return "limited"
    return "unavailable" if refusal.status >= 500 else "rejected"


def _by_sender(senders: Sequence[Sender | None]) -> Iterable[tuple[Sender | None, int]]:
    """How many of each. Nearly always all are one and the same object, which is quickly seen."""
    first = senders[0]
    if len(senders) == 1 or senders.count(first) == len(senders):
        return ((first, len(senders)),)
    return Counter(senders).items()


def _written(hour: datetime, source: _Source, row: _Row) -> UsageRow:
    project, sender = source
    sender = sender or _NOBODY
    return UsageRow(
        project=project,
        at=hour,
        key=sender.key or "",
        sdk=sender.sdk or "",
        first_at=row.first_at,
        last_at=row.last_at,
        error=row.error,
        **{str(outcome): number for outcome, number in row.counts.items()},
    )
