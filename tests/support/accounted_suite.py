"""ingest-api and a gateway on one database and one log, for tests of what became of what was sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from access.cache import open_access
from access.usage import Usage, UsageStore
from eventlog.port import EventLog
from ingest_api.app import open_service
from ingest_api.settings import IngestSettings
from lifecycle.service import Service
from running_gateway import Gateway
from telemetry.metrics import Metrics


@dataclass
class Ingest:
    """A process of ingest-api beside the gateway."""

    service: Service
    client: httpx.AsyncClient
    metrics: Metrics

    async def post(
        self, key: str, body: Any, path: str = "/v1/events", agent: str = "curl/8.5"
    ) -> httpx.Response:
        """Send the body, JSON or bytes, with a key."""
        headers = {"authorization": f"Bearer {key}", "user-agent": agent}
        given: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.client.post(path, headers=headers, **given)

    async def written(self) -> None:
        """Return when all that was counted is in the database."""
        await self.service.drain()

    def count(self, outcome: str) -> float:
        """Events of this outcome, as the process's metrics have it."""
        labels = {"service": "ingest-api", "outcome": outcome}
        return self.metrics.registry.get_sample_value("footfall_ingest_events_total", labels) or 0.0


@asynccontextmanager
async def running_ingest(
    gateway: Gateway, *, log: EventLog | None = None, usage: UsageStore | None = None, **settings: Any
) -> AsyncIterator[Ingest]:
    """ingest-api with these settings on the gateway's clock, database and log, or another; it drains at the end."""
    metrics = Metrics("ingest-api")
    given = {"database_url": "postgresql://unused", "log": "postgres", **settings}
    async with (
        open_access(gateway.pool, gateway.clock, metrics) as access,
        open_service(
            IngestSettings.model_validate(given),
            log=log or gateway.log,
            access=access,
            usage=usage or Usage(gateway.pool),
            clock=gateway.clock,
            metrics=metrics,
        ) as service,
    ):
        tasks = [asyncio.ensure_future(task()) for task in service.tasks.values()]
        transport = httpx.ASGITransport(service.app)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
                yield Ingest(service, client, metrics)
        finally:
            await service.drain()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
