"""From admitted events to records that survive a crash: append, set aside, keep what was rejected, count."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from admission import Admitted, BodyRefused
from eventlog.errors import MessageTooLarge
from eventlog.port import LogWriter
from eventmodel import ProjectId, Sender, topics
from ingest_api.accounting import Accounting
from ingest_api.allowance import Allowances
from ingest_api.hot_keys import HotKeys
from ingest_api.rejected import RejectedEvents
from ingest_api.settings import IngestSettings
from ingest_api.spool.spool import Spool
from ingest_api.storage import NOTHING_STORED, Durability, Storage
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from telemetry.catalog import INGEST_APPEND_SECONDS, INGEST_REJECTIONS, PLAN_VIOLATIONS
from telemetry.metrics import Metrics

_DURABILITY: Final[Mapping[Durability, tuple[bytes, bytes]]] = {
    "log": (b"footfall-durability", b"log"),
    "spool": (b"footfall-durability", b"spool"),
}

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class Arrival(NamedTuple):
    """When and where a request came in: what all its events share.

    `place` is where they came in, `received_at` what they are stamped with, `allowances` what they are taken from.
    """

    project: ProjectId
    place: str
    began_s: float
    received_at: datetime
    allowances: Allowances


class Keeper:
    """Puts each of a request's events where it belongs, and counts it there."""

    def __init__(
        self,
        log: LogWriter,
        spool: Spool | None,
        clock: Clock,
        settings: IngestSettings,
        accounting: Accounting,
        metrics: Metrics,
    ) -> None:
        self._storage = Storage(log, spool, clock)
        self._clock = clock
        self._ack_timeout_s = settings.ack_timeout_s
        self._rejected = RejectedEvents(log, clock, settings.project_rejected_per_minute, metrics)
        self._hot_keys = HotKeys(metrics)
        self._metrics = metrics
        self._accounting = accounting
        self._append_s = metrics.histogram(INGEST_APPEND_SECONDS)

    async def keep(self, arrival: Arrival, admitted: Admitted) -> Headers:
        """Return once all of it is where it belongs, and what is told of it in an answer's headers.

        Raises Problem (503) when that did not happen within `ack_timeout_s` of `began_s`, and 413 for an event that
        the log does not take; the message says whether something of the request is stored.
        """
        project = arrival.project
        received = admitted.taken + len(admitted.rejections)
        arrival.allowances.use(project, received, arrival.began_s)
        for violation in admitted.violations:
            self._metrics.counter(PLAN_VIOLATIONS, *violation).inc()
        headers = [*arrival.allowances.headers(project, self._clock.monotonic())]
        at = arrival.received_at
        durability: Durability | None = None
        stored = 0
        if admitted.past:
            # First, since it is never spooled: where the log is away, nothing of the request is stored.
            durability = await self._keep(arrival, topics.BACKFILL, admitted.past, admitted.past_senders)
            self._accounting.count("accepted", project, admitted.past_senders, at)
            stored += len(admitted.past)
        if admitted.messages:
            durability = await self._keep(arrival, topics.EVENTS, admitted.messages, admitted.senders, stored)
            self._hot_keys.note(admitted.messages, arrival.began_s)
            self._accounting.count("accepted", project, admitted.senders, at)
            stored += len(admitted.messages)
        if durability is not None:
            headers.append(_DURABILITY[durability])
        if admitted.quarantined:
            # After the events: those count once when all is sent again, and these would be kept twice.
            senders = admitted.quarantined_senders
            aside = self._rejected.quarantine_messages(project, admitted, place=arrival.place)
            await self._keep(arrival, topics.REJECTED, aside, senders, stored)
            self._accounting.count("quarantined", project, senders, at)
        if admitted.rejections:
            self._accounting.count("rejected", project, admitted.rejected_senders, at)
            for rejection in admitted.rejections:
                self._metrics.counter(INGEST_REJECTIONS, rejection.code).inc()
            await self._rejected.keep(project, admitted, place=arrival.place, within_s=self._left_s(arrival))
        return headers

    async def _keep(
        self,
        arrival: Arrival,
        topic: str,
        messages: Sequence[tuple[bytes, bytes]],
        senders: Sequence[Sender | None],
        stored: int = 0,
    ) -> Durability:
        """`stored` is how many of the request's events already are, for whoever is told that these are not."""
        keep_began_s = self._clock.monotonic()
        try:
            durability = await self._storage.keep(topic, messages, self._left_s(arrival))
        except MessageTooLarge as error:
            problem = Problem(
                413,
                "event_too_large",
                f"{error} {NOTHING_STORED}",
                hint="Send smaller events.",
            )
            self._refuse_all(arrival, senders, problem)
            raise _in_part(problem, stored) from error
        except Problem as problem:
            self._refuse_all(arrival, senders, problem)
            raise _in_part(problem, stored) from problem.__cause__
        self._append_s.observe(self._clock.monotonic() - keep_began_s)
        return durability

    async def keep_unread(
        self, arrival: Arrival, refused: BodyRefused, body: bytes, sender: Sender | None
    ) -> None:
        """Keep what may be kept of a body whose events nobody could tell apart."""
        await self._rejected.keep_whole(
            arrival.project, refused, body, arrival.place, sender, self._left_s(arrival)
        )

    def _refuse_all(self, arrival: Arrival, senders: Sequence[Sender | None], problem: Problem) -> None:
        self._accounting.refuse(arrival.project, senders, arrival.received_at, problem)

    def _left_s(self, arrival: Arrival) -> float:
        return max(0.0, arrival.began_s + self._ack_timeout_s - self._clock.monotonic())


def _in_part(problem: Problem, stored: int) -> Problem:
    """The problem as it is for a request of which so many events are stored."""
    if not stored:
        return problem
    told = f"{stored:,} of the request's events are stored already: sent again, those with an id count once."
    message = problem.message.replace(NOTHING_STORED, told)
    return Problem(problem.status, problem.code, message, hint=problem.hint, headers=problem.headers)
