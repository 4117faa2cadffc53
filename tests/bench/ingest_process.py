"""`python -m ingest_api` on a database and a broker, with one project, as an operator runs it."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

import processes
from access.projects import Projects
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from postgres_server import PostgresServer


@dataclass(frozen=True)
class Ingest:
    """A running ingest-api and the key of its project."""

    port: int
    write_key: str
    process: psutil.Process


@asynccontextmanager
async def running_ingest(postgres: PostgresServer, bootstrap: str) -> AsyncIterator[Ingest]:
    """Serving when entered. Every setting is as delivered, but for the project's share of events."""
    async with postgres.database(await postgres.migrated()) as url:
        async with open_pool(url) as pool:
            project = await Projects(pool, SystemClock()).create("bench")
        port = processes.free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
        settings = {
            "FOOTFALL_DATABASE_URL": url,
            "FOOTFALL_LOG": "kafka",
            "FOOTFALL_KAFKA": bootstrap,
            "FOOTFALL_HOST": "127.0.0.1",
            "FOOTFALL_PORT": str(port),
            "FOOTFALL_LOG_LEVEL": "warning",
            "FOOTFALL_PROJECT_EVENTS_PER_S": "10000000",
        }
        command = (sys.executable, "-m", "ingest_api")
        async with processes.serving(command, port, {**kept, **settings}) as process:
            yield Ingest(port, project.write_key, process)
