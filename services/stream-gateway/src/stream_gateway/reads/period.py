"""Days and periods of a project's time zone, as moments.

Every zone of today begins its days at a whole quarter of an hour in UTC, also where the clock changes at
midnight, so sums over quarters between these moments are exact.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a time zone, the first and the last included."""

    zone: str
    first: date
    last: date

    @classmethod
    def until(cls, now: datetime, zone: str, number: int) -> "Days":
        """The day that contains `now` and those before it, `number` in all."""
        today = now.astimezone(ZoneInfo(zone)).date()
        return cls(zone, today - (number - 1) * _DAY, today)

    @property
    def begins_at(self) -> datetime:
        """The first instant of the first day, in UTC."""
        return _begin(self.first, self.zone)

    @property
    def ends_at(self) -> datetime:
        """The first instant after the last day, in UTC."""
        return _LATEST if self.last == date.max else _begin(self.last + _DAY, self.zone)


@dataclass(frozen=True, slots=True)
class Period:
    """Some days up to now, and as many days before them up to the same time of day.

    The days before end where a quarter of an hour begins.
    """

    days: Days
    previous_begins_at: datetime
    previous_ends_at: datetime

    @classmethod
    def until(cls, now: datetime, zone: str, number: int) -> "Period":
        """The period of `number` days, the last of which contains `now`."""
        days = Days.until(now, zone, number)
        before = days.last - number * _DAY
        clock = now.astimezone(ZoneInfo(zone)).timetz().replace(fold=0)
        then = datetime.combine(before, clock).astimezone(UTC)
        return cls(
            days,
            _begin(days.first - number * _DAY, zone),
            then.replace(minute=then.minute // 15 * 15, second=0, microsecond=0),
        )


def _begin(day: date, zone: str) -> datetime:
    """Midnight, or the first instant after it where the clock skips it; at the calendar's ends, that end."""
    try:
        return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:
        return _EARLIEST if day.year == 1 else _LATEST
