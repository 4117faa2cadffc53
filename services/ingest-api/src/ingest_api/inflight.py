"""Bounds the bytes of all requests that are being worked on."""

from types import TracebackType
from typing import Self

from lifecycle.errors import Problem
from telemetry.metrics import Gauge

_RETRY_AFTER_S = 1


class Inflight:
    """The bytes now held for requests; never more than `max_bytes`."""

    def __init__(self, max_bytes: int, gauge: Gauge) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        # Read when somebody looks, for the number changes twice with each request.
        gauge.follow(lambda: self._bytes)

    def reserve(self) -> "Reservation":
        """A reservation of nothing yet, given back at the end."""
        return Reservation(self)

    def has_room(self, more_bytes: int) -> bool:
        """Whether so many bytes more may be held."""
        return self._bytes + more_bytes <= self._max_bytes

    def take(self, more_bytes: int) -> None:
        """Hold so many bytes more; raises Problem when there is no room."""
        if not self.has_room(more_bytes):
            raise Problem(
                503,
                "busy",
                "More bytes are being worked on than this process may hold. Nothing of this request was stored.",
                hint=f"Send the same request again in {_RETRY_AFTER_S} s.",
                headers={"retry-after": str(_RETRY_AFTER_S)},
            )
        self._bytes += more_bytes

    def give_back(self, held_bytes: int) -> None:
        """Hold so many bytes no longer."""
        self._bytes -= held_bytes


class Reservation:
    """One request's share of the bytes in flight, given back on leaving the `with`."""

    __slots__ = ("_inflight", "held_bytes")

    def __init__(self, inflight: Inflight) -> None:
        self.held_bytes = 0
        self._inflight = inflight

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inflight.give_back(self.held_bytes)

    def add(self, more_bytes: int) -> None:
        """Hold so many bytes more; raises Problem when there is no room."""
        self._inflight.take(more_bytes)
        self.held_bytes += more_bytes
