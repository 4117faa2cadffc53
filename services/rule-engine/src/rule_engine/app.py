"""The rule engine put together: consumer, relay, rules and HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from access import Access, AccessUnavailable
from access.projects import Projects
from enrichment import open_enricher
from eventlog.consumer import Consumer
from eventlog.errors import LogUnavailable
from eventlog.parts import StoreUnavailable
from eventlog.port import EventLog
from eventlog.postgres_parts import open_parts
from eventmodel import ProjectId, topics
from lifecycle.clock import Clock
from lifecycle.errors import install_errors
from lifecycle.migrations import Owner
from lifecycle.service import Service
from rule_engine import routes
from rule_engine.database import Pool, RulesUnavailable, connected
from rule_engine.engine import Engine
from rule_engine.purge import Purge
from rule_engine.relay import Relay
from rule_engine.rule_store import RuleStore
from rule_engine.rulebook import RuleBook
from rule_engine.settings import RuleEngineSettings
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog

NAME: Final = "rule-engine"
GROUP: Final = "rules"
OWNERS: Final = (
    Owner("access", "access"),
    Owner("runtime", "eventlog.runtime_schema"),
    Owner("rules", "rule_engine"),
)
"""The schemas this service reads or writes, beside the log's own."""


@asynccontextmanager
async def open_service(
    settings: RuleEngineSettings,
    *,
    log: EventLog,
    pool: Pool,
    access: Access,
    clock: Clock,
    metrics: Metrics,
) -> AsyncIterator[Service]:
    """The service on its collaborators, which stay the caller's; its work begins with its tasks."""
    enricher = open_enricher(settings.country_database)
    book = RuleBook(pool, metrics)
    relay = Relay(pool, log, metrics)
    purge = Purge(pool, Projects(pool, clock))
    consumer = Consumer(
        group=GROUP,
        live=[topics.EVENTS],
        backfill=[topics.BACKFILL],
        log=log,
        store=await open_parts(pool, GROUP),
        handler=Engine(book, relay, metrics, lambda project: _exists(access, project), access, enricher),
        clock=clock,
        metrics=metrics,
    )

    async def consume() -> None:
        # Without its rules the engine would apply events and ask nobody.
        await book.loaded()
        await consumer.run()

    async def log_answers() -> str:
        try:
            await log.ping()
        except LogUnavailable as error:
            return str(error)
        return "ok"

    async def database_answers() -> str:
        try:
            async with connected(pool) as connection:
                await connection.fetchval("select 1")
        except RulesUnavailable as error:
            return str(error)
        return "ok"

    yield Service(
        name=NAME,
        app=create_app(settings, pool=pool, access=access, book=book, metrics=metrics),
        tasks={"rules": book.run, "consumer": consume, "relay": relay.run, "purge": purge.run},
        drain=_nothing_to_flush,
        checks={
            "log": log_answers,
            "database": database_answers,
            "rules": consumer.check,
            "countries": enricher.check,
        },
        metrics=metrics,
    )


def create_app(
    settings: RuleEngineSettings, *, pool: Pool, access: Access, book: RuleBook, metrics: Metrics
) -> ASGIApp:
    """The HTTP side alone."""
    app = FastAPI(
        title="Footfall rules", redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.resources = routes.Resources(
        access=access, pool=pool, store=RuleStore(pool, settings.rules_per_project), book=book
    )
    install_errors(app)
    app.include_router(routes.router)
    return RequestLog(app, metrics)


async def _exists(access: Access, project: ProjectId) -> bool:
    try:
        return await access.resolve(project) is not None
    except AccessUnavailable as error:
        raise StoreUnavailable(str(error)) from error


async def _nothing_to_flush() -> None:
    """What is applied is committed; what is committed and not relayed, the next owner relays."""
