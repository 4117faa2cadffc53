"""The importer, put together from what it is handed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from fastapi import FastAPI

from access.cache import Access
from access.forgetting import Forgetting
from eventlog.errors import LogError
from eventlog.port import EventLog
from importer.planning import Planner
from importer.removal import Removal
from importer.routes import ImportRoutes
from importer.runs import Runs, RunsUnavailable
from importer.settings import ImporterSettings
from importer.spool import open_spool
from importer.uploads import Uploads
from importer.worker import Worker
from lifecycle.clock import Clock
from lifecycle.errors import install_errors
from lifecycle.migrations import Owner
from lifecycle.service import Service
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog

OWNER: Final = Owner("importer", "importer")


@asynccontextmanager
async def open_service(
    settings: ImporterSettings,
    *,
    log: EventLog,
    pool: "asyncpg.Pool[asyncpg.Record]",
    access: Access,
    clock: Clock,
    metrics: Metrics,
) -> AsyncIterator[Service]:
    """The importer on these collaborators; makes its spool directory. Its task `imports` does the work,
    `removal` forgets people."""
    spool = await asyncio.to_thread(open_spool, settings.import_spool_dir)
    runs = Runs(pool)
    worker = Worker(
        pool,
        runs,
        spool,
        log,
        access,
        clock,
        metrics,
        max_bytes=settings.import_max_bytes,
        max_events_per_s=settings.import_max_events_per_s,
    )
    uploads = Uploads(runs, spool, clock, max_bytes=settings.import_max_bytes)
    routes = ImportRoutes(access, runs, uploads, Planner(spool, access, clock), worker, clock)
    app = FastAPI(
        title="Footfall importer", redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None
    )
    install_errors(app)
    app.include_router(routes.router())

    async def drain() -> None:
        routes.drain()

    async def log_answers() -> str:
        try:
            await log.ping()
        except LogError as error:
            return str(error)
        return "ok"

    async def database_answers() -> str:
        try:
            await runs.ping()
        except RunsUnavailable as error:
            return str(error)
        return "ok"

    yield Service(
        name="importer",
        app=RequestLog(app, metrics),
        tasks={"imports": worker.run, "removal": Removal(runs, access, Forgetting(pool, clock)).run},
        drain=drain,
        checks={"log": log_answers, "database": database_answers},
        metrics=metrics,
    )
