"""Half a year of invented customers for the pages, and everything the pages should say of them, counted plainly.

The events have what a replayed file may lack: traits, sign-ups, anonymous visitors, repeated ids, odd names, and a
project's zone with half hours and a change of its clock.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Fields: TypeAlias = dict[str, Any]

ODD_IDS = (
    "a/b", "50% off", "with space", "\"quoted\" 'id'", "🚀 rocket", "<b>bold</b>", "ünïcode", "a?b#c&d=e+f", "%2F",
    "back\\slash", "_under%score",
)  # fmt: skip
ACTIVITIES = ("track", "page", "screen")

_ZONES = ("America/St_Johns", "Australia/Adelaide", "Australia/Lord_Howe", "Asia/Kolkata")
_ACTIONS = ("opened report", "edited dashboard", "exported csv", "invited teammate", "ran query", "commented")
_DAYS = 190
_ACCOUNTS = 60
_GUARD = timedelta(minutes=40)


def half_hour_zone(now: datetime) -> str:
    """A zone off the full hour where no day ends soon, and the clock changed lately if such a zone is to be had."""

    def goodness(name: str) -> tuple[bool, bool, bool]:
        local = now.astimezone(ZoneInfo(name))
        offsets = [(local - timedelta(days=days)).utcoffset() for days in (0, 89, 179)]
        calm = timedelta(hours=1) < timedelta(hours=local.hour, minutes=local.minute) < timedelta(hours=23)
        return calm, offsets[0] != offsets[1], offsets[0] != offsets[2]

    return max(_ZONES, key=goodness)


def customer_events(zone: ZoneInfo, now: datetime) -> list[Fields]:
    """The events, oldest first; none so near to where a period ends that a slow test would count it differently."""
    choose = random.Random(23)
    events: list[Fields] = []
    for number in range(_ACCOUNTS):
        account = f"account-{number:02}"
        name = f"{choose.choice(('North', 'Blue', 'Iron', 'Quick'))} {number} Ltd"
        began = now - timedelta(days=_DAYS - 3 * number, hours=2)
        users = [f"user-{number:02}-{n}" for n in range(choose.randint(1, 6))]
        traits = {"name": name, "plan": choose.choice(("trial", "team")), "seats": choose.randint(1, 900)}
        events.append(
            {"type": "group", "user": users[0], "account": account, "time": began, "traits": traits}
        )
        for n, user in enumerate(users):
            at = began + timedelta(minutes=n + 1)
            person = {
                "name": f"Person {number} {n}",
                "role": "admin",
                "beta": True,
                "languages": ["de", "en"],
            }
            events.append(
                {"type": "identify", "user": user, "account": account, "time": at, "traits": person}
            )
            events.append({"user": user, "account": account, "time": at, "action": "signed up"})
        for _ in range(choose.choice((4, 12, 60))):
            at = began + (now - began) * choose.random()
            somebody = {"user": choose.choice(users), "action": choose.choice(_ACTIONS)}
            if choose.random() < 0.15:
                visitor = f"visitor {number}/{choose.randrange(3)}"
                somebody = {"type": "page", "anonymous_id": visitor, "action": "viewed page"}
            events.append({**somebody, "account": account, "time": at})
    for day in range(_DAYS):
        noon = (now - timedelta(days=day)).astimezone(zone)
        for hour, minute in ((0, 5), (2, 35), (23, 50)) if day % 3 else [(hour, 10) for hour in range(24)]:
            at = noon.replace(hour=hour, minute=minute, second=day % 60)
            user = f"user-00-{day % 2}"
            events.append({"user": user, "account": "account-00", "action": "worked late", "time": at})
    for n, odd in enumerate(ODD_IDS):
        at = now - timedelta(hours=30, minutes=n)
        events.append({"user": odd, "account": odd, "action": odd, "time": at})
        events.append(
            {"anonymous_id": odd, "account": odd, "action": odd, "time": at - timedelta(minutes=30)}
        )
    return _sendable(events, zone, now)


def _sendable(events: Iterable[Fields], zone: ZoneInfo, now: datetime) -> list[Fields]:
    """With ids and text times, each at a second of its own; some of them twice."""
    local = now.astimezone(zone)
    edges = [
        datetime.combine(local.date() - timedelta(days=days), local.time(), zone) for days in (7, 30, 90)
    ]
    taken: set[datetime] = set()
    sendable: list[Fields] = []
    for number, event in enumerate(sorted(events, key=lambda event: event["time"])):
        at = event["time"].astimezone(UTC).replace(microsecond=0)
        while at in taken:
            at += timedelta(seconds=1)
        if at > now - timedelta(minutes=2) or any(abs(at - edge) < _GUARD for edge in edges):
            continue
        taken.add(at)
        sendable.append({**event, "id": f"e{number}", "time": at.isoformat().replace("+00:00", "Z")})
    return sendable + sendable[::40]


@dataclass(frozen=True)
class Seen:
    """One event as it counts."""

    at: datetime
    local: datetime
    kind: str
    action: str
    account: str | None
    user: str | None
    visitor: str | None
    traits: Mapping[str, Any]

    @property
    def counts(self) -> bool:
        return self.kind in ACTIVITIES

    @property
    def person(self) -> str:
        """Whoever it was, as the pages write them."""
        return self.user if self.user is not None else f"{self.visitor} anonymous"


@dataclass(frozen=True)
class Period:
    """The last days of a zone and those before them, as the pages compare them."""

    now: datetime
    zone: ZoneInfo
    days: int

    @property
    def last(self) -> date:
        return self.now.astimezone(self.zone).date()

    @property
    def first(self) -> date:
        return self.last - timedelta(days=self.days - 1)

    def holds(self, seen: Seen) -> bool:
        return self.first <= seen.local.date() <= self.last

    def held_before(self, seen: Seen) -> bool:
        until = datetime.combine(
            self.last - timedelta(days=self.days), self.now.astimezone(self.zone).time(), self.zone
        )
        return self.first - timedelta(days=self.days) <= seen.local.date() and seen.at < until.astimezone(UTC)


class Recount:
    """All there is to say of events, from nothing but them."""

    def __init__(self, events: Sequence[Fields], zone: ZoneInfo) -> None:
        once = {
            (event.get("user"), event.get("anonymous_id"), event["id"]): _seen(event, zone)
            for event in events
        }
        self.all = sorted(once.values(), key=lambda seen: seen.at)

    def of(self, wanted: Callable[[Seen], bool]) -> "Subject":
        return Subject([seen for seen in self.all if wanted(seen)])

    def account(self, account: str) -> "Subject":
        return self.of(lambda seen: seen.account == account)

    def user(self, user: str) -> "Subject":
        return self.of(lambda seen: seen.user == user)

    def visitor(self, visitor: str) -> "Subject":
        return self.of(lambda seen: seen.user is None and seen.visitor == visitor)

    def accounts(self) -> dict[str, "Subject"]:
        names = {seen.account for seen in self.all if seen.account is not None}
        return {name: self.account(name) for name in names}

    def users(self) -> dict[str, "Subject"]:
        names = {seen.user for seen in self.all if seen.user is not None}
        return {name: self.user(name) for name in names}


@dataclass(frozen=True)
class Subject:
    """An account or a person: its events, oldest first."""

    events: Sequence[Seen]

    @property
    def activities(self) -> int:
        return sum(seen.counts for seen in self.events)

    @property
    def first(self) -> datetime:
        return self.events[0].at

    @property
    def last(self) -> datetime:
        return self.events[-1].at

    def name(self, kind: str) -> str | None:
        """The trait `name` that an event of the kind told last."""
        told = [seen.traits["name"] for seen in self.events if seen.kind == kind and "name" in seen.traits]
        return told[-1] if told else None

    def people(self) -> dict[str, "Subject"]:
        names = dict.fromkeys(seen.person for seen in reversed(self.events))
        return {name: Subject([seen for seen in self.events if seen.person == name]) for name in names}

    def actions(self) -> list[tuple[str, int]]:
        """By action, most first, then by name."""
        counts = Counter(seen.action for seen in self.events if seen.counts)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))

    def within(self, wanted: Callable[[Seen], bool]) -> "Subject":
        return Subject([seen for seen in self.events if seen.counts and wanted(seen)])

    def by_day(self) -> Counter[date]:
        return Counter(seen.local.date() for seen in self.events if seen.counts)

    def by_hour(self) -> Counter[tuple[int, int]]:
        return Counter((seen.local.isoweekday(), seen.local.hour) for seen in self.events if seen.counts)


def _seen(event: Fields, zone: ZoneInfo) -> Seen:
    at = datetime.fromisoformat(event["time"])
    return Seen(
        at,
        at.astimezone(zone),
        event.get("type", "track"),
        event.get("action", ""),
        event.get("account"),
        event.get("user"),
        event.get("anonymous_id"),
        event.get("traits", {}),
    )
