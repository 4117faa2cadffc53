"""A stretch of real-looking traffic, sent live: every number and every stream agree with the file, come what may."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from footfall_process import Up, footfall_up
from replay import Sender, Watcher, differences
from traffic import everything_shown, traffic

pytestmark = pytest.mark.e2e


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with footfall_up(tmp_path / "data") as running:
        yield running


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
