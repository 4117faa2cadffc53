"""The bounds of what is admitted; the same for every sender."""

from datetime import timedelta
from typing import Final

MAX_BODY_BYTES: Final = 20 * 1024 * 1024
"""One request's body, compressed and decoded alike."""
MAX_RATIO: Final = 100
"""Decoded bytes per compressed byte, once `RATIO_FREE_BYTES` are decoded."""
RATIO_FREE_BYTES: Final = 1024 * 1024
MAX_EVENTS: Final = 10_000
MAX_EVENT_BYTES: Final = 512 * 1024
MAX_QUARANTINED_BYTES: Final = 256 * 1024
"""A larger event cannot be quarantined: written as text in a record it might not fit. It is rejected instead."""
MAX_DEPTH: Final = 32
"""Objects and arrays inside one another; the event itself is the first."""
MAX_ID_CHARS: Final = 512
MAX_ID_BYTES: Final = 1_024
"""Two ids, a project and a number must fit in one entry of a PostgreSQL index, which takes 2,704 bytes."""
MAX_ACTION_CHARS: Final = 256
MAX_SDK_CHARS: Final = 64

MAX_AHEAD: Final = timedelta(minutes=5)
"""An event further in the future than this is clamped to the time of its receipt."""
MIN_SKEW: Final = timedelta(seconds=10)
"""Less is taken for the time the request was under way."""
MAX_SKEW: Final = timedelta(days=7)
"""More is taken for a body that was kept and sent again as it was."""
PAST_AFTER: Final = timedelta(days=5)
"""An event of a vendor's import that is older at its receipt is history: Mixpanel takes no older ones as live."""
