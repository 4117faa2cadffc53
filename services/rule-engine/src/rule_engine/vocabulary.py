"""The words of the rule language: what this version acts on, and what it knows to come later."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "number", "boolean", "time", "list", "any"]
"""A compile-time type; `any` is known only when an event is there."""

Mode: TypeAlias = Literal["live", "shadow", "off"]

MODES: Final[dict[str, Mode]] = {"live": "live", "shadow": "shadow", "off": "off"}

DECLARATIONS: Final = ("rule",)
LATER_DECLARATIONS: Final = ("define", "segment", "score", "journey", "metric")

EVENT_FIELDS: Final[dict[str, Kind]] = {
    "id": "text",
    "action": "text",
    "type": "text",
    "user": "text",
    "anonymous_id": "text",
    "account": "text",
    "time": "time",
}
"""`$event.<field>`: the event's own fields. Any other name after `$event.` is one of its properties."""

EVENT_OBJECTS: Final = ("properties", "traits", "context", "enriched")
"""`$event.<object>.<path>`: the event's three objects by name, and what its context tells: docs/enrichment.md."""

LATER_VARIABLES: Final = ("$user", "$account")

LATER_FUNCTIONS: Final = (
    "active_days",
    "age",
    "changed",
    "count",
    "count_distinct",
    "coupon",
    "days_in_stage",
    "days_since",
    "days_until",
    "decayed",
    "did",
    "did_all",
    "did_any",
    "did_not",
    "entered",
    "first",
    "inactive_for",
    "last",
    "left",
    "member",
    "metric",
    "nps",
    "online",
    "overdue",
    "peak",
    "percentile",
    "ratio",
    "scale",
    "score",
    "sequence",
    "share",
    "stage",
    "sum",
    "total",
    "trend",
)

ACTIONS: Final[dict[str, tuple[str, ...]]] = {"dashboard": ("note",)}
"""Each action's arguments, all of them texts and all of them required."""

LATER_ACTIONS: Final = ("email", "notify", "show", "slack", "task", "tour", "webhook")

LATER_OPTIONS: Final = ("cancel", "cap", "consent", "history", "limit", "quiet", "rearm", "stale")

NOTE_VALUES: Final = ("event", "user", "anonymous_id", "account", "rule")
"""What stands first in `{{ … }}`."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most probably means."""
    found = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
