"""The demo at work: history is imported where it is missing, and what happens now is sent when it happens."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from footfall.demo.coverage import Coverage, Span, pieces
from footfall.demo.happenings import Happening
from footfall.demo.requests import DemoDelayed, DemoDeleted, Requests, open_requests
from footfall.demo.rules import rules_since
from footfall.demo.timeline import HISTORY, ROLL_CALL, Timeline
from footfall.own_projects import OwnProject
from lifecycle.clock import Clock
from lifecycle.failures import StartError
from telemetry.logs import get_logger

LIVE: Final = timedelta(minutes=6)
"""What happened longer ago is history. Longer than `active now` looks back, so that somebody is there at once."""
_LONGEST_REST: Final = timedelta(seconds=30)
"""Between two looks at the clock, which may have gone on while the machine slept."""
_MAX_EVENTS: Final = 500
_MAX_BACKOFF_S: Final = 60.0
_TELL_AFTER: Final = 2
_SETTLED_S: Final = 300.0
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_log = get_logger(__name__)


async def run_demo(url: str, project: OwnProject, file: Path, clock: Clock) -> None:
    """Keep the demo going until cancelled; never fails.

    `file` remembers what was sent. What does not work now is tried again; a deleted project is left alone.
    """
    failures = 0
    async with open_requests(url, project) as requests:
        traffic = Traffic(requests, Timeline(project.made_at), Coverage(file, project.project), clock)
        while True:
            began = clock.monotonic()
            reason = ""
            deleted = False
            try:
                await traffic.turn()
            except* DemoDeleted:
                deleted = True
            except* (DemoDelayed, StartError) as group:
                reason = str(group.exceptions[0])
            except* Exception as group:
                # Whatever is wrong with the demo, those who use Footfall for themselves must not suffer from it.
                reason = repr(group.exceptions[0])
            if deleted:
                _log.warning(
                    "The demo rests: its project was deleted. The next start with --demo makes it again."
                )
                await asyncio.Event().wait()
            if clock.monotonic() - began > _SETTLED_S:
                failures = 0
            if reason:
                failures += 1
                # A single failure is as likely a process that stops or a database that restarts.
                if failures == _TELL_AFTER:
                    _log.warning("The demo's traffic is held up; it is tried again.", reason=reason)
                await asyncio.sleep(min(_MAX_BACKOFF_S, 2.0 ** min(failures, 10)))


class Traffic:
    """What of the timeline is sent when, and how."""

    def __init__(self, requests: Requests, timeline: Timeline, coverage: Coverage, clock: Clock) -> None:
        self._requests = requests
        self._timeline = timeline
        self._coverage = coverage
        self._clock = clock

    async def turn(self) -> None:
        """Fill what is missing, and send what happens until that falls behind, as after a laptop's sleep.

        Raises DemoDelayed, DemoDeleted and StartError, alone or in a group.
        """
        now = self._clock.now()
        live_from = min(now, max(self._coverage.end() or self._timeline.begin, now - LIVE))
        if not self._coverage.has_rules:
            await self._requests.put_rules(rules_since(live_from))
            await self._coverage.keep_rules()
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._send_live(live_from))
            parts.create_task(self._fill(self._missing(live_from)))

    async def _send_live(self, start: datetime) -> None:
        coming = self._timeline.happenings(start, _END_OF_TIME)
        next_one = next(coming)
        sent_until = start
        while (now := self._clock.now()) - sent_until < 2 * LIVE:
            due: list[Happening] = []
            while next_one.time < now and len(due) < _MAX_EVENTS:
                due.append(next_one)
                next_one = next(coming)
            if due:
                await self._requests.send(due)
            done = min(now, next_one.time)
            if due or done - sent_until > _LONGEST_REST:
                await self._coverage.add(Span(sent_until, done))
                sent_until = done
            wait = min(next_one.time - self._clock.now(), _LONGEST_REST)
            await asyncio.sleep(max(0.0, wait.total_seconds()))

    def _missing(self, live_from: datetime) -> Sequence[Span]:
        """All of the thirty days before the demo was made; of a longer absence since, the last thirty."""
        begin, anchor = self._timeline.begin, self._timeline.anchor
        return [
            *self._coverage.missing(Span(begin, min(anchor, live_from))),
            *self._coverage.missing(Span(max(anchor, live_from - HISTORY), live_from)),
        ]

    async def _fill(self, missing: Sequence[Span]) -> None:
        begin = self._timeline.begin
        for piece in pieces(missing, Span(begin, begin + ROLL_CALL)):
            happenings = self._timeline.happenings(piece.start, piece.end)
            await self._requests.bring_in(happenings, f"demo {piece.start:%F} to {piece.end:%F}.ndjson")
            await self._coverage.add(piece)
