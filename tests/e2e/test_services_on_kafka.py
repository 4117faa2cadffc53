"""The services as processes on Kafka: exact numbers while the broker and each service die in the middle."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kafka_broker import Broker
from postgres_server import PostgresServer
from replay import Sender, Watcher, differences
from service_processes import Services, running_services
from traffic import everything_shown, traffic
from waiting import eventually

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


ADA = "zqada@acme.example"
RULE = 'rule "told" { on "Paid" do dashboard(note: "told") }'


def _paid(name: str, age: timedelta) -> dict[str, Any]:
    """What Mixpanel's import call sends of one event."""
    told = {"distinct_id": ADA, "$insert_id": name, "time": (datetime.now(UTC) - age).timestamp()}
    return {"event": "Paid", "properties": told}


async def test_a_vendors_history_what_was_refused_and_who_is_forgotten(services: Services) -> None:
    """What else the log carries: history that acts on nobody, a refused event that is replayed, and a removal."""
    key = services.create_project("main")["secret_key"]
    async with AsyncExitStack() as stack:
        ingest, gateway, rules = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=services.url(module), headers={"authorization": f"Bearer {key}"}, timeout=60
                )
            )
            for module in ("ingest_api", "stream_gateway", "rule_engine")
        ]
        assert (await rules.post("/v1/rules", json={"text": RULE})).status_code == 200
        both = [_paid("old", timedelta(days=60)), _paid("fresh", timedelta(minutes=1))]
        assert (await ingest.post("/import", json=both)).status_code == 200

        async def actions() -> dict[str, str]:
            items = (await rules.get("/v1/actions")).json()["items"]
            return {item["event"]["id"]: item["status"] for item in items}

        async def are_both_known() -> bool:
            found = [await gateway.get(f"/v1/activity/{name}") for name in ("old", "fresh")]
            return {one.status_code for one in found} == {200} and len(await actions()) == 2

        await eventually(are_both_known, 60)
        assert await actions() == {"old": "suppressed", "fresh": "sent"}
        assert (await gateway.get("/v1/activity/old")).json()["origin"] == "import"

        refused = {"userId": ADA, "action": "Paid", "id": "refused"}
        assert (await ingest.post("/v1/events", json=refused)).status_code == 400

        async def rejected() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = (await gateway.get("/v1/rejected")).json()["items"]
            return items

        await eventually(rejected, 60)
        ((rejection,),) = (await rejected(),)
        replayed = await gateway.post(
            f"/v1/rejected/{rejection['id']}/replay",
            json={"event": {"user": ADA, "action": "Paid", "id": "refused"}},
        )
        assert replayed.json()["accepted"] == 1

        async def is_replayed() -> bool:
            return (await gateway.get("/v1/activity/refused")).status_code == 200

        await eventually(is_replayed, 60)

        async def is_accounted_for() -> bool:
            account = (await gateway.get("/v1/sources")).json()["accounting"]
            return {name: account[name] for name in ("received", "stored", "rejected", "pending")} == {
                "received": 3,
                "stored": 2,
                "rejected": 1,
                "pending": 0,
            }

        await eventually(is_accounted_for, 60)

        receipt = (await gateway.delete(f"/v1/users/{ADA}")).json()

        async def is_removed() -> bool:
            receipt.update((await gateway.get(f"/v1/forgotten/{receipt['id']}")).json())
            return bool(receipt["state"] != "removing")

        await eventually(is_removed, 60)
        assert receipt["removed"]["gateway.history"] == 3
        for name in ("old", "fresh", "refused"):
            assert (await gateway.get(f"/v1/activity/{name}")).status_code == 404
        assert ADA not in (await gateway.get("/v1/rejected", params={"state": "replayed"})).text
        assert ADA not in (await rules.get("/v1/actions")).text
        # The person's past stays away although it is sent again.
        assert (await ingest.post("/import", json=[_paid("older", timedelta(days=61))])).status_code == 200
        again = {"user": "bob", "action": "Paid", "id": "later"}
        assert (await ingest.post("/v1/events", json=again)).status_code == 200

        async def is_later_known() -> bool:
            return (await gateway.get("/v1/activity/later")).status_code == 200

        await eventually(is_later_known, 60)
        assert (await gateway.get("/v1/activity/older")).status_code == 404
