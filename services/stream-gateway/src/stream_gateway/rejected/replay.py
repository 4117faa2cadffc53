"""Hands rejected events in again: through admission, then into the log, once each however often it is asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from access.cache import Access
from admission import Admitted, BodyRefused, Wire, admit
from admission.refusal import Refused
from eventlog.errors import LogUnavailable
from eventlog.port import LogWriter, Message
from eventmodel import ProjectId, Rejection, derived_event_id, identity_hash, new_event_id
from eventmodel.wire import decode
from lifecycle.clock import Clock
from policy import Policy
from stream_gateway.rejected.fixes import Fix
from stream_gateway.rejected.native_form import destination_of, native_form
from stream_gateway.rejected.outcomes import Outcomes
from stream_gateway.rejected.reads import Kept

_ACK_TIMEOUT_S: Final = 5.0

Verdict: TypeAlias = list[Wire] | list[Rejection]
"""What admission says of a rejection's events: all their records, or why some are refused again."""

CHANGED: Final = (
    "It was replayed before as another event, or may have been. Replayed as this one it would count twice."
)


class Request(NamedTuple):
    """Who asks for a replay. `by` is the public id of their key, or `login`."""

    project: ProjectId
    by: str


class Attempt(NamedTuple):
    """A rejection as it is to be replayed: `given` instead of what was kept, corrected by `fix`."""

    kept: Kept
    given: bytes | None = None
    fix: Fix | None = None


@dataclass(slots=True)
class Outcome:
    """What became of some rejections. `accepted` counts events; by id, why the others are refused again."""

    accepted: int = 0
    refused: dict[str, list[Rejection]] = field(default_factory=dict)
    run: str | None = None


class Replayer:
    """Replays over one log. A rejection's events are accepted all, or none of them is."""

    def __init__(self, log: LogWriter, access: Access, outcomes: Outcomes, clock: Clock) -> None:
        self._log = log
        self._access = access
        self._outcomes = outcomes
        self._clock = clock

    async def replay(self, request: Request, attempts: Sequence[Attempt], *, dry_run: bool) -> Outcome:
        """Admit the events and append them; with `dry_run` only say what would come of it.

        An event that has no id gets one of its rejection's, so that it counts once. Raises LogUnavailable
        (the outcome is unknown; asked again it counts once) and UnknownTopic.
        """
        run = new_event_id()
        verdicts = await asyncio.to_thread(_judged, attempts, run, self._access.policy(request.project))
        outcome = Outcome(run=None if dry_run else run)
        accepted: dict[str, list[Wire]] = {}
        for attempt, verdict in zip(attempts, verdicts, strict=True):
            _sort(attempt.kept.record.id, verdict, accepted, outcome)
        if accepted and not dry_run:
            await self._claim(request, accepted, outcome)
            await self._append(attempts, accepted)
            events = {name: [decode(value).id for _, value in wires] for name, wires in accepted.items()}
            await self._outcomes.settle(request.project, events, self._clock.now(), request.by, run)
        outcome.accepted = sum(map(len, accepted.values()))
        return outcome

    async def _claim(self, request: Request, accepted: dict[str, list[Wire]], outcome: Outcome) -> None:
        """Leave out those that may be in the log already as other events."""
        attempts = {name: _identity(wires) for name, wires in accepted.items()}
        claimed = await self._outcomes.claim(request.project, attempts, self._clock.now(), request.by)
        for name in attempts.keys() - claimed:
            del accepted[name]
            again = Rejection(
                index=0, code="already_replayed", message=CHANGED, hint="Send it as a new event."
            )
            outcome.refused[name] = [again]

    async def _append(self, attempts: Sequence[Attempt], accepted: dict[str, list[Wire]]) -> None:
        by_topic: dict[str, list[Message]] = {}
        for attempt in attempts:
            wires = accepted.get(attempt.kept.record.id, ())
            by_topic.setdefault(destination_of(attempt.kept.record).topic, []).extend(
                Message(key, value) for key, value in wires
            )
        for topic, messages in by_topic.items():
            if not messages:
                continue
            try:
                async with asyncio.timeout(_ACK_TIMEOUT_S):
                    await self._log.append(topic, messages)
            except TimeoutError as error:
                raise LogUnavailable(
                    "The log did not confirm in time; the events may or may not be stored."
                ) from error


def _judged(attempts: Sequence[Attempt], run: str, policy: Policy) -> list[Verdict]:
    return [_verdict(attempt, run, policy) for attempt in attempts]


def _verdict(attempt: Attempt, run: str, policy: Policy) -> Verdict:
    record = attempt.kept.record
    try:
        body = native_form(record) if attempt.given is None else attempt.given
        if attempt.fix:
            body = attempt.fix.applied(body)
        admitted = _admitted(attempt, body, run, policy)
    except Refused as refused:
        fault = refused.fault
        return [
            Rejection(index=0, code=fault.code, message=fault.message, field=fault.field, hint=fault.hint)
        ]
    except BodyRefused as refused:
        return [Rejection(index=0, code=refused.code, message=refused.message, hint=refused.hint)]
    # It is set aside already.
    refused_again = sorted([*admitted.rejections, *admitted.quarantined], key=lambda one: one.index)
    if not admitted.messages and not refused_again:
        return [Rejection(index=0, code="empty_body", message="There is no event in it.")]
    return refused_again or admitted.messages


def _admitted(attempt: Attempt, body: bytes, run: str, policy: Policy) -> Admitted:
    record = attempt.kept.record
    destination = destination_of(record)
    return admit(
        body,
        project=record.project,
        received_at=record.received_at,
        origin=destination.origin,
        run=destination.run or run,
        # Only what has no id of its own gets one of it.
        idempotency_key=f"rejected:{record.id}",
        sender=record.sender,
        policy=policy,
    )


def _sort(name: str, verdict: Verdict, accepted: dict[str, list[Wire]], outcome: Outcome) -> None:
    wires = [one for one in verdict if not isinstance(one, Rejection)]
    if wires:
        accepted[name] = wires
    else:
        outcome.refused[name] = [one for one in verdict if isinstance(one, Rejection)]


def _identity(wires: Sequence[Wire]) -> str:
    """Stands for the events as they count: the same for the same users and ids."""
    return derived_event_id(*(identity_hash(key, decode(value).id) for key, value in wires))
