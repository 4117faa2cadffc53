"""Keeps what was rejected, with its reason and its bytes, within bounds."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from admission import Admitted, BodyRefused, Kept
from eventlog.errors import LogError
from eventlog.port import LogWriter, Message
from eventmodel import ProjectId, RejectedRecord, Rejection, Sender, new_event_id, topics
from eventmodel.topics import MAX_RECORD_BYTES
from eventmodel.wire import body_fields, encode, record_key
from ingest_api.allowance import Allowances
from lifecycle.clock import Clock
from telemetry.catalog import INGEST_REJECTED_DROPPED
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

MAX_KEPT_BYTES: Final = 16 * 1024
"""Bytes kept of one rejected event."""

_log = get_logger(__name__)


class RejectedEvents:
    """Appends rejected events to `footfall.rejected`: at most `per_minute` for each project.

    What is not kept is counted. Never raises: the sender has its answer either way.
    """

    def __init__(self, log: LogWriter, clock: Clock, per_minute: int, metrics: Metrics) -> None:
        self._log = log
        self._clock = clock
        self._allowances = Allowances(per_minute / 60, per_minute)
        self._over_rate = metrics.counter(INGEST_REJECTED_DROPPED, "rate")
        self._not_stored = metrics.counter(INGEST_REJECTED_DROPPED, "log")

    async def keep(
        self,
        project: ProjectId,
        admitted: Admitted,
        *,
        place: str,
        within_s: float,
    ) -> None:
        """Keep as many rejections as the project may, first come first, within so many seconds."""
        wanted = [
            (rejection, body, sender)
            for rejection, body, sender in zip(
                admitted.rejections, admitted.rejected_bodies, admitted.rejected_senders, strict=True
            )
            if body is not None
        ]
        now_s = self._clock.monotonic()
        kept = min(len(wanted), max(0, int(self._allowances.available(project, now_s))))
        if kept < len(wanted):
            self._over_rate.inc(len(wanted) - kept)
        if kept:
            self._allowances.use(project, kept, now_s)
            messages = [
                self._message(project, rejection, body, place=place, sender=sender)
                for rejection, body, sender in wanted[:kept]
            ]
            await self._append(messages, within_s)

    def quarantine_messages(self, project: ProjectId, admitted: Admitted, *, place: str) -> Sequence[Message]:
        """The records of what a plan set aside, whole, for the caller to append: its sender is told that it is kept."""
        return [
            self._message(project, verdict, body, place=place, sender=sender, quarantined=True)
            for verdict, body, sender in zip(
                admitted.quarantined, admitted.quarantined_bodies, admitted.quarantined_senders, strict=True
            )
        ]

    async def keep_whole(
        self,
        project: ProjectId,
        refused: BodyRefused,
        body: bytes,
        place: str,
        sender: Sender | None,
        within_s: float,
    ) -> None:
        """Keep the beginning of a body whose events cannot be told apart."""
        now_s = self._clock.monotonic()
        if self._allowances.available(project, now_s) < 1:
            self._over_rate.inc()
            return
        self._allowances.use(project, 1, now_s)
        reason = Rejection(index=0, code=refused.code, message=refused.message, hint=refused.hint)
        record = self._record(
            project, reason, {"path": place}, sender=sender, **body_fields(body, MAX_KEPT_BYTES)
        )
        await self._append([Message(record_key(project, f"e:{record.id}"), encode(record))], within_s)

    def _message(
        self,
        project: ProjectId,
        rejection: Rejection,
        kept: Kept,
        *,
        place: str,
        sender: Sender | None,
        quarantined: bool = False,
    ) -> Message:
        event = kept.event
        whole = quarantined and event is None
        if event is not None and len(event) > MAX_KEPT_BYTES and not quarantined:
            event = None
        record = self._record(
            project,
            rejection,
            {"path": place, "index": rejection.index},
            sender=sender,
            event=None if event is None else event.decode(),
            quarantined=quarantined,
            **body_fields(kept.body, MAX_RECORD_BYTES if whole else MAX_KEPT_BYTES),
        )
        return Message(record_key(project, f"e:{record.id}"), encode(record))

    def _record(
        self,
        project: ProjectId,
        rejection: Rejection,
        place: dict[str, int | str],
        **more: Any,
    ) -> RejectedRecord:
        return RejectedRecord(
            id=new_event_id(),
            project=project,
            received_at=self._clock.now(),
            source="ingest",
            code=rejection.code,
            message=rejection.message,
            place=place,
            field=rejection.field,
            hint=rejection.hint,
            **more,
        )

    async def _append(self, messages: Sequence[Message], within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._log.append(topics.REJECTED, messages)
        except (TimeoutError, LogError) as error:
            self._not_stored.inc(len(messages))
            _log.warning("rejected events were not kept", events=len(messages), reason=str(error))
