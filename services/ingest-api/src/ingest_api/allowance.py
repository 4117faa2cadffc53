"""How much of something each project may use, over time."""

import math

from eventmodel import ProjectId


class Allowances:
    """`per_s` units a second for each project, up to `burst` at once.

    `now_s` is a monotonic time in seconds.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left: dict[ProjectId, tuple[float, float]] = {}

    def available(self, project: ProjectId, now_s: float) -> float:
        """Units the project may use now; negative while it has used more than its share."""
        left, at_s = self._left.get(project, (self._burst, now_s))
        return min(self._burst, left + (now_s - at_s) * self._per_s)

    def use(self, project: ProjectId, units: float, now_s: float) -> None:
        """Take the units, also when fewer are available: the project then waits for longer."""
        self._left[project] = (self.available(project, now_s) - units, now_s)

    def wait_s(self, project: ProjectId, now_s: float) -> float:
        """Seconds until anything is available; 0 when something is."""
        available = self.available(project, now_s)
        return 0.0 if available > 0 else (1 - available) / self._per_s

    def headers(self, project: ProjectId, now_s: float) -> tuple[tuple[bytes, bytes], ...]:
        """What the project may still send, for an answer: RateLimit-Limit and -Remaining in units, -Reset in seconds.

        The limit is what may be used at once, the reset when all of it is there again.
        Source: draft-ietf-httpapi-ratelimit-headers-06.
        """
        available = self.available(project, now_s)
        return (
            (b"ratelimit-limit", b"%d" % self._burst),
            (b"ratelimit-remaining", b"%d" % max(0.0, available)),
            (b"ratelimit-reset", b"%d" % math.ceil((self._burst - available) / self._per_s)),
        )
