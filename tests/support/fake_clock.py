"""A clock that moves when it is told to."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts on a Sunday in November; `monotonic` moves with it and never back."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += max(0.0, seconds)

    def set_now(self, now: datetime) -> None:
        """Correct the wall clock, as an administrator or NTP does; `monotonic` does not notice."""
        self._now = now
