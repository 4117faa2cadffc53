"""A running gateway over a memory log and a real database, for tests."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import uvicorn
from pydantic import SecretStr

from access.cache import open_access
from access.projects import Created, Projects
from eventlog.memory import MemoryLog
from eventlog.port import Message
from eventmodel import Event, EventId, topics
from eventmodel.wire import encode, event_key
from fake_clock import FakeClock
from lifecycle.database import open_pool
from stream_gateway.app import open_service
from stream_gateway.settings import GatewaySettings
from telemetry.metrics import Metrics

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass
class Gateway:
    """A running gateway over a memory log, with one project."""

    log: MemoryLog
    pool: "asyncpg.Pool[asyncpg.Record]"
    projects: Projects
    project: Created
    client: httpx.AsyncClient
    clock: FakeClock
    refresh: Callable[[], Any]
    drain: Callable[[], Any]
    base_url: str

    async def post(self, *events: Event, topic: str = topics.EVENTS) -> None:
        await self.log.append(topic, [Message(event_key(event), encode(event)) for event in events])

    async def settled(self) -> None:
        """Return when everything in the log is projected."""
        for topic in (topics.EVENTS, topics.BACKFILL, topics.REJECTED):
            heads = sum(await self.log.heads(topic))
            async with asyncio.timeout(20):
                while heads != await self.pool.fetchval(
                    "select coalesce(sum(next), 0) from runtime.position where topic = $1", topic
                ):
                    await asyncio.sleep(0.02)

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def event(self, number: int | str = 0, **fields: Any) -> Event:
        values: dict[str, Any] = {
            "id": EventId(f"e{number}"),
            "project": self.project.project,
            "kind": "track",
            "action": "opened report",
            "user": "ada",
            "account": "acme",
            "occurred_at": NOW,
            "received_at": NOW,
            "origin": "live",
        }
        return Event(**(values | fields))


@asynccontextmanager
async def running_gateway(
    url: str, log: MemoryLog | None = None, *, serve: bool = False, project: Created | None = None
) -> AsyncIterator[Gateway]:
    """A gateway on the database; with `serve` on a real port, else reached in process."""
    clock = FakeClock(NOW)
    metrics = Metrics("stream-gateway")
    log = log or MemoryLog(4)
    settings = GatewaySettings(
        database_url=SecretStr(url),
        log="postgres",
        admin_token=SecretStr("administrator"),
        history_months=2,
    )
    async with open_pool(url, max_size=12) as pool, open_access(pool, clock, metrics) as access:
        projects = Projects(pool, clock)
        project = project or await projects.create("main")
        await access.refresh()
        async with open_service(
            settings, log=log, pool=pool, access=access, clock=clock, metrics=metrics
        ) as service:
            server = uvicorn.Server(
                uvicorn.Config(
                    service.app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
                )
            )
            tasks = [asyncio.ensure_future(task()) for task in service.tasks.values()]
            base_url = "http://gateway"
            transport: httpx.AsyncBaseTransport = httpx.ASGITransport(service.app)
            if serve:
                listening = socket.create_server(("127.0.0.1", 0))
                base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                transport = httpx.AsyncHTTPTransport()
                tasks.append(asyncio.ensure_future(server.serve([listening])))
            client = httpx.AsyncClient(
                transport=transport,
                base_url=base_url,
                headers={"authorization": f"Bearer {project.secret_key}"},
            )
            try:
                async with client:
                    yield Gateway(
                        log, pool, projects, project, client, clock, access.refresh, service.drain, base_url
                    )
            finally:
                server.should_exit = True
                if serve:
                    await asyncio.wait(tasks[-1:], timeout=5)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
