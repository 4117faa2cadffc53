"""Whether one user or visitor sends so much that their partition carries it alone."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final

from telemetry.catalog import INGEST_HOT_KEY_SHARE
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

WINDOW_S: Final = 10.0
MIN_EVENTS: Final = 1_000
"""Fewer in a window say nothing about shares."""
_MAX_KEYS: Final = 10_000
_LOUD_SHARE: Final = 0.5

_log = get_logger(__name__)


class HotKeys:
    """The share of the events of the last window that had its most frequent key.

    Of each append one event is looked at and stands for all of them: exact for single events, right on average
    for batches. A key is personal data, so the metric and the log name the share and the project alone.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._share = metrics.gauge(INGEST_HOT_KEY_SHARE)
        self._counts: Counter[bytes] = Counter()
        self._events = 0
        self._began_s = float("-inf")

    def note(self, messages: Sequence[tuple[bytes, bytes]], now_s: float) -> None:
        """Count the messages of one append; `now_s` is a monotonic time in seconds."""
        if now_s - self._began_s >= WINDOW_S:
            self._show()
            self._began_s = now_s
        size = len(messages)
        key = messages[0 if size == 1 else random.randrange(size)][0]
        self._events += size
        if key in self._counts or len(self._counts) < _MAX_KEYS:
            self._counts[key] += size

    def _show(self) -> None:
        if self._events >= MIN_EVENTS:
            key, events = self._counts.most_common(1)[0]
            share = events / self._events
            self._share.set(share)
            if share >= _LOUD_SHARE:
                _log.warning(
                    "one user or visitor sends most of the events, so one partition carries them",
                    project=key.partition(b":")[0].decode(),
                    share=round(share, 2),
                )
        else:
            self._share.set(0)
        self._counts.clear()
        self._events = 0
