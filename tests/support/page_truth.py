"""What the pages must show of events, in their words and computed from nothing but the events.

Shaped as page_facts reads the pages. A Truth's `now` is the moment of the answer that a page shows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from generated_stream import Sent, Truth, text_of
from page_facts import Facts
from page_words import called, changed, city, counted, grouped, share, titled, worded

DAYS = 14
TOP = 10
PEOPLE = 100
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LEVELS = (0.15, 0.4, 0.7, 1)


def pulse_said(truth: Truth, minutes_at: datetime, zone: str, stamps: ZoneInfo) -> Facts:
    """Service Pulse; the last hour as of `minutes_at`, its clock that of a reader in `stamps`."""
    first = truth.today - timedelta(days=DAYS - 1)
    days = [(first + timedelta(days=age)).isoformat() for age in range(DAYS)]
    everything = list(truth.activities(lambda event: True))
    active, sign_ups = truth.active(first, truth.today), truth.sign_ups(first, truth.today)
    daily = Counter(truth.day(event.at).isoformat() for event in everything)
    today = Counter(event.action for event in everything if truth.day(event.at) == truth.today)
    since = truth.now - timedelta(minutes=5)
    now = len({truth.person(event.subject) for event in everything if event.person and event.at > since})

    def tile(label: str, by_day: Mapping[str, int]) -> dict[str, Any]:
        counts = [by_day.get(day, 0) for day in days]
        told = ", ".join(grouped(count) for count in counts)
        ends = f"Yesterday {grouped(counts[-2])}, today {grouped(counts[-1])} so far."
        return {
            "figure": grouped(counts[-1]),
            "meaning": f"today in {city(zone)}{DAYS} days",
            "beside": None,
            "days": f"{label} by day, {DAYS} days up to today: {told}. {ends}",
        }

    here = {
        "figure": grouped(now),
        "meaning": "in the last 5 min",
        "beside": f"{share(now, active[days[-1]])} of today's"
        if 0 < active.get(days[-1], 0) >= now
        else None,
        "days": None,
    }
    last = minutes_at.replace(second=0, microsecond=0)
    minutes = Counter(event.at.replace(second=0, microsecond=0) for event in everything)
    hour = {
        at.astimezone(stamps).strftime("%H:%M"): minutes[at]
        for at in (last - timedelta(minutes=age) for age in reversed(range(60)))
    }
    return {
        "tiles": {
            "Active users now": here,
            "Active users today": tile("Active users", active),
            "New trial sign-ups": tile("New trial sign-ups", sign_ups),
            "Activities": tile("Activities", daily),
        },
        "top": {
            "said": f"today in {city(zone)}",
            "rows": [[action, grouped(count)] for action, count in ranked(today)[:TOP]],
            "more": f"All {min(TOP, len(today))}" if len(today) > 5 else None,
        },
        "hour": {
            "said": counted(sum(hour.values()), "activity", "activities"),
            **_timeline(f"Activities per minute in the last hour, {city(stamps.key)} time", hour),
        },
    }


def account_said(truth: Truth, account: str, days: int, zone: str) -> Facts:
    """Customer Context of an account."""
    events = [event for event in truth.events if event.account == account]
    named = latest_traits(events, "group")
    people = defaultdict(list)
    for event in events:
        if event.person:
            people[truth.person(event.subject)].append(event)
    rows = []
    for subject in sorted(people, key=lambda one: (-_last(people[one]).timestamp(), one.encode()))[:PEOPLE]:
        often = ranked(Counter(event.action for event in people[subject] if event.counts))[:3]
        name = truth.called(subject)
        anonymous = " anonymous" if subject.startswith("a:") else ""
        rows.append(
            [
                titled(subject[2:], name),
                called(subject[2:], name) + anonymous,
                " ".join("".join(f"{action} {grouped(n)}" for action, n in often).split()),
                grouped(sum(event.counts for event in people[subject])),
                "\n".join(f"{action} {grouped(n)}" for action, n in often),
                text_of(_last(people[subject])),
            ]
        )
    everybody = counted(len(rows), "person", "people")
    if len(people) > PEOPLE:
        everybody = f"the {PEOPLE} seen last of {grouped(len(people))}"
    figure = [grouped(truth.people(days, account)), f"of {grouped(len(people))} ever"]
    said = _customer(truth, events, named, "account", account, days, zone)
    said["figures"] = {"People": figure, **said["figures"]}
    said["people"] = {"said": f"{everybody}, counted from the beginning", "rows": rows}
    return said


def person_said(truth: Truth, subject: str, days: int, zone: str) -> Facts:
    """The page of a user or an anonymous visitor."""
    events = list(filter(truth.of(subject=subject), truth.events))
    kind = "user" if subject.startswith("u:") else "anonymous visitor"
    said = _customer(truth, events, truth.traits(subject), kind, subject[2:], days, zone)
    person = truth.person(subject)
    if person != subject:
        said["facts"]["Now known as"] = person[2:]
    others = dict(_by((event for event in events if event.subject != subject), "subject"))
    if others:
        rows = [
            [
                f"{other[2:]} anonymous" if other.startswith("a:") else other[2:],
                grouped(sum(event.counts for event in theirs)),
                *_span(theirs),
            ]
            for other, theirs in sorted(others.items(), key=lambda one: min(event.at for event in one[1]))
        ]
        said["identities"] = {"said": counted(len(rows), "other id", "other ids"), "rows": rows}
    homes = defaultdict(list)
    for event in events:
        if event.account is not None:
            homes[event.account].append(event)
    if len(homes) == 1:
        said["facts"]["Account"] = next(iter(homes))
    if len(homes) > 1:
        rows = [
            [home, grouped(sum(event.counts for event in theirs)), *_span(theirs)]
            for home, theirs in sorted(
                homes.items(), key=lambda one: (-_last(one[1]).timestamp(), one[0].encode())
            )
        ]
        said["accounts"] = {
            "said": f"{counted(len(homes), 'account', 'accounts')}, counted from the beginning",
            "rows": rows,
        }
    return said


def account_rows(truth: Truth, zone: str) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """For each account what it is sorted by, and its row in the list."""
    rows = {}
    for account, events in _by(truth.events, "account"):
        traits = latest_traits(events, "group")
        users = len({truth.person(event.subject) for event in events if event.person})
        daily = Truth(events, zone, truth.now).daily(DAYS, lambda event: True)
        trend = f"{counted(sum(daily), 'activity', 'activities')} in {DAYS} days, {grouped(daily[-1])} today"
        activities = sum(event.counts for event in events)
        first, last = _span(events)
        by = {"First seen": first, "Last seen": last, "Activities": activities, "Users": users}
        name = called(account, _name(traits))
        rows[account] = by, [name, trend, grouped(activities), grouped(users), trend, first, last]
    return rows


def user_rows(truth: Truth) -> dict[str, tuple[dict[str, Any], list[str | None]]]:
    """For each user what it is sorted by, and its row in the list."""
    rows = {}
    for subject in truth.users:
        user, events = subject[2:], list(filter(truth.of(subject=subject), truth.events))
        at_home = [event for event in events if event.account is not None]
        home = min(at_home, key=lambda one: (-one.at.timestamp(), (one.account or "").encode()), default=None)
        activities = sum(event.counts for event in events)
        first, last = _span(events)
        by = {"First seen": first, "Last seen": last, "Activities": activities}
        account = home.account if home is not None and home.account is not None else "none"
        name = called(user, truth.called(subject))
        rows[user] = by, [name, account, grouped(activities), None, first, last]
    return rows


def in_order(rows: Mapping[str, tuple[dict[str, Any], Any]], column: str, order: str) -> list[Any]:
    """The rows as the list has them: by the column, equals by their id; by the id for any other column."""
    ids = sorted(rows, key=str.encode)
    if column not in next(iter(rows.values()))[0]:
        ids = ids if order == "ascending" else ids[::-1]
    else:
        ids.sort(key=lambda one: rows[one][0][column], reverse=order == "descending")
    return [rows[one][1] for one in ids]


def _customer(
    truth: Truth,
    events: Sequence[Sent],
    traits: Mapping[str, Any],
    kind: str,
    id_: str,
    days: int,
    zone: str,
) -> Facts:
    only = Truth(events, zone, truth.now)
    period = only.period(days, lambda event: True)
    first, last = date.fromisoformat(period["from"]), date.fromisoformat(period["to"])
    now, before = period["activities"], period["previous"]
    by_day = {
        worded(first + timedelta(days=age)): count
        for age, count in enumerate(only.daily(days, lambda event: True))
    }
    used = sum(count > 0 for count in by_day.values())
    earlier = f" from {grouped(before)}" if before else ", none before" if now else ""
    name = _name(traits)
    begun, ended = _span(events)
    return {
        "head": [id_, kind] if name is None or name == id_ else [name, f"{kind} {id_}"],
        "facts": {
            "Started using": begun,
            "Last used": ended,
            "In all": counted(sum(event.counts for event in events), "activity", "activities"),
            **{
                key.capitalize(): str(value)
                for key, value in traits.items()
                if not (key == "name" and isinstance(value, str))
            },
        },
        "period": f"{worded(first)[4:]} – {worded(last)[4:]} against the {days} days before, up to the same"
        f" time of day. Days and hours in {city(zone)} time.",
        "figures": {
            "Activities": [grouped(now), changed(now, before) + earlier],
            "Days in use": [grouped(used), f"of {days}"],
        },
        "days": _timeline("Activities by day", by_day),
        "breakdown": {
            "said": counted(len(period["breakdown"]), "action", "actions") if period["breakdown"] else None,
            "rows": [
                [
                    row["action"],
                    grouped(row["count"]),
                    changed(row["count"], row["previous"]),
                    f"{grouped(row['count'])}, before that {grouped(row['previous'])}",
                ]
                for row in period["breakdown"]
            ],
        },
        "hours": _hours(only.by_hour(first, last, lambda event: True), city(zone)),
        "people": None,
        "accounts": None,
        "identities": None,
    }


def _timeline(label: str, counts: Mapping[str, int]) -> dict[str, Any]:
    most = max(counts, key=lambda one: counts[one])
    top = f", most at {most}: {grouped(counts[most])}" if counts[most] else ""
    return {
        "caption": f"{label}: {grouped(sum(counts.values()))} in all{top}.",
        "rows": [[told, grouped(count)] for told, count in counts.items() if count],
    }


def _hours(counts: Counter[tuple[int, int]], place: str) -> dict[str, Any]:
    most = max(counts.values(), default=0)
    told = "No activity in these days"
    if most:
        weekday, hour = min(cell for cell, count in counts.items() if count == most)
        clock = f"{hour:02}:00–{(hour + 1) % 24:02}:00"
        told = f"Busiest: {_WEEKDAYS[weekday - 1]} {clock}: {counted(most, 'activity', 'activities')}"
    return {
        "of": f"Activities by hour of the week, {place} time",
        "counts": [[grouped(counts[day, hour]) for hour in range(24)] for day in range(1, 8)],
        "told": told,
        "legend": list(_legend(most)),
    }


def _legend(most: int) -> Iterator[str]:
    if not most:
        return
    yield "0"
    above = 0
    for upto in sorted({math.ceil(level * most) for level in _LEVELS}):
        yield grouped(upto) if upto == above + 1 else f"{grouped(above + 1)}–{grouped(upto)}"
        above = upto


def latest_traits(events: Iterable[Sent], kind: str) -> dict[str, Any]:
    """What events of the kind told; a later value wins."""
    told: dict[str, Any] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.kind == kind:
            told |= event.traits or {}
    return told


def _name(traits: Mapping[str, Any]) -> str | None:
    name = traits.get("name")
    return name if isinstance(name, str) else None


def _span(events: Sequence[Sent]) -> tuple[str, str]:
    return text_of(min(event.at for event in events)), text_of(_last(events))


def _last(events: Sequence[Sent]) -> datetime:
    return max(event.at for event in events)


def _by(events: Iterable[Sent], field: str) -> Iterable[tuple[str, list[Sent]]]:
    met: dict[str, list[Sent]] = defaultdict(list)
    for event in events:
        if (value := getattr(event, field)) is not None:
            met[value].append(event)
    return met.items()


def ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """Most first, equals by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))


def sent_of(event: Mapping[str, Any]) -> Sent:
    """A native event as it counts."""
    at = datetime.fromisoformat(event["time"]).astimezone(UTC)
    fields = ("user", "anonymous_id", "previous_id", "account", "traits")
    known = {name: event[name] for name in fields if name in event}
    return Sent(
        id=event["id"], at=at, kind=event.get("type", "track"), action=event.get("action", ""), **known
    )
