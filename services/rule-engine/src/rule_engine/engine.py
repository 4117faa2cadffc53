"""Asks the rules about every event and keeps what they do, in the consumer's transaction."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import msgspec

from access import Access
from enrichment import Enricher
from eventlog.batch import Batch
from eventlog.port import Record
from eventmodel import Event, ProjectId
from eventmodel.wire import decode, split_key
from rule_engine.actions import REASONS, Action, Cause, Reason, Recording, action_key, record
from rule_engine.database import Connection, Fenced
from rule_engine.evaluation import ENRICHED
from rule_engine.relay import Relay
from rule_engine.removal import remove_person
from rule_engine.rulebook import CompiledRule, RuleBook
from telemetry import catalog
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

STALE_AFTER = timedelta(hours=1)
"""An event that was recorded later than this after it occurred is past: nobody is told of it."""

_log = get_logger("engine")


class Engine:
    """The rule engine as a handler of the consumer runtime.

    `exists` tells whether a project is there still: events of a deleted one are passed over. It raises
    StoreUnavailable when that cannot be told; the runtime then waits. `access` knows who was forgotten.
    """

    def __init__(
        self,
        book: RuleBook,
        relay: Relay,
        metrics: Metrics,
        exists: Callable[[ProjectId], Awaitable[bool]],
        access: Access,
        enricher: Enricher,
    ) -> None:
        self._access = access
        self._removed: set[tuple[str, int]] = set()
        self._book = book
        self._enricher = enricher
        self._relay = relay
        self._exists = exists
        self._tally = Counter[str]()
        self._evaluated = metrics.counter(catalog.RULES_EVALUATED)
        self._failed = metrics.counter(catalog.RULES_FAILED)
        self._actions = {
            outcome: metrics.counter(catalog.RULES_ACTIONS, outcome) for outcome in ("sent", *REASONS)
        }

    async def apply(self, tx: Connection, batch: Batch) -> None:
        self._tally.clear()
        asked = [
            (project, each)
            for project, each in ((split_key(each.key)[0], each) for each in batch.records)
            if self._book.covers(project)
        ]
        there = {project for project in {project for project, _ in asked} if await self._exists(project)}
        recordings = [
            recording
            for project, each in asked
            if project in there and not self._access.forgotten.covers(each.key, each.value)
            for recording in self._recordings(each)
        ]
        if recordings:
            reasons = await record(tx, recordings)
            self._tally.update(reason or "sent" for reason in reasons)

    async def committed(self, batch: Batch) -> None:
        self._evaluated.inc(self._tally.pop("evaluated", 0))
        self._failed.inc(self._tally.pop("failed", 0))
        for outcome, number in self._tally.items():
            self._actions[outcome].inc(number)
        if self._tally["sent"]:
            self._relay.wake()
        self._tally.clear()

    async def tend(self, parts: frozenset[int], fenced: Fenced) -> None:
        self._relay.own(parts)
        requests = self._access.forget_requests
        self._removed = {done for done in self._removed if done[0] in {request.id for request in requests}}
        for request in requests:
            for number in sorted(parts):
                if (request.id, number) not in self._removed:
                    await remove_person(request, number, fenced)
                    self._removed.add((request.id, number))

    def forget(self, parts: frozenset[int]) -> None:
        self._relay.disown(parts)
        self._removed = {done for done in self._removed if done[1] not in parts}

    def _recordings(self, source: Record) -> Iterator[Recording]:
        event = decode(source.value)
        rules = self._book.about(event)
        if rules and event.context:
            facts = self._enricher.facts(event.context, event.properties)
            event = msgspec.structs.replace(event, context={**event.context, ENRICHED: facts})
        for rule in rules:
            self._tally["evaluated"] += 1
            try:
                yield from _fire(rule, event, source)
            # One rule's defect must not keep the event from the others, nor from counting as applied.
            except Exception:
                self._tally["failed"] += 1
                _log.exception("rule_failed", project=event.project, rule=rule.title, version=rule.version)


def _fire(rule: CompiledRule, event: Event, source: Record) -> list[Recording]:
    if rule.condition is not None and rule.condition(event) is not True:
        return []
    reason = _reason(rule, event, source)
    return [
        Recording(
            source.part,
            source.key,
            source.recorded_at,
            Action(
                id=action_key(event.project, rule.title, event.subject, event.id, index),
                project=event.project,
                type="dashboard",
                rule=rule.title,
                rule_version=rule.version,
                subject=event.subject,
                event=Cause(id=event.id, action=event.action, occurred_at=event.occurred_at),
                note=render(event),
                status="suppressed" if reason else "sent",
                occurred_at=event.occurred_at,
                received_at=source.recorded_at,
                user=event.user,
                anonymous_id=event.anonymous_id,
                account=event.account,
                reason=reason,
            ),
        )
        for index, render in enumerate(rule.notes)
    ]


def _reason(rule: CompiledRule, event: Event, source: Record) -> Reason | None:
    if event.origin != "live":
        return "history"
    # The log's clock and not the wall: an engine that was down an hour still tells what happened meanwhile.
    if source.recorded_at - event.occurred_at > STALE_AFTER:
        return "stale"
    return "shadow" if rule.mode == "shadow" else None
