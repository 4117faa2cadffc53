"""Bounds the bytes of all requests that are being worked on."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from lifecycle.errors import Problem

_RETRY_AFTER_S = 1


class Inflight:
    """The bytes now held for requests; never more than `max_bytes`."""

    def __init__(self, max_bytes: int, gauge: Gauge) -> None:
        self._max_bytes = max_bytes
        self._gauge = gauge
        self._bytes = 0

    @contextmanager
    def reserve(self) -> Iterator["Reservation"]:
        """A reservation of nothing yet, given back at the end."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self._change(-reservation.held_bytes)

    def take(self, more_bytes: int) -> None:
        """Hold so many bytes more; raises Problem when there is no room."""
        if self._bytes + more_bytes > self._max_bytes:
            raise Problem(
                503,
                "busy",
                "More bytes are being worked on than this process may hold. Nothing of this request was stored.",
                hint=f"Send the same request again in {_RETRY_AFTER_S} s.",
                headers={"retry-after": str(_RETRY_AFTER_S)},
            )
        self._change(more_bytes)

    def _change(self, by_bytes: int) -> None:
        self._bytes += by_bytes
        self._gauge.set(self._bytes)


class Reservation:
    """One request's share of the bytes in flight."""

    def __init__(self, inflight: Inflight) -> None:
        self.held_bytes = 0
        self._inflight = inflight

    def add(self, more_bytes: int) -> None:
        """Hold so many bytes more; raises Problem when there is no room."""
        self._inflight.take(more_bytes)
        self.held_bytes += more_bytes
