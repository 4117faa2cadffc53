"""An importer for tests: in this process on a memory log, or as a process of its own on the PostgreSQL log."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from access.cache import open_access
from access.projects import Created, Projects
from eventlog.memory import MemoryLog
from eventlog.port import EventLog
from eventmodel import Event, topics, wire
from importer.app import open_service
from importer.settings import ImporterSettings
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.migrations import Owner
from log_reading import read_all
from telemetry.metrics import Metrics

OWNERS = (Owner("log", "eventlog.log_schema"), Owner("access", "access"), Owner("importer", "importer"))
DEADLINE_S = 60.0
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


def visit(number: int, *, path: str | None = None, agent: str = BROWSER, status: int = 200) -> str:
    """One combined line; lines of different numbers differ in address, second and path."""
    address = f"203.0.{number // 250 % 250}.{number % 250 + 1}"
    at = f"17/May/2015:{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d} +0200"
    return (
        f'{address} - - [{at}] "GET {path or f"/page/{number}"} HTTP/1.1" {status} {number} '
        f'"https://example.com/" "{agent}"\n'
    )


GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def access_log() -> str:
    """Seven lines: three visits, a style sheet, a crawler, a missing page and, fourth, no log line."""
    return "".join(
        [
            visit(1),
            visit(2, path="/assets/app.css"),
            visit(3, agent=GOOGLEBOT),
            "this is no log line\n",
            visit(4, status=404),
            visit(5),
            visit(5),
        ]
    )


@dataclass
class Importer:
    """A running importer and a project of its own."""

    client: httpx.AsyncClient
    project: Created
    url: str
    log: MemoryLog

    async def upload(self, content: bytes, source: str = "access-log", **query: str) -> dict[str, Any]:
        response = await self.client.post("/v1/imports", params={"source": source, **query}, content=content)
        assert response.status_code in (200, 202), response.text
        return dict(response.json())

    async def get(self, run: str) -> dict[str, Any]:
        response = await self.client.get(f"/v1/imports/{run}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def finished(self, run: str) -> dict[str, Any]:
        """The run once it is over."""
        return await self.until(run, lambda state: state["finished_at"] is not None)

    async def until(self, run: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            while not holds(state := await self.get(run)):
                await asyncio.sleep(0.02)
        return state

    async def events(self) -> list[Event]:
        return [wire.decode(value) for value in await values(self.log, topics.BACKFILL)]

    async def rejected(self) -> list[dict[str, Any]]:
        return [json.loads(value) for value in await values(self.log, topics.REJECTED)]


async def values(log: EventLog, topic: str) -> list[bytes]:
    """The values of everything the topic holds now."""
    count = sum(await log.heads(topic)) - sum(await log.starts(topic))
    return [record.value for record in await read_all(log, topic, count)]


@asynccontextmanager
async def running_importer(url: str, spool: Path, **settings: Any) -> AsyncIterator[Importer]:
    """An importer in this process, on `url` and a memory log; its task runs until leaving."""
    clock, metrics, log = SystemClock(), Metrics("importer"), MemoryLog()
    async with open_pool(url, max_size=6) as pool, open_access(pool, clock, metrics) as access:
        project = await Projects(pool, clock).create("main")
        await access.refresh()
        chosen = ImporterSettings(
            database_url=SecretStr(url), log="postgres", import_spool_dir=spool, **settings
        )
        async with (
            open_service(chosen, log=log, pool=pool, access=access, clock=clock, metrics=metrics) as service,
            client_of(httpx.ASGITransport(service.app), "http://importer", project.secret_key) as client,
            asyncio.TaskGroup() as tasks,
        ):
            owned = [tasks.create_task(_owned(task)) for task in service.tasks.values()]
            try:
                yield Importer(client, project, url, log)
            finally:
                await service.drain()
                for task in owned:
                    task.cancel()


async def _owned(task: Callable[[], Awaitable[None]]) -> None:
    await task()


def client_of(transport: httpx.AsyncBaseTransport | None, base: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport, base_url=base, headers={"authorization": f"Bearer {key}"}, timeout=30
    )


@contextmanager
def importer_process(
    url: str, spool: Path, **settings: object
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """`python -m importer` on the PostgreSQL log at `url`, once it is ready; killed on leaving. And its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {
        "FOOTFALL_DATABASE_URL": url,
        "FOOTFALL_LOG": "postgres",
        "FOOTFALL_PORT": str(port),
        "FOOTFALL_IMPORT_SPOOL_DIR": str(spool),
        **{f"FOOTFALL_{name.upper()}": str(value) for name, value in settings.items()},
    }
    process = subprocess.Popen([sys.executable, "-m", "importer"], env={**os.environ, **environ})
    base = f"http://127.0.0.1:{port}"
    try:
        _await_ready(process, base)
        yield process, base
    finally:
        process.kill()
        process.wait()


def _await_ready(process: "subprocess.Popen[bytes]", base: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the importer ended"
        try:
            if httpx.get(f"{base}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the importer did not become ready")
