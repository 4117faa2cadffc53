"""From a decoded body to records that survive a crash: admit, append, keep what was rejected."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from admission import Admitted, BodyRefused, Fault, admit, admit_items
from eventlog.errors import LogBusy, LogUnavailable, MessageTooLarge, UnknownTopic
from eventlog.port import LogWriter, Message
from eventmodel import ProjectId, Rejection, Sender, topics
from ingest_api.allowance import Allowances
from ingest_api.rejected import RejectedEvents
from ingest_api.settings import IngestSettings
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from policy import Client, Policy
from telemetry.catalog import INGEST_APPEND_SECONDS, INGEST_EVENTS, INGEST_REJECTIONS, PLAN_VIOLATIONS
from telemetry.metrics import Metrics

_BURST_S = 10
_RETRY_AFTER_S = 2
_TOPIC_RETRY_AFTER_S = 10
# Below this, handing the work to a thread takes longer than the event loop would be held up.
_IN_THREAD_BYTES = 128 * 1024
_UNKNOWN_OUTCOME = (
    "The log did not confirm in time. The events may or may not be stored; nothing is lost and nothing counts "
    "twice when you send the same request again with the same ids or the same Idempotency-Key."
)


class Intake:
    """Takes bodies of authenticated senders; returns once every accepted event is durable."""

    def __init__(self, log: LogWriter, clock: Clock, settings: IngestSettings, metrics: Metrics) -> None:
        self._log = log
        self._clock = clock
        self._ack_timeout_s = settings.ack_timeout_s
        self._allowances = Allowances(settings.project_events_per_s, settings.project_events_per_s * _BURST_S)
        self._rejected = RejectedEvents(log, clock, settings.project_rejected_per_minute, metrics)
        self._metrics = metrics
        self._append_s = metrics.histogram(INGEST_APPEND_SECONDS)
        self._events = {
            outcome: metrics.counter(INGEST_EVENTS, outcome)
            for outcome in ("accepted", "quarantined", "rejected", "unavailable")
        }

    def check_rate(self, project: ProjectId) -> None:
        """Raises Problem (429) while the project has sent more than its share; ask before reading its body."""
        wait_s = self._allowances.wait_s(project, self._clock.monotonic())
        if wait_s > 0:
            after_s = math.ceil(wait_s)
            raise Problem(
                429,
                "too_many_events",
                "The project sends more events than it may. Nothing of this request was stored.",
                hint=f"Send the same request again in {after_s} s. The operator's setting is "
                "FOOTFALL_PROJECT_EVENTS_PER_S.",
                headers={"retry-after": str(after_s)},
            )

    async def take(
        self,
        project: ProjectId,
        body: bytes,
        *,
        place: str,
        sender: Sender | None,
        client: Client | None,
        policy: Policy,
        idempotency_key: str | None = None,
    ) -> Admitted:
        """What became of the body's events. `place` is where they came in, for what is rejected.

        Raises BodyRefused, and Problem (503) when the log has not stored them within `ack_timeout_s`.
        """
        began_s = self._clock.monotonic()
        admit_body = partial(
            admit,
            body,
            project=project,
            received_at=self._clock.now(),
            idempotency_key=idempotency_key,
            sender=sender,
            client=client,
            policy=policy,
        )
        try:
            admitted = await _off_loop(len(body), admit_body)
        except BodyRefused as refused:
            await self.keep_refused(
                project, refused, body, place=place, sender=sender, client=client, policy=policy
            )
            raise
        return await self._store(project, admitted, began_s, place=place, sender=sender)

    async def take_items(
        self,
        project: ProjectId,
        items: Iterable[tuple[int, Mapping[str, Any] | Fault, Any]],
        *,
        size_bytes: int,
        place: str,
        sender: Sender | None,
        client: Client | None,
        policy: Policy,
    ) -> Admitted:
        """As `take`, for events that another protocol's decoder made: see `admission.admit_items`.

        `size_bytes` is what they were decoded from.
        """
        began_s = self._clock.monotonic()
        admitted = await _off_loop(
            size_bytes,
            partial(
                admit_items,
                items,
                project=project,
                received_at=self._clock.now(),
                sender=sender,
                client=client,
                policy=policy,
            ),
        )
        return await self._store(project, admitted, began_s, place=place, sender=sender)

    async def keep_refused(
        self,
        project: ProjectId,
        refused: BodyRefused,
        body: bytes,
        *,
        place: str,
        sender: Sender | None,
        client: Client | None,
        policy: Policy,
    ) -> None:
        """Keep the beginning of a body nobody could read; of one that is only too large there is no use."""
        if refused.reason == "malformed" and body:
            kept = policy.privacy.of_unknown(body, client)
            if kept is not None:
                await self._rejected.keep_whole(project, refused, kept, place, sender, self._ack_timeout_s)

    async def _store(
        self, project: ProjectId, admitted: Admitted, began_s: float, *, place: str, sender: Sender | None
    ) -> Admitted:
        received = len(admitted.messages) + len(admitted.rejections) + len(admitted.quarantined)
        self._allowances.use(project, received, began_s)
        for violation in admitted.violations:
            self._metrics.counter(PLAN_VIOLATIONS, *violation).inc()
        if admitted.messages:
            messages = [Message(key, value) for key, value in admitted.messages]
            await self._append(topics.EVENTS, messages, began_s)
            self._events["accepted"].inc(len(messages))
        if admitted.quarantined:
            # After the events: those count once when all is sent again, and these would be kept twice.
            await self._quarantine(project, admitted, began_s, place, sender)
        if admitted.rejections:
            self._count(admitted.rejections)
            await self._rejected.keep(
                project,
                admitted,
                place=place,
                sender=sender,
                within_s=self._left_s(began_s),
            )
        return admitted

    async def _quarantine(
        self, project: ProjectId, admitted: Admitted, began_s: float, place: str, sender: Sender | None
    ) -> None:
        messages = self._rejected.quarantine_messages(
            project, admitted.quarantined, admitted.quarantined_bodies, place=place, sender=sender
        )
        await self._append(topics.REJECTED, messages, began_s)
        self._events["quarantined"].inc(len(messages))

    async def _append(self, topic: str, messages: Sequence[Message], began_s: float) -> None:
        append_began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._left_s(began_s)):
                await self._log.append(topic, messages)
        except (TimeoutError, LogUnavailable, UnknownTopic) as error:
            self._events["unavailable"].inc(len(messages))
            raise _unavailable(error) from error
        except MessageTooLarge as error:
            raise Problem(
                413,
                "event_too_large",
                f"{error} Nothing of this request was stored.",
                hint="Send smaller events.",
            ) from error
        self._append_s.observe(self._clock.monotonic() - append_began_s)

    def _count(self, rejections: Sequence[Rejection]) -> None:
        self._events["rejected"].inc(len(rejections))
        for rejection in rejections:
            self._metrics.counter(INGEST_REJECTIONS, rejection.code).inc()

    def _left_s(self, began_s: float) -> float:
        return max(0.0, began_s + self._ack_timeout_s - self._clock.monotonic())


async def _off_loop(size_bytes: int, admitting: Callable[[], Admitted]) -> Admitted:
    return admitting() if size_bytes <= _IN_THREAD_BYTES else await asyncio.to_thread(admitting)


def _unavailable(error: Exception) -> Problem:
    if isinstance(error, UnknownTopic):
        return _problem(
            "log_unavailable", f"{error} Nothing of this request was stored.", _TOPIC_RETRY_AFTER_S
        )
    if isinstance(error, LogBusy):
        return _problem("log_busy", f"{error} Nothing of this request was stored.", error.retry_after_s)
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
