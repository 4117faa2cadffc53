"""What people do in Wayrota: the steps of their work, by role, and what each step says about itself."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from footfall.demo.cast import Account, Role

SITE: Final = "https://wayrota.example"

Properties = dict[str, Any]


class Work(NamedTuple):
    """What the steps of one stretch of work have in common."""

    job: int
    kind: str
    amount: int
    currency: str


class Flow(NamedTuple):
    """Steps taken one after the other, and how often. A step that begins with / is a page."""

    weight: float
    steps: tuple[str, ...]


_JOBS: Final = ("inspection", "repair", "installation", "annual service", "emergency", "warranty visit")
_REPORTS: Final = (
    "Utilisation",
    "Jobs by status",
    "Travel time",
    "First-time fix rate",
    "Revenue by customer",
)
_TITLES: Final = {
    "/": "Wayrota: rounds that plan themselves",
    "/customers": "Customers",
    "/dashboard": "Dashboard",
    "/features/rounds": "How rounds work",
    "/help": "Help",
    "/invoices": "Invoices",
    "/jobs": "Jobs",
    "/map": "Map",
    "/pricing": "Pricing",
    "/reports": "Reports",
    "/schedule": "Schedule",
    "/settings": "Settings",
    "/sign-up": "Start a trial",
    "/stories/lifts": "Customers: a lift company",
    "/team": "Team",
    "/today": "My day",
}
_FLOWS: Final[Mapping[Role, Sequence[Flow]]] = {
    "owner": (
        Flow(4, ("/dashboard", "opened report", "opened report")),
        Flow(2, ("/reports", "opened report", "exported report")),
        Flow(2, ("/invoices", "sent quote")),
        Flow(1, ("/team", "invited teammate")),
        Flow(1, ("/settings", "changed settings")),
        Flow(0.5, ("/settings", "connected accounting", "imported customers")),
    ),
    "dispatcher": (
        Flow(5, ("/schedule", "created job", "assigned technician", "messaged customer")),
        Flow(4, ("/schedule", "moved job", "messaged customer")),
        Flow(3, ("/map", "optimised route", "assigned technician", "assigned technician")),
        Flow(2, ("/customers", "added customer", "created job", "assigned technician")),
        Flow(1, ("/schedule", "cancelled job", "messaged customer")),
        Flow(1, ("/settings", "connected calendar", "/schedule")),
    ),
    "technician": (
        Flow(6, ("/today", "started job", "uploaded photo", "completed job")),
        Flow(3, ("/today", "started job", "logged parts", "collected signature", "completed job")),
        Flow(2, ("/map", "/today", "started job", "completed job")),
    ),
    "office": (
        Flow(5, ("/invoices", "created invoice", "sent invoice")),
        Flow(3, ("/invoices", "recorded payment", "recorded payment")),
        Flow(2, ("/invoices", "exported invoices")),
        Flow(2, ("/customers", "added customer", "sent quote")),
        Flow(1, ("/jobs", "opened report", "exported report")),
    ),
    "manager": (
        Flow(4, ("/reports", "opened report", "opened report", "exported report")),
        Flow(3, ("/map", "/schedule", "moved job", "assigned technician")),
        Flow(1, ("/team", "invited teammate")),
    ),
}
_WEIGHTS: Final = {role: [flow.weight for flow in flows] for role, flows in _FLOWS.items()}
_DESCRIPTIONS: Final[Mapping[str, Callable[[Random, Work], Properties]]] = {
    "added customer": lambda rng, work: {"kind": rng.choice(("household", "company", "public"))},
    "assigned technician": lambda rng, work: {"job": work.job, "travel_min": rng.randint(4, 55)},
    "cancelled job": lambda rng, work: {"job": work.job, "reason": rng.choice(("customer", "weather", "no parts"))},
    "changed settings": lambda rng, work: {"section": rng.choice(("working hours", "zones", "notifications"))},
    "collected signature": lambda rng, work: {"job": work.job},
    "completed job": lambda rng, work: {"job": work.job, "kind": work.kind, "minutes": rng.randint(20, 190)},
    "connected accounting": lambda rng, work: {"direction": rng.choice(("both ways", "invoices only"))},
    "connected calendar": lambda rng, work: {"calendars": rng.randint(1, 6)},
    "created invoice": lambda rng, work: {"amount": work.amount, "currency": work.currency},
    "created job": lambda rng, work: {"job": work.job, "kind": work.kind},
    "exported invoices": lambda rng, work: {"format": rng.choice(("csv", "pdf")), "count": rng.randint(5, 140)},
    "exported report": lambda rng, work: {"report": rng.choice(_REPORTS), "format": rng.choice(("csv", "pdf"))},
    "imported customers": lambda rng, work: {"count": rng.randint(12, 900)},
    "invited teammate": lambda rng, work: {"role": rng.choice(("dispatcher", "technician", "office"))},
    "logged parts": lambda rng, work: {"job": work.job, "parts": rng.randint(1, 9)},
    "messaged customer": lambda rng, work: {"job": work.job, "channel": rng.choice(("sms", "email"))},
    "moved job": lambda rng, work: {"job": work.job, "days": rng.choice((-1, 1, 1, 2, 7))},
    "opened report": lambda rng, work: {"report": rng.choice(_REPORTS), "days": rng.choice((7, 30, 90))},
    "optimised route": lambda rng, work: {"stops": rng.randint(4, 14), "saved_km": rng.randint(3, 60)},
    "recorded payment": lambda rng, work: {"amount": work.amount, "currency": work.currency},
    "sent invoice": lambda rng, work: {"amount": work.amount, "currency": work.currency},
    "sent quote": lambda rng, work: {"amount": 2 * work.amount, "currency": work.currency},
    "started job": lambda rng, work: {"job": work.job, "kind": work.kind},
    "uploaded photo": lambda rng, work: {"job": work.job, "photos": rng.randint(1, 6)},
    "auto-planned day": lambda rng, work: {"jobs": rng.randint(8, 40), "technicians": rng.randint(2, 9)},
    "shared live map": lambda rng, work: {"job": work.job},
    "saw error": lambda rng, work: {
        "code": rng.choice(("SYNC-409", "MAP-504", "PDF-500")),
        "page": rng.choice(("/schedule", "/map", "/invoices")),
    },
    "opened ticket": lambda rng, work: {"subject": rng.choice(("Sync fails", "Jobs vanish", "Slow map"))},
    "replied to ticket": lambda rng, work: {"waiting_h": rng.randint(1, 30)},
}  # fmt: skip


def draw_work(rng: Random, account: Account | None) -> Work:
    """What the next stretch is about. Most invoices are small, a few are not."""
    return Work(
        rng.randint(10_000, 99_999),
        rng.choice(_JOBS),
        round(min(60_000.0, 90 * rng.paretovariate(0.9))),
        account.currency if account else "USD",
    )


def draw_flow(rng: Random, role: Role) -> Flow:
    """What somebody of the role does next."""
    return rng.choices(_FLOWS[role], _WEIGHTS[role])[0]


def properties_of(step: str, rng: Random, work: Work) -> Properties:
    """What the step says about itself; nothing for most that happen once."""
    describe = _DESCRIPTIONS.get(step)
    return describe(rng, work) if describe else {}


def page_properties(path: str) -> Properties:
    """What a page view says."""
    return {"path": path, "title": _TITLES[path]}
