"""When people work: office hours of each zone, the week, and how much comes from all of them together."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

_BY_HOUR: Final = (
    *(0.02, 0.01, 0.01, 0.01, 0.02, 0.06, 0.25, 0.75, 1.0, 1.0, 1.0, 0.95),
    *(0.7, 0.85, 0.95, 0.95, 0.85, 0.5, 0.2, 0.1, 0.07, 0.06, 0.04, 0.03),
)
_BY_DAY: Final = (0.95, 1.0, 1.0, 1.0, 0.85, 0.12, 0.06)
_NIGHT_AROUND_THE_CLOCK: Final = 0.2
_DAY_AROUND_THE_CLOCK: Final = 0.5

LEAST_PER_MIN: Final = 3.8
MOST_PER_MIN: Final = 7.5
PER_WEIGHT_PER_MIN: Final = 0.29
_GROWTH_FROM: Final = 0.4


def presence(at: datetime, zone: ZoneInfo, *, around_the_clock: bool) -> float:
    """How much of a full team is at work then, 0 to 1."""
    local = at.astimezone(zone)
    by_hour, by_day = _BY_HOUR[local.hour], _BY_DAY[local.weekday()]
    if around_the_clock:
        by_hour, by_day = max(by_hour, _NIGHT_AROUND_THE_CLOCK), max(by_day, _DAY_AROUND_THE_CLOCK)
    return by_hour * by_day


def rate_per_min(present: float, grown: float) -> float:
    """Events a minute when this much weight is present: never under the floor, so that no hour is empty."""
    return min(MOST_PER_MIN, max(LEAST_PER_MIN, PER_WEIGHT_PER_MIN * present)) * growth(grown)


def growth(grown: float) -> float:
    """The size of the business against that of the demo's making; `grown` is how much of the month before is over."""
    return _GROWTH_FROM + (1 - _GROWTH_FROM) * min(1.0, max(0.0, grown)) ** 2


def local_time(day: datetime, hour: float, zone: ZoneInfo) -> datetime:
    """That hour of the zone's day which holds noon UTC of `day`, as UTC."""
    local = day.replace(hour=12).astimezone(zone)
    whole = int(hour)
    return local.replace(hour=whole, minute=int(60 * (hour - whole)), second=0, microsecond=0).astimezone(UTC)
