"""The rule engine on a real database, with its tasks running or its parts one by one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec

from access import Access, open_access
from access.projects import Created, Projects
from eventlog.memory import MemoryLog
from eventlog.port import EventLog, Message, Record, TopicPart
from eventmodel import Event, EventId, ProjectId, part, topics
from eventmodel.event import Origin
from eventmodel.wire import encode, event_key
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.service import Service
from lifecycle.settings import load
from rule_engine.app import open_service
from rule_engine.settings import RuleEngineSettings
from telemetry.metrics import Metrics

PARTITIONS = 8


@dataclass
class RunningRules:
    """The service with its collaborators; `main` is a project."""

    service: Service
    pool: "asyncpg.Pool[asyncpg.Record]"
    access: Access
    projects: Projects
    main: Created
    log: EventLog
    metrics: Metrics

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """A client of the service's HTTP, with this key."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.service.app),
            base_url="http://footfall.example",
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    async def put(self, text: str) -> None:
        """Make the rules of the text the project's."""
        async with self.client(self.main.secret_key) as client:
            answer = await client.post("/v1/rules", json={"text": text})
        assert answer.status_code == 200, answer.text

    async def actions(self, **query: str) -> list[dict[str, Any]]:
        """The first page of GET /v1/actions."""
        async with self.client(self.main.secret_key) as client:
            answer = await client.get("/v1/actions", params={"limit": "500", **query})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def actions_once(self, number: int) -> list[dict[str, Any]]:
        """As `actions`, when there are so many."""
        async with asyncio.timeout(20):
            while len(found := await self.actions()) < number:
                await asyncio.sleep(0.02)
        return found

    async def send(self, *events: Event, topic: str = topics.EVENTS) -> None:
        """Append the events to the log."""
        await self.log.append(topic, [Message(event_key(event), encode(event)) for event in events])

    async def relayed(self, number: int) -> list[dict[str, Any]]:
        """The records of footfall.actions, once there are so many."""
        async with asyncio.timeout(20):
            while len(found := await relayed(self.log)) < number:
                await asyncio.sleep(0.02)
        return found

    @asynccontextmanager
    async def working(self, *names: str) -> AsyncIterator[None]:
        """Run these tasks of the service, or all of them, until leaving."""

        async def run(name: str) -> None:
            with suppress(asyncio.CancelledError):
                await self.service.tasks[name]()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(name)) for name in names or self.service.tasks]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()


@asynccontextmanager
async def running_rules(url: str, log: EventLog | None = None) -> AsyncIterator[RunningRules]:
    """The service on a migrated database, with a log in memory unless one is given; no task runs yet."""
    clock = SystemClock()
    metrics = Metrics("rule-engine")
    log = log or MemoryLog(PARTITIONS)
    environ = {"DATABASE_URL": url, "LOG": "postgres", "RULES_PER_PROJECT": "20"}
    settings = load(RuleEngineSettings, {f"FOOTFALL_{name}": value for name, value in environ.items()})
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(url))
        projects = Projects(pool, clock)
        main = await projects.create("main")
        access = await stack.enter_async_context(open_access(pool, clock, metrics))
        service = await stack.enter_async_context(
            open_service(settings, log=log, pool=pool, access=access, clock=clock, metrics=metrics)
        )
        yield RunningRules(service, pool, access, projects, main, log, metrics)


def make_event(
    project: str,
    number: int,
    *,
    action: str = "order_paid",
    user: str | None = "ada@acme.example",
    origin: Origin = "live",
    age: timedelta = timedelta(),
    properties: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Event:
    """Event `number` of the project, which occurred `age` ago."""
    now = datetime.now(UTC)
    return Event(
        id=EventId(f"e{number}"),
        project=ProjectId(project),
        kind="track",
        action=action,
        occurred_at=now - age,
        received_at=now,
        origin=origin,
        user=user,
        account="acme",
        run=None if origin == "live" else "r1",
        properties=dict(properties or {}),
        context=dict(context or {}),
    )


def record_of(event: Event, offset: int = 0) -> Record:
    """The event as it is read from the log."""
    key = event_key(event)
    number = part(key, PARTITIONS)
    return Record(topics.EVENTS, number, offset, event.received_at, key, encode(event))


async def relayed(log: EventLog) -> list[dict[str, Any]]:
    """The records of footfall.actions, by part and offset; each on the part of its key."""
    found: Sequence[Record] = ()
    heads = await log.heads(topics.ACTIONS)
    async with log.reader() as reader:
        reader.assign({TopicPart(topics.ACTIONS, number): 0 for number in range(len(heads))})
        records: list[Record] = []
        while len(records) < sum(heads):
            found = await reader.fetch(1_000, 1)
            records += found
    records.sort(key=lambda record: (record.part, record.offset))
    assert all(record.part == part(record.key, len(heads)) for record in records)
    return [{**msgspec.json.decode(record.value), "_key": record.key.decode()} for record in records]
