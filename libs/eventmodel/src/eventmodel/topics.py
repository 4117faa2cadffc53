"""The suite's topics by name; their keys, sizes and retention stand in contracts/topics."""

from typing import Final

EVENTS: Final = "footfall.events"
BACKFILL: Final = "footfall.backfill"
ACTIONS: Final = "footfall.actions"
SIGNALS: Final = "footfall.signals"
REJECTED: Final = "footfall.rejected"

ALL: Final = (EVENTS, BACKFILL, ACTIONS, SIGNALS, REJECTED)

MAX_RECORD_BYTES: Final = 1_048_576
"""The largest record (key and value) any topic takes."""
