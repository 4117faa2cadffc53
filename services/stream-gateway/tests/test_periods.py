"""Days and periods as moments, where clocks change and where hours are halved."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stream_gateway.reads.period import Days, Period


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "day", "begins", "ends"),
    [
        ("UTC", "2026-11-22", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("Asia/Kolkata", "2026-11-22", "2026-11-21T18:30", "2026-11-22T18:30"),
        ("Asia/Kathmandu", "2026-11-22", "2026-11-21T18:15", "2026-11-22T18:15"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),
        # The clock skips midnight, and passes it twice.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", "2026-04-24T21:00"),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
    ],
)
def test_a_day_lasts_from_its_first_instant_to_the_next_days(
    zone: str, day: str, begins: str, ends: str
) -> None:
    days = Days(zone, date.fromisoformat(day), date.fromisoformat(day))
    assert (days.begins_at, days.ends_at) == (at(begins), at(ends))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/Los_Angeles"])
@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_the_calendar_are_moments_that_can_be_compared(zone: str, day: date) -> None:
    days = Days(zone, day, day)
    assert days.begins_at < days.ends_at
    assert days.begins_at.utcoffset() == timedelta()


def test_days_until_now_end_with_the_zones_today() -> None:
    days = Days.until(at("2026-11-22T18:30"), "Asia/Kolkata", 14)
    assert (days.first, days.last) == (date(2026, 11, 10), date(2026, 11, 23))


@pytest.mark.parametrize(
    ("zone", "now", "number", "begins", "ends"),
    [
        ("UTC", "2026-11-22T12:00", 1, "2026-11-21T00:00", "2026-11-21T12:00"),
        ("UTC", "2026-11-22T12:14:59", 7, "2026-11-09T00:00", "2026-11-15T12:00"),
        ("Asia/Kolkata", "2026-11-22T12:16", 1, "2026-11-20T18:30", "2026-11-21T12:15"),
        # 12:00 in Berlin is 11:00 UTC in winter and 10:00 in summer.
        ("Europe/Berlin", "2026-10-26T11:00", 1, "2026-10-24T22:00", "2026-10-25T11:00"),
        ("Europe/Berlin", "2026-10-26T11:00", 2, "2026-10-22T22:00", "2026-10-24T10:00"),
        # 02:30 of the day before does not exist, and exists twice.
        ("Europe/Berlin", "2026-03-30T00:30", 1, "2026-03-28T23:00", "2026-03-29T01:30"),
        ("Europe/Berlin", "2026-10-26T01:30", 1, "2026-10-24T22:00", "2026-10-25T00:30"),
        # The second 02:30 of the day on which there are two.
        ("Europe/Berlin", "2026-10-25T01:30", 1, "2026-10-23T22:00", "2026-10-24T00:30"),
    ],
)
def test_the_days_before_end_at_the_same_time_of_day(
    zone: str, now: str, number: int, begins: str, ends: str
) -> None:
    period = Period.until(at(now), zone, number)
    assert (period.previous_begins_at, period.previous_ends_at) == (at(begins), at(ends))
    assert period.previous_ends_at <= period.days.begins_at
    assert period.previous_ends_at.tzinfo is UTC
