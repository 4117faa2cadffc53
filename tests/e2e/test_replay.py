"""A stretch of real-looking traffic, sent live: every number and every stream agree with the file, come what may."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from footfall_process import Up, footfall_up
from replay import Sender, Watcher, differences, load, shifted

pytestmark = pytest.mark.e2e


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


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with footfall_up(tmp_path / "data") as running:
        yield running


async def everything_shown(watcher: Watcher, events: list[dict[str, Any]], within_s: float = 60) -> None:
    expected = {(event["user"], event["id"]) for event in events}
    async with asyncio.timeout(within_s):
        while expected - watcher.seen.keys():
            await asyncio.sleep(0.05)


async def same_numbers(up: Up, events: list[dict[str, Any]]) -> None:
    headers = {"authorization": f"Bearer {up.facts['secret_key']}"}
    async with httpx.AsyncClient(base_url=up.url, headers=headers, timeout=60) as client:
        assert await differences(events, client) == []


async def test_replayed_traffic_is_counted_exactly_shown_once_and_sent_again_changes_nothing(up: Up) -> None:
    events = traffic()
    sender = Sender(up.url, up.facts["secret_key"])
    watcher = Watcher(up.url, up.facts["secret_key"])
    watching = asyncio.create_task(watcher.run())
    await asyncio.wait_for(watcher.opened.wait(), 20)
    half = len(events) // 2
    await sender.send(events[:half], rate=2000)
    await sender.send(events[half:], rate=5000, batch=100)
    await everything_shown(watcher, events)
    await same_numbers(up, events)
    await sender.send(events, rate=20_000, batch=100)
    marker = {**events[-1], "id": "marker"}
    await sender.send([marker], rate=1000)
    await everything_shown(watcher, [marker])
    watching.cancel()
    assert sender.refused == []
    assert watcher.repeats_outside_a_reconnect == 0
    assert max(watcher.seen.values()) == 1
    assert watcher.gaps == []
    await same_numbers(up, [*events, marker])


async def test_kill_9_in_the_middle_loses_nothing_counts_nothing_twice_and_the_stream_goes_on(
    tmp_path: Path,
) -> None:
    events = traffic()
    port = "18431"
    directory = tmp_path / "data"
    with footfall_up(directory, "--port", port) as first:
        sender = Sender(first.url, first.facts["secret_key"])
        watcher = Watcher(first.url, first.facts["secret_key"])
        watching = asyncio.create_task(watcher.run())
        await asyncio.wait_for(watcher.opened.wait(), 20)
        sending = asyncio.create_task(sender.send(events, rate=1000, connections=16))
        async with asyncio.timeout(60):
            while len(watcher.seen) < len(events) // 3:
                await asyncio.sleep(0.01)
        first.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.process.wait)
    with footfall_up(directory, "--port", port) as second:
        await asyncio.wait_for(sending, 120)
        await everything_shown(watcher, events)
        watching.cancel()
        assert sender.acknowledged == {event["id"] for event in events}
        assert watcher.repeats_outside_a_reconnect == 0
        assert watcher.gaps == []
        assert watcher.reconnects >= 1
        await same_numbers(second, events)
