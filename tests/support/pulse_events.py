"""Two weeks of invented use for Service Pulse, and what plain counting says the page should show of it."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Fields: TypeAlias = dict[str, Any]

DAYS = 14
_ACTIONS = ("opened report", "ran export", "viewed dashboard", "invited teammate", "<b>renamed</b> & saved")
_COUNTED = (None, "track", "page", "screen")


@dataclass(frozen=True)
class PulseSeen:
    """What the page says: figures by tile, the rows of the top list, and days and minutes as it words them."""

    now: int
    today: int
    sign_ups: int
    activities: int
    top: list[tuple[str, int]]
    active_by_day: list[int]
    sign_ups_by_day: list[int]
    activities_by_day: list[int]
    minutes: Mapping[str, int]


def pulse_events(now: datetime, seed: int = 7) -> list[Fields]:
    """Events in the order in which they are sent, some twice.

    None lies so near to the edge of five minutes or of an hour that a slow test would count it differently.
    """
    choose = random.Random(seed)
    moments = [now - timedelta(seconds=choose.uniform(7 * 60, 55 * 60)) for _ in range(120)]
    moments += [now - timedelta(seconds=choose.uniform(1, 60)) for _ in range(9)]
    moments += [now - timedelta(minutes=75) - timedelta(days=DAYS + 2) * choose.random() for _ in range(900)]
    events: list[Fields] = []
    for number, at in enumerate(moments):
        event: Fields = {"id": f"p{number}", "time": at.replace(microsecond=0).isoformat()}
        if choose.random() < 0.2:
            event |= {"anonymous_id": f"visitor {choose.randrange(30)}"}
        else:
            event |= {"user": f"user-{choose.randrange(60)}", "account": f"account {choose.randrange(9)}"}
        kind = choose.choices((None, "page", "screen", "identify"), (85, 7, 3, 5))[0]
        if kind is not None:
            event["type"] = kind
        if kind == "identify":
            event["traits"] = {"plan": "trial"}
        else:
            event["action"] = "Signed_Up" if choose.random() < 0.08 else choose.choice(_ACTIONS)
        events.append(event)
    return events + events[::25]


def pulse_seen(events: Sequence[Fields], zone: ZoneInfo, stamps: ZoneInfo, now: datetime) -> PulseSeen:
    """What the page shows at `now`: days of `zone`, minutes as a reader in `stamps` reads them."""
    known: dict[tuple[str, str], Fields] = {}
    for event in events:
        known.setdefault((_person(event), event["id"]), event)
    counted = [event for event in known.values() if event.get("type") in _COUNTED]
    at = {id(event): datetime.fromisoformat(event["time"]).astimezone(UTC) for event in counted}
    day = {id(event): at[id(event)].astimezone(zone).date() for event in counted}
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=DAYS - 1 - n) for n in range(DAYS)]
    signed_up: dict[str, Fields] = {}
    for event in sorted(counted, key=lambda one: at[id(one)]):
        if event["action"] == "Signed_Up":
            signed_up.setdefault(_person(event), event)
    by_day = Counter(day[id(event)] for event in counted)
    people = Counter(which for which, _ in {(day[id(event)], _person(event)) for event in counted})
    trials = Counter(day[id(event)] for event in signed_up.values())
    top = Counter(event["action"] for event in counted if day[id(event)] == today)
    recent = [event for event in counted if at[id(event)] > now - timedelta(hours=1)]
    return PulseSeen(
        now=len({_person(one) for one in counted if at[id(one)] > now - timedelta(minutes=5)}),
        today=people[today],
        sign_ups=trials[today],
        activities=by_day[today],
        top=sorted(top.items(), key=lambda item: (-item[1], item[0].encode()))[:10],
        active_by_day=[people[one] for one in days],
        sign_ups_by_day=[trials[one] for one in days],
        activities_by_day=[by_day[one] for one in days],
        minutes=Counter(at[id(event)].astimezone(stamps).strftime("%H:%M") for event in recent),
    )


def calm_zone(now: datetime, names: Sequence[str]) -> str:
    """The first of the zones where no day ends within the next hour, nor began within the last."""
    for name in names:
        local = now.astimezone(ZoneInfo(name))
        if timedelta(hours=1) < timedelta(hours=local.hour, minutes=local.minute) < timedelta(hours=23):
            return name
    raise AssertionError(f"a day ends now in each of {names}")


def _person(event: Fields) -> str:
    return f"u:{event['user']}" if "user" in event else f"a:{event['anonymous_id']}"
