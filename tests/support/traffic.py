"""Traffic to replay in tests, and waiting until a watcher was shown all of it."""

import asyncio
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from replay import Watcher, load, shifted


def made_up(count: int = 3000) -> list[dict[str, Any]]:
    """Bursts, quiet months, a heavy tail of users, same-second events, odd ids; some ids belong to two users."""
    choose = random.Random(11)
    at = datetime(2016, 1, 1, tzinfo=UTC)
    events = []
    for n in range(count):
        at += timedelta(seconds=choose.choice((0, 0, 1, 60, 3600, 86_400)))
        if n % 700 == 0:
            at += timedelta(days=200)
        user = int(choose.paretovariate(0.9))
        events.append(
            {
                "id": f"e{n // 2}" if n % 50 < 2 else f"e{n}-ü/{n % 7}",
                "user": f"user {user % 400} ß" if user % 3 else f"user-{user % 400}/x",
                "account": ("acme", "Globex & Sons", "initech%2F", "umbrella", "日本")[user % 5],
                "action": choose.choice(("opened report", "ran export", "invited teammate", "fixed a bug")),
                "time": at.isoformat(),
                "properties": {"n": n, "note": 'quote " and \\ and \u2028'},
            }
        )
    return shifted(events, datetime.now(UTC))


def traffic() -> list[dict[str, Any]]:
    """The file named by FOOTFALL's tester in REPLAY_FILE, else a made-up one."""
    named = os.environ.get("REPLAY_FILE")
    return load(Path(named)) if named else made_up()


async def everything_shown(watcher: Watcher, events: list[dict[str, Any]], within_s: float = 60) -> None:
    expected = {(event["user"], event["id"]) for event in events}
    async with asyncio.timeout(within_s):
        while expected - watcher.seen.keys():
            await asyncio.sleep(0.05)
