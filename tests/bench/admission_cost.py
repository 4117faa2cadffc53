"""What admission costs, alone: CPU of one core per event.

Run with `make bench`, or alone: PYTHONPATH=tests/support python tests/bench/admission_cost.py [seconds]
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from admission import admit, sender_of
from eventmodel import ProjectId
from lifecycle.process import collect_rarely
from measurement import Row, show

SECONDS = 5.0
EVENT: dict[str, Any] = {
    "user": "ada@acme.example",
    "action": "opened report",
    "account": "acme",
    "time": "2026-11-22T09:30:00.123Z",
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "properties": {"report": "churn", "rows": 120, "filters": ["plan", "region"], "shared": True},
}
BODIES = {
    "100 in an array": (json.dumps([EVENT] * 100).encode(), 100),
    "100 without ids": (json.dumps([{k: v for k, v in EVENT.items() if k != "id"}] * 100).encode(), 100),
    "100 lines": (b"\n".join([json.dumps(EVENT).encode()] * 100), 100),
    "one": (json.dumps(EVENT).encode(), 1),
    "10,000 in an array": (json.dumps([EVENT] * 10_000).encode(), 10_000),
}


async def run(seconds: float = SECONDS) -> list[Row]:
    """A row for each kind of body."""
    return [_admission(name, body, count, seconds / 5) for name, (body, count) in BODIES.items()]


def _admission(name: str, body: bytes, count: int, seconds: float) -> Row:
    project, now = ProjectId("pabcdefgh234"), datetime(2026, 11, 22, 9, 31, tzinfo=UTC)
    sender, fewest_s = sender_of("kq4rtz6mxk2a", "python-requests/2.31.0"), float("inf")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        began_s = time.process_time()
        admitted = admit(body, project=project, received_at=now, sender=sender)
        fewest_s = min(fewest_s, time.process_time() - began_s)
        assert len(admitted.messages) == count
    cpu_us = round(fewest_s / count * 1e6, 1)
    return Row(
        what=f"admission, {name}",
        per_s=round(1e6 / cpu_us),
        cpu_us=cpu_us,
        remark="one core, the fastest run",
    )


if __name__ == "__main__":
    collect_rarely()
    show(asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))
