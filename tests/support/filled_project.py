"""A project filled with native events, and an invented stream of all kinds to fill it with."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx

from footfall_process import eventually as wait_until
from generated_stream import Sent, Truth, generate, text_of
from open_pages import Suite
from page_truth import (
    sent_of,
)

BATCH = 100
HOUR = timedelta(hours=1)

Event = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """A project, and what was sent to it."""

    project: str
    zone: str
    real_looking: bool
    given: Sequence[Event]
    events: Sequence[Sent]

    def truth(self, now: datetime) -> Truth:
        return Truth(self.events, self.zone, now)

    def ids(self, field: str) -> list[str]:
        return sorted({getattr(event, field) for event in self.events} - {None}, key=str.encode)


def filled_with(suite: Suite, given: Sequence[Event], zone: str, *, real_looking: bool) -> Filled:
    """A project of the zone, after everything sent to it is projected."""
    with suite.admin() as admin:
        made = (
            admin.post("/v1/projects", json={"name": f"replayed {uuid.uuid4().hex[:8]}"})
            .raise_for_status()
            .json()
        )
        admin.patch(f"/v1/projects/{made['project']}", json={"time_zone": zone}).raise_for_status()
    filled = Filled(made["project"], zone, real_looking, given, [sent_of(event) for event in given])
    known = filled.truth(datetime.now(UTC)).events
    with suite.client(made["secret_key"]) as client:
        for start in range(0, len(given), BATCH):
            answer = client.post("/v1/events", json=given[start : start + BATCH]).raise_for_status()
            assert answer.json()["rejected"] == []
        wait_until(lambda: _projected(client, known), 60)
    return filled


def _projected(client: httpx.Client, events: Sequence[Sent]) -> bool:
    def get(path: str, **params: str) -> httpx.Response:
        return client.get(path, params=params)

    day, count = min(event.at for event in events).date() - timedelta(days=1), 0
    while day <= datetime.now(UTC).date() + timedelta(days=1):
        until = day + timedelta(days=700)
        asked = {"from": day.isoformat(), "to": until.isoformat()}
        count += sum(
            row["count"] for row in get("/v1/pulse/days", **asked).raise_for_status().json()["items"]
        )
        day = until + timedelta(days=1)
    if count != sum(event.counts for event in events):
        return False
    uncounted = [event for event in events if not event.counts]
    return all(get(f"/v1/activity/{quote(event.id, safe='')}").is_success for event in uncounted)


def invented(now: datetime, zone: ZoneInfo) -> list[Event]:
    """The generated stream as native events, and more of it where the zone's clock changed last."""
    change = next(
        now - hours * HOUR
        for hours in range(400 * 24)
        if (now - hours * HOUR).astimezone(zone).utcoffset()
        != (now - (hours + 1) * HOUR).astimezone(zone).utcoffset()
    )
    around = [
        Sent(
            id=f"c{n}",
            at=change + timedelta(minutes=5 * n - 180),
            action="opened report",
            user=f"user-{n % 7}",
            account="acme",
        )
        for n in range(72)
    ]
    events = [replace(event, origin="live") for event in [*generate(now), *around]]
    return [_native(event) for event in events if event.kind != "alias" or event.user is not None]


def _native(event: Sent) -> Event:
    fields = {
        "id": event.id,
        "time": text_of(event.at),
        "type": event.kind,
        "action": event.action,
        "user": event.user,
        "anonymous_id": event.anonymous_id,
        "account": event.account,
        "traits": event.traits,
        "previous_id": "visitor-1" if event.kind == "alias" else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
