"""Which actions arrive that the plan does not have: how often, from whom, and what they probably mean."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from eventmodel import Sender
from policy import Plan
from policy.measure import Similar
from stream_gateway.plans.traffic import SetAside, Traffic

MAX_ACTIONS: Final = 200
MAX_SENDERS: Final = 5


class SenderCount(msgspec.Struct, frozen=True):
    """A key's public id and an SDK, null where they are not known."""

    key: str | None
    sdk: str | None
    count: int


class UnplannedAction(msgspec.Struct, frozen=True):
    """`stored` came into history, `set_aside` was quarantined or rejected; `senders` are the most frequent."""

    action: str
    stored: int
    set_aside: int
    last_seen: datetime
    senders: list[SenderCount]
    suggestion: str | None


class _Seen:
    def __init__(self, at: datetime) -> None:
        self.stored = 0
        self.set_aside = 0
        self.last_seen = at
        self.senders: Counter[Sender | None] = Counter()

    def add(self, at: datetime, sender: Sender | None) -> None:
        self.last_seen = max(self.last_seen, at)
        self.senders[sender] += 1


def find_unplanned(plan: Plan, traffic: Traffic, set_aside: Iterable[SetAside]) -> Sequence[UnplannedAction]:
    """The actions of track events that the plan lacks, most frequent first, at most MAX_ACTIONS."""
    seen: dict[str, _Seen] = {}
    for event in traffic.events:
        if event.kind == "track" and event.action not in plan.actions:
            found = seen.setdefault(event.action, _Seen(event.received_at))
            found.stored += 1
            found.add(event.received_at, event.sender)
    for one in set_aside:
        # A plan that was applied since may have it.
        if one.action not in plan.actions:
            found = seen.setdefault(one.action, _Seen(one.at))
            found.set_aside += 1
            found.add(one.at, one.sender)
    similar = Similar(plan.actions, max_searches=MAX_ACTIONS)
    frequent = sorted(seen.items(), key=lambda item: (-item[1].stored - item[1].set_aside, item[0]))
    return [_told(action, found, similar) for action, found in frequent[:MAX_ACTIONS]]


def _told(action: str, found: _Seen, similar: Similar) -> UnplannedAction:
    senders = [
        SenderCount(sender.key if sender else None, sender.sdk if sender else None, count)
        for sender, count in found.senders.most_common(MAX_SENDERS)
    ]
    return UnplannedAction(
        action, found.stored, found.set_aside, found.last_seen, senders, similar.to(action)
    )
