"""The ledger of acknowledged ids: whatever is killed under load, each id answered with 2xx is in the log."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from access.projects import Projects
from eventlog import kafka
from eventlog.port import TopicPart
from eventmodel import ProjectId, topics, wire
from kafka_broker import Broker
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from postgres_server import PostgresServer, running_server
from service_processes import Services, running_services

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

USERS = 40


@dataclass
class Ledger:
    """What each id was answered, by a load that sends every event once and never again."""

    url: str
    key: str
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    durabilities: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0
    sending: bool = True

    async def load(self) -> None:
        """Each user's events one after another, all users at once, until `sending` is false."""
        async with httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=20
        ) as client:
            await asyncio.gather(*(self._send_for(client, user) for user in range(USERS)))

    async def _send_for(self, client: httpx.AsyncClient, user: int) -> None:
        number = 0
        while self.sending:
            number += 1
            name = f"{user}-{number}"
            event = {"user": f"user{user}", "action": "did", "id": name}
            began_s = asyncio.get_running_loop().time()
            try:
                answer = await client.post("/v1/events", json=event)
            except httpx.HTTPError:
                self.unanswered.append(name)
                await asyncio.sleep(0.2)
                continue
            self.slowest_s = max(self.slowest_s, asyncio.get_running_loop().time() - began_s)
            if answer.status_code == 200:
                self.acknowledged.append(name)
                self.durabilities[answer.headers["footfall-durability"]] += 1
            else:
                assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
                self.refused.append(name)
            await asyncio.sleep(0.05)

    async def grows(self, by: int) -> None:
        """Wait for so many acknowledgements more."""
        goal = len(self.acknowledged) + by
        async with asyncio.timeout(120):
            while len(self.acknowledged) < goal:
                await asyncio.sleep(0.05)


async def _in_the_log(bootstrap: str, project: ProjectId) -> dict[str, list[str]]:
    """The project's ids in the log by user, in order of their first appearance."""
    found: dict[str, list[str]] = {}
    async with kafka.open_log(bootstrap) as log, log.reader() as reader:
        starts, heads = await log.starts(topics.EVENTS), await log.heads(topics.EVENTS)
        reader.assign({TopicPart(topics.EVENTS, part): start for part, start in enumerate(starts)})
        left = {part for part, head in enumerate(heads) if head > starts[part]}
        async with asyncio.timeout(60):
            while left:
                for record in await reader.fetch(5_000, 1):
                    event = wire.decode(record.value)
                    ids = found.setdefault(str(event.user), [])
                    if event.project == project and event.id not in ids:
                        ids.append(str(event.id))
                    if record.offset + 1 >= heads[record.part]:
                        left.discard(record.part)
    return found


async def _spool_is_empty(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as client, asyncio.timeout(120):
        while (await client.get("/readyz")).json().get("spool", "ok") != "ok":
            await asyncio.sleep(0.2)


def _crash_database(server: PostgresServer) -> None:
    """Kill one of PostgreSQL's own processes: it ends all connections and recovers from its WAL."""
    postmaster = int((server.directory / "data" / "postmaster.pid").read_text().split()[0])
    backends = [
        child
        for child in psutil.Process(postmaster).children()
        if "footfall" in " ".join(child.cmdline()) or "idle" in " ".join(child.cmdline())
    ]
    os.kill(backends[0].pid, signal.SIGKILL)


@pytest.mark.parametrize("spooling", [False, True], ids=["log alone", "with a spool"])
async def test_each_id_answered_with_2xx_is_in_the_log_whatever_is_killed(
    own_kafka_broker: Broker, tmp_path: Path, spooling: bool
) -> None:
    settings = {"FOOTFALL_SPOOL_DIR": str(tmp_path / "spool")} if spooling else {}
    with running_server() as server:
        async with server.database() as url:
            with running_services(
                url, own_kafka_broker.bootstrap, tmp_path, ("ingest_api",), settings
            ) as services:
                async with open_pool(url) as pool:
                    project = await Projects(pool, SystemClock()).create("main")
                ledger = Ledger(services.url("ingest_api"), project.write_key)
                await _kill_in_turn(ledger, services, own_kafka_broker, lambda: _crash_database(server))
                await _spool_is_empty(ledger.url)
        logged = await _in_the_log(own_kafka_broker.bootstrap, project.project)
    ids = {name for names in logged.values() for name in names}
    assert set(ledger.acknowledged) - ids == set()
    assert ids <= {*ledger.acknowledged, *ledger.refused, *ledger.unanswered}
    acknowledged = set(ledger.acknowledged)
    for names in logged.values():
        kept = [int(name.partition("-")[2]) for name in names if name in acknowledged]
        assert kept == sorted(kept)
    if spooling:
        assert ledger.durabilities["spool"] > 0
        assert ledger.refused == []
    else:
        assert ledger.durabilities.keys() == {"log"}
        assert ledger.refused


async def _kill_in_turn(
    ledger: Ledger, services: Services, broker: Broker, crash_database: Callable[[], None]
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.load())
        await ledger.grows(100)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(4)
        services.kill("ingest_api")
        await asyncio.to_thread(services.start, "ingest_api")
        await asyncio.sleep(2)
        await asyncio.to_thread(broker.start)
        await ledger.grows(100)
        crash_database()
        await ledger.grows(100)
        services.kill("ingest_api")
        await asyncio.to_thread(services.start, "ingest_api")
        await ledger.grows(100)
        ledger.sending = False
