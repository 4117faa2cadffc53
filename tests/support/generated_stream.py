"""A stream with what replayed files lack, and every number of it computed from nothing but its events.

Sign-ups, traits, anonymous visitors and users they become, aliases, accounts without people, imports, repeats;
crowded where clocks change and where days begin.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from identity_truth import Link, belonging, ids_of, links_of, person_of

ACCOUNTS = [
    "acme",
    "Bürger & Söhne",
    "100%_real\\co",
    "100x_realAco",
    "globex",
    *(f"customer-{n}" for n in range(9)),
]
_ACTIONS = ["opened report", "ran export", "Invited Colleague", "saved view", "changed plan"]
_SIGN_UPS = ["signed up", "Signed_Up"]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One event as it is sent."""

    id: str
    at: datetime
    kind: str = "track"
    action: str = "opened report"
    user: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    account: str | None = None
    origin: str = "live"
    traits: dict[str, Any] | None = None

    @property
    def subject(self) -> str:
        if self.user is not None:
            return f"u:{self.user}"
        return f"g:{self.account}" if self.anonymous_id is None else f"a:{self.anonymous_id}"

    @property
    def person(self) -> bool:
        return not self.subject.startswith("g:")

    @property
    def counts(self) -> bool:
        return self.kind in ("track", "page", "screen")

    def links(self) -> list[Link]:
        """What it says of who is who."""
        return links_of(self.at, self.id, self.kind, self.user, self.anonymous_id, self.previous_id)

    def fields(self) -> dict[str, Any]:
        """The fields of the canonical event but project and receipt."""
        run = {} if self.origin == "live" else {"run": "run-1"}
        return run | {
            "id": self.id,
            "occurred_at": self.at,
            "kind": self.kind,
            "action": self.action,
            "user": self.user,
            "anonymous_id": self.anonymous_id,
            "previous_id": self.previous_id,
            "account": self.account,
            "origin": self.origin,
            "traits": self.traits or {},
        }


def generate(now: datetime, seed: int = 11) -> list[Sent]:
    """The events in the order in which they are sent, repeats and all; none is later than `now`."""
    choose = random.Random(seed)
    users = [f"user-{n}" for n in range(30)] + ["zoë%_\\"]
    homes = {user: choose.sample(ACCOUNTS, choose.choice([0, 1, 1, 2])) for user in users}
    events: list[Sent] = []
    for number in range(900):
        at = _moment(choose, now)
        kind = choose.choices(("track", "page", "screen", "alias"), (80, 10, 6, 4))[0]
        action = choose.choice(_SIGN_UPS) if choose.random() < 0.06 else choose.choice(_ACTIONS)
        event = Sent(id=f"e{number}", at=at, kind=kind, action=action)
        who = choose.random()
        if who < 0.75:
            user = choose.choice(users)
            event = replace(event, user=user, account=choose.choice([*homes[user], None]))
        elif who < 0.9:
            visitor = f"visitor-{choose.randrange(6)}"
            event = replace(event, anonymous_id=visitor, account=choose.choice(["acme", None]))
        else:
            event = replace(event, kind="track", account=choose.choice(ACCOUNTS))
        events.append(event)
    for number, user in enumerate(users):
        name = 7 if number % 5 == 0 else f"Ünal {number}% of_{user}"
        for again in range(2):
            traits = {"name": f"{name} once" if again and number % 5 else name, "plan": "pro"}
            at = _moment(choose, now)
            told = Sent(id=f"i{number}-{again}", at=at, kind="identify", action="identified", traits=traits)
            events.append(replace(told, user=user))
    for number, account in enumerate(ACCOUNTS[1:]):
        for again, user in enumerate(choose.sample(users, 2)):
            traits = {"name": 5 if number % 4 == 3 else f"The {account} Company {again}"}
            at = _moment(choose, now)
            told = Sent(id=f"g{number}-{again}", at=at, kind="group", action="joined account", traits=traits)
            events.append(replace(told, user=user, account=account))
    events += _known_later(choose, now)
    choose.shuffle(events)
    events = [replace(event, origin="import") if choose.random() < 0.2 else event for event in events]
    repeats = [
        replace(event, at=event.at - timedelta(seconds=choose.choice([0, 3000])))
        for event in choose.sample(events, 80)
    ]
    return [*events, *repeats]


def _known_later(choose: random.Random, now: datetime) -> Iterator[Sent]:
    """Who the visitors are: `visitor-4` and `visitor-5` stay unknown, one device is shared, a few users are one."""
    met = ["visitor-0", "visitor-2", "visitor-3", "laptop", "phone", "kiosk"]
    for number in range(120):
        user = choose.choice(["user-0", "user-2", "user-3", "user-7", "user-8"])
        kind, action = choose.choice(
            [("identify", "identified"), ("track", "opened report"), ("page", "saved view")]
        )
        event = Sent(id=f"k{number}", at=_moment(choose, now), kind=kind, action=action, user=user)
        yield replace(event, anonymous_id=choose.choice(met), account=choose.choice(["acme", None]))
    for number in range(80):
        before = Sent(id=f"b{number}", at=_moment(choose, now), action=choose.choice([*_ACTIONS, *_SIGN_UPS]))
        yield replace(
            before, anonymous_id=choose.choice(met), account=choose.choice(["acme", "globex", None])
        )
    for number, visitor in enumerate(["visitor-0", "visitor-2", "visitor-4", "laptop"]):
        told = Sent(id=f"n{number}", at=_moment(choose, now), kind="identify", action="identified")
        yield replace(told, anonymous_id=visitor, traits={"name": f"Guest {visitor}", "plan": "free"})
    aliases = [("user-10", "user-11"), ("user-11", "user-12"), ("user-13", "user-12"), ("laptop", "user-14")]
    aliases += [
        ("user-10", "user-15"),
        ("user-20", "user-21"),
        ("user-21", "user-22"),
        ("user-22", "user-20"),
    ]
    for number, (previous_id, user) in enumerate([*aliases, ("nobody", "user-16"), ("user-17", "nameless")]):
        told = Sent(id=f"m{number}", at=_moment(choose, now), kind="alias", action="merged identity")
        yield replace(told, user=user, previous_id=previous_id)


def _moment(choose: random.Random, now: datetime) -> datetime:
    around = choose.random()
    if around < 0.15:
        at = datetime(2026, 10, 24, 21, 30, tzinfo=UTC) + timedelta(hours=5) * choose.random()
    elif around < 0.3:
        at = datetime(2026, 3, 28, 21, 30, tzinfo=UTC) + timedelta(hours=5) * choose.random()
    elif around < 0.45:
        midnight = choose.choice([time(18, 30), time(23), time(0), time(22)])
        day = now.date() - timedelta(days=choose.randrange(1, 9))
        at = datetime.combine(day, midnight, UTC) + timedelta(minutes=choose.uniform(-20, 20))
    elif around < 0.6:
        at = now - timedelta(hours=3) * choose.random()
    elif around < 0.75:
        at = now - timedelta(days=choose.choice([1, 2, 7, 14, 30]), minutes=choose.uniform(-40, 40))
    else:
        at = now - timedelta(days=700) * choose.random() ** 2
    return min(at, now).replace(microsecond=choose.choice([0, 1, 999_999]))


class Truth:
    """What the pages must say of these events in this zone."""

    def __init__(self, events: Sequence[Sent], zone: str, now: datetime) -> None:
        met: dict[tuple[str, str], Sent] = {}
        for event in sorted(events, key=lambda event: event.origin != "live"):
            met.setdefault((event.subject, event.id), event)
        self.events = list(met.values())
        self.belongs = belonging(link for event in self.events for link in event.links())
        self._met = sorted({event.subject for event in self.events if event.person})
        self._zone = ZoneInfo(zone)
        self.now = now

    def of(self, **wanted: str) -> Callable[[Sent], bool]:
        """Those whose fields are as given; of a user, also what was done under the other ids of theirs."""
        for name, kind in (("user", "u"), ("anonymous_id", "a")):
            if name in wanted:
                wanted["subject"] = f"{kind}:{wanted.pop(name)}"
        subjects = self.ids(wanted.pop("subject")) if "subject" in wanted else None
        return lambda event: (
            (subjects is None or event.subject in subjects)
            and all(getattr(event, name) == value for name, value in wanted.items())
        )

    def person(self, subject: str) -> str:
        """Who the subject is."""
        return person_of(self.belongs, subject)

    def ids(self, subject: str) -> set[str]:
        """The subject, and whatever belongs to it that did something."""
        return ids_of(self.belongs, subject, self._met)

    @property
    def users(self) -> list[str]:
        """The users that belong to nobody else, as subjects."""
        return [one for one in self._met if one.startswith("u:") and one not in self.belongs]

    def traits(self, subject: str) -> dict[str, Any]:
        """What was told of the subject, and beneath it of what belongs to it; a later value wins."""
        told: dict[str, list[Sent]] = {}
        for event in sorted(self.events, key=lambda event: event.at):
            if event.kind == "identify" and event.traits:
                told.setdefault(event.subject, []).append(event)
        theirs = [events for one, events in told.items() if one in self.ids(subject) and one != subject]
        theirs.sort(key=lambda events: events[-1].at)
        latest: dict[str, Any] = {}
        for event in (one for events in [*theirs, told.get(subject, [])] for one in events):
            latest |= event.traits or {}
        return latest

    def called(self, subject: str) -> str | None:
        """The trait `name` of a person, if it is a text."""
        name = self.traits(subject).get("name")
        return name if isinstance(name, str) else None

    def day(self, at: datetime) -> date:
        return at.astimezone(self._zone).date()

    @property
    def today(self) -> date:
        return self.day(self.now)

    def activities(self, which: Callable[[Sent], bool]) -> Iterator[Sent]:
        return (event for event in self.events if event.counts and which(event))

    def actions(self, events: Sequence[Sent] | Iterator[Sent]) -> list[dict[str, Any]]:
        """By action, most first."""
        counted = Counter(event.action for event in events)
        ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0].encode()))
        return [{"action": action, "count": count} for action, count in ordered]

    def period(self, days: int, which: Callable[[Sent], bool]) -> dict[str, Any]:
        """Without people."""
        first = self.today - timedelta(days=days - 1)
        local = self.now.astimezone(self._zone)
        end = local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0, fold=0)
        until = (end.replace(tzinfo=None) - timedelta(days=days)).replace(tzinfo=self._zone)
        current, previous = Counter[str](), Counter[str]()
        for event in self.activities(which):
            if self.day(event.at) >= first:
                current[event.action] += 1
            elif self.day(event.at) >= first - timedelta(days=days) and event.at < until.astimezone(UTC):
                previous[event.action] += 1
        changes = sorted(
            ((current[action], previous[action], action) for action in current | previous),
            key=lambda change: (-change[0], -change[1], change[2].encode()),
        )
        return {
            "days": days,
            "from": first.isoformat(),
            "to": self.today.isoformat(),
            "activities": current.total(),
            "previous": previous.total(),
            "breakdown": [
                {"action": action, "count": count, "previous": before} for count, before, action in changes
            ],
        }

    def people(self, days: int, account: str) -> int:
        """Distinct people active in the account on the last days."""
        first = self.today - timedelta(days=days - 1)
        active = self.activities(lambda event: event.account == account and self.day(event.at) >= first)
        return len({self.person(event.subject) for event in active if event.person})

    def name(self, which: Callable[[Sent], bool]) -> str | None:
        """The latest trait `name` that was told of an account, if it is a text."""
        told = [event for event in self.events if event.kind == "group" and which(event) and event.traits]
        latest = max(told, key=lambda event: event.at, default=None)
        name = latest and latest.traits and latest.traits["name"]
        return name if isinstance(name, str) else None

    def span(self, events: Sequence[Sent]) -> dict[str, Any]:
        """The number of activities among the events, and when the first and the last was."""
        return {
            "activities": sum(event.counts for event in events),
            "first_seen": text_of(min(event.at for event in events)),
            "last_seen": text_of(max(event.at for event in events)),
        }

    def daily(self, days: int, which: Callable[[Sent], bool]) -> list[int]:
        counted = Counter(self.day(event.at) for event in self.activities(which))
        return [counted[self.today - timedelta(days=age)] for age in reversed(range(days))]

    def by_day(self, first: date, last: date, which: Callable[[Sent], bool]) -> Counter[tuple[str, str]]:
        return Counter(
            (self.day(event.at).isoformat(), event.action)
            for event in self.activities(which)
            if first <= self.day(event.at) <= last
        )

    def by_hour(self, first: date, last: date, which: Callable[[Sent], bool]) -> Counter[tuple[int, int]]:
        clocks = [event.at.astimezone(self._zone) for event in self.activities(which)]
        return Counter((at.isoweekday(), at.hour) for at in clocks if first <= at.date() <= last)

    def sign_ups(self, first: date, last: date) -> dict[str, int]:
        began: dict[str, datetime] = {}
        for event in self.activities(lambda event: event.person):
            if event.action.replace("_", " ").lower() == "signed up":
                person = self.person(event.subject)
                began[person] = min(event.at, began.get(person, event.at))
        days = Counter(self.day(at) for at in began.values())
        return {day.isoformat(): days[day] for day in sorted(days) if first <= day <= last}

    def active(self, first: date, last: date) -> dict[str, int]:
        active = self.activities(lambda event: event.person)
        met = {(self.day(event.at), self.person(event.subject)) for event in active}
        days = Counter(day for day, _ in met)
        return {day.isoformat(): days[day] for day in sorted(days) if first <= day <= last}


def text_of(at: datetime) -> str:
    """A moment as answers write it."""
    return at.isoformat().replace("+00:00", "Z")
