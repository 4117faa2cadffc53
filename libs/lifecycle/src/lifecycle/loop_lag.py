"""Measures how late the event loop is."""

import asyncio

from telemetry.catalog import LOOP_LAG_SECONDS
from telemetry.metrics import Metrics

INTERVAL_S = 0.25


async def measure_loop_lag(metrics: Metrics) -> None:
    """Until cancelled, observe how much later than asked a timer fires: what blocks the loop shows here."""
    histogram = metrics.histogram(LOOP_LAG_SECONDS)
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        histogram.observe(max(0.0, loop.time() - due))
