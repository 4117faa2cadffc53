"""Who is in the demo: the customers of Wayrota, an invented planner of field technicians' rounds."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from footfall.demo.names import address_of, draw_name

Role = Literal["owner", "dispatcher", "technician", "office", "manager"]

_TEAM: Final[Sequence[Role]] = (
    *("owner", "dispatcher", "technician", "office", "technician", "dispatcher"),
    *("technician", "manager", "technician", "dispatcher", "technician", "office"),
)
_SHARE: Final[dict[Role, float]] = {
    "owner": 0.7,
    "dispatcher": 1.6,
    "technician": 0.8,
    "office": 1.0,
    "manager": 0.6,
}
_REGIONS: Final = {
    "Africa/Johannesburg": "africa",
    "Africa/Nairobi": "africa",
    "America/Chicago": "north-america",
    "America/Denver": "north-america",
    "America/Los_Angeles": "north-america",
    "America/New_York": "north-america",
    "America/Sao_Paulo": "brazil",
    "America/Toronto": "north-america",
    "Asia/Dubai": "gulf",
    "Asia/Kolkata": "india",
    "Asia/Singapore": "east-asia",
    "Asia/Tokyo": "east-asia",
    "Australia/Adelaide": "anz",
    "Australia/Sydney": "anz",
    "Europe/Berlin": "germany",
    "Europe/London": "britain",
    "Europe/Madrid": "iberia",
    "Europe/Paris": "france",
    "Europe/Stockholm": "nordic",
    "Europe/Warsaw": "poland",
    "Pacific/Auckland": "anz",
}
_CURRENCIES: Final = {
    "Africa": "ZAR",
    "America": "USD",
    "Asia": "USD",
    "Australia": "AUD",
    "Europe": "EUR",
    "Pacific": "NZD",
}
OWNERS: Final = ("Ines Moravec", "Tomas Adeyinka", "Karin Holmgaard", "Rafe Castellan", "Yuki Brennan")
"""Who looks after the customers at Wayrota."""


class Person(NamedTuple):
    """Somebody who works with the product; `account` is None for those who only looked at it."""

    user: str
    name: str
    role: Role
    account: str | None


class Account(NamedTuple):
    """A customer. `people` in the order they came; `shares` of its activity, summed up along them."""

    id: str
    name: str
    industry: str
    zone: ZoneInfo
    currency: str
    plan: str
    seats: int
    owner: str
    weight: float
    around_the_clock: bool
    people: Sequence[Person]
    shares: Sequence[float]


# Name, industry, zone, people, plan, weight; those marked with + work around the clock.
_ESTABLISHED: Final = """
Osterhuus Elevators+       | Lifts                | Europe/Berlin       | 12 | enterprise | 2.6
Quillmoor Plumbing         | Plumbing             | Europe/London       |  9 | business   | 2.2
Brindlewater Heating       | Heating and cooling  | America/New_York    | 11 | enterprise | 3.0
Kestrel Lane Electric      | Electrical           | America/Chicago     |  8 | business   | 1.8
Frosthollow Refrigeration+ | Refrigeration        | Australia/Sydney    | 10 | enterprise | 2.6
Pikorua Solar              | Solar                | Pacific/Auckland    |  6 | team       | 1.4
Tanglemoth Pest Control    | Pest control         | America/Los_Angeles |  7 | business   | 1.7
Granvik Fiber              | Telecoms             | Europe/Stockholm    |  8 | business   | 1.6
Chauffage Merisier         | Heating and cooling  | Europe/Paris        |  7 | business   | 1.5
Sierra Alta Climatización  | Heating and cooling  | Europe/Madrid       |  6 | team       | 1.2
Bursztyn Alarms+           | Security             | Europe/Warsaw       |  5 | team       | 1.0
Marrowby Lifts             | Lifts                | Europe/London       |  6 | team       | 1.1
Falkenried Medizintechnik+ | Medical devices      | Europe/Berlin       |  7 | business   | 1.5
Mzansela Pumps             | Pumps                | Africa/Johannesburg |  6 | team       | 1.1
Savanna Ridge Boreholes    | Water                | Africa/Nairobi      |  5 | team       | 0.9
Dune Crest Cooling+        | Heating and cooling  | Asia/Dubai          |  8 | business   | 2.0
Neelmani Lifts+            | Lifts                | Asia/Kolkata        | 10 | business   | 2.3
Peacock Gate UPS+          | Power backup         | Asia/Kolkata        |  6 | team       | 1.3
Straits Lantern Facilities+| Facilities           | Asia/Singapore      |  9 | enterprise | 2.4
Kazahaya Vending           | Vending              | Asia/Tokyo          |  7 | business   | 1.6
Saltbark Irrigation        | Irrigation           | Australia/Adelaide  |  5 | team       | 1.0
Red Juniper Roofing        | Roofing              | America/Denver      |  6 | team       | 1.1
Maple Fork Appliance       | Appliance repair     | America/Toronto     |  6 | team       | 1.2
Serra Clara Elevadores+    | Lifts                | America/Sao_Paulo   |  8 | business   | 1.8
Harrow Creek Fire Safety+  | Fire safety          | America/New_York    |  7 | business   | 1.6
Sunny Otter Pool Care      | Pools                | America/Los_Angeles |  4 | starter    | 0.7
Copper Finch Locksmiths+   | Locksmiths           | America/Chicago     |  5 | team       | 1.2
Thistlewick Gardens        | Gardens              | Europe/London       |  3 | starter    | 0.6
"""
_TRIAL_PLACES: Final = [
    "Alder Quay",
    "Briar Hollow",
    "Cinder Row",
    "Dovetail",
    "Ember Vale",
    "Foxglove",
    "Granite Spur",
    "Hazelmere",
    "Ironbark",
    "Juniper Gap",
    "Kittiwake",
    "Larkfield",
    "Moonpenny",
    "Nettlecombe",
    "Oxbow",
    "Plover Bay",
    "Quarry Bank",
    "Rookwood",
    "Silverlode",
    "Tamarack",
    "Umber Hill",
    "Vesper",
    "Willowherb",
    "Yarrow",
]
_TRIAL_TRADES: Final = (
    ("Electric", "Electrical"),
    ("Boilers", "Heating and cooling"),
    ("Glazing", "Glazing"),
    ("Lifts", "Lifts"),
    ("Drainage", "Plumbing"),
    ("Solar", "Solar"),
    ("Gates", "Security"),
    ("Coffee Machines", "Vending"),
    ("Window Cleaning", "Cleaning"),
    ("Chillers", "Refrigeration"),
    ("Tree Care", "Gardens"),
    ("Scales", "Calibration"),
    ("Chimneys", "Heating and cooling"),
)
"""Ends of names, and the industry. Their number and that of the places share no divisor: all pairs come up."""
_ZONES: Final = tuple(sorted(_REGIONS))
_SEATS: Final = {"starter": 5, "team": 10, "business": 25, "enterprise": 60, "trial": 5}


class _Profile(NamedTuple):
    name: str
    industry: str
    zone: str
    size: int
    plan: str
    weight: float
    around_the_clock: bool


def established() -> Sequence[Account]:
    """The customers who were there before the thirty days. No two people have the same name."""
    taken: set[str] = set()
    found = []
    for number, line in enumerate(_ESTABLISHED.strip().splitlines()):
        name, industry, zone, size, plan, weight = (cell.strip() for cell in line.split("|"))
        around_the_clock = name.endswith("+")
        profile = _Profile(
            name.removesuffix("+"), industry, zone, int(size), plan, float(weight), around_the_clock
        )
        found.append(_account(profile, number, taken))
    return found


@lru_cache(maxsize=512)
def trial_account(number: int) -> Account:
    """The customer of the trial with this number, from 0; each number has another."""
    rng = Random(f"trial {number}")
    places, trades = len(_TRIAL_PLACES), len(_TRIAL_TRADES)
    trade, industry = _TRIAL_TRADES[number % trades]
    again, within = divmod(number, places * trades)
    name = f"{_TRIAL_PLACES[within % places]} {trade}" + (f" {again + 1}" if again else "")
    zone, size, weight = rng.choice(_ZONES), rng.randint(3, 7), rng.uniform(0.6, 1.1)
    return _account(_Profile(name, industry, zone, size, "trial", weight, False), number, set())


def draw_person(rng: Random, domain: str, role: Role) -> Person:
    """Somebody from anywhere who belongs to no customer."""
    name = draw_name(_REGIONS[rng.choice(_ZONES)], rng)
    return Person(address_of(name, domain), name, role, None)


def _account(profile: _Profile, number: int, taken: set[str]) -> Account:
    account = re.sub(r"[^a-z0-9]+", "-", address_of(profile.name, "").rstrip("@").replace(".", "-"))
    people = _people(account, profile.zone, profile.size, taken)
    return Account(
        id=account,
        name=profile.name,
        industry=profile.industry,
        zone=ZoneInfo(profile.zone),
        currency="GBP" if profile.zone == "Europe/London" else _CURRENCIES[profile.zone.partition("/")[0]],
        plan=profile.plan,
        seats=max(_SEATS[profile.plan], profile.size),
        owner=OWNERS[number % len(OWNERS)],
        weight=profile.weight,
        around_the_clock=profile.around_the_clock,
        people=people,
        shares=list(accumulate(_SHARE[person.role] for person in people)),
    )


def _people(account: str, zone: str, size: int, taken: set[str]) -> Sequence[Person]:
    """People whose names are not taken; they are then."""
    rng = Random(f"people of {account}")
    names: list[str] = []
    while len(names) < size:
        name = draw_name(_REGIONS[zone], rng)
        if name not in taken:
            taken.add(name)
            names.append(name)
    return [
        Person(address_of(name, f"{account}.example"), name, _TEAM[place], account)
        for place, name in enumerate(names)
    ]
