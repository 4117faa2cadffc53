"""The services as processes on Kafka: exact numbers while the broker and each service die in the middle."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from kafka_broker import Broker
from postgres_server import PostgresServer
from replay import Sender, Watcher, differences
from service_processes import Services, running_services
from traffic import everything_shown, traffic

pytestmark = pytest.mark.e2e


@pytest.fixture
async def services(postgres_server: PostgresServer, own_kafka_broker: Broker, tmp_path: Path) -> Any:
    async with postgres_server.database() as url:
        with running_services(url, own_kafka_broker.bootstrap, tmp_path) as running:
            yield running


async def same_numbers(services: Services, key: str, events: list[dict[str, Any]]) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=services.url("stream_gateway"), headers=headers, timeout=60
    ) as client:
        assert await differences(events, client) == []


async def test_broker_and_services_die_in_the_middle_and_nothing_is_lost_or_counted_twice(
    services: Services, own_kafka_broker: Broker
) -> None:
    events = traffic()
    key = services.create_project("main")["secret_key"]
    sender = Sender(services.url("ingest_api"), key)
    watcher = Watcher(services.url("stream_gateway"), key)
    watching = asyncio.create_task(watcher.run())
    await asyncio.wait_for(watcher.opened.wait(), 30)
    sending = asyncio.create_task(sender.send(events, rate=500, connections=16))

    async def seen(share: float) -> None:
        async with asyncio.timeout(120):
            while len(watcher.seen) < len(events) * share:
                await asyncio.sleep(0.01)

    await seen(0.15)
    await asyncio.to_thread(own_kafka_broker.kill)
    await asyncio.sleep(2)
    await asyncio.to_thread(own_kafka_broker.start)
    for share, module in ((0.4, "stream_gateway"), (0.6, "ingest_api"), (0.75, "rule_engine")):
        await seen(share)
        services.kill(module)
        await asyncio.to_thread(services.start, module)
    await asyncio.wait_for(sending, 180)
    await everything_shown(watcher, events, 120)
    watching.cancel()
    assert sender.acknowledged == {event["id"] for event in events}
    assert sender.refused == []
    assert watcher.repeats_outside_a_reconnect == 0
    assert watcher.gaps == []
    assert watcher.reconnects >= 1
    await same_numbers(services, key, events)
    await sender.send(events, rate=5000, batch=100)
    marker = {**events[-1], "id": "marker"}
    watching = asyncio.create_task(watcher.run())
    await sender.send([marker], rate=1000)
    await everything_shown(watcher, [marker])
    watching.cancel()
    await same_numbers(services, key, [*events, marker])
    assert {module: services.stop(module) for module in services.processes} == dict.fromkeys(
        services.processes, 0
    )
