"""The stream gateway, put together from what it is handed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from access.cache import Access
from access.forgetting import Forgetting
from access.issuing import TokenIssuer
from access.logins import Logins
from access.plans import Plans
from access.projects import Projects
from access.usage import Usage
from enrichment import open_enricher
from eventlog.consumer import Consumer
from eventlog.errors import LogError
from eventlog.port import EventLog, LogWriter
from eventlog.postgres_parts import open_parts
from eventmodel import topics
from lifecycle.bodies import BodyLimit
from lifecycle.clock import Clock
from lifecycle.errors import install_errors
from lifecycle.migrations import Owner
from lifecycle.service import Service
from stream_gateway import openapi
from stream_gateway.administration import projects, tokens
from stream_gateway.forgetting.completion import Completion
from stream_gateway.forgetting.routes import forgetting_routes
from stream_gateway.live.channel import Channel
from stream_gateway.live.gate import Announcer, Gate
from stream_gateway.live.presentation import Presenter, shown
from stream_gateway.live.stream import Stream, StreamTopic
from stream_gateway.pages import login
from stream_gateway.pages.assets import asset_routes, load_assets
from stream_gateway.pages.notices import Notices
from stream_gateway.pages.sessions import Sessions, session_routes
from stream_gateway.pages.shell import page_routes
from stream_gateway.plans.routes import plan_routes
from stream_gateway.plans.traffic import RecentTraffic
from stream_gateway.principals import Administrators, Readers
from stream_gateway.projection.history import ensure_months
from stream_gateway.projection.projector import BACKFILL, GROUP, LIVE, Projector
from stream_gateway.projection.purge import Purge
from stream_gateway.reads.account_reads import AccountReads
from stream_gateway.reads.accounting import Accounts
from stream_gateway.reads.activity import activity_routes
from stream_gateway.reads.customers import customer_routes
from stream_gateway.reads.person_reads import PersonReads
from stream_gateway.reads.pulse import pulse_routes
from stream_gateway.reads.read_model import ReadModel
from stream_gateway.reads.sources import Sources, source_routes
from stream_gateway.rejected.outcomes import Outcomes
from stream_gateway.rejected.reads import RejectedReads
from stream_gateway.rejected.replay import Replayer
from stream_gateway.rejected.routes import rejected_routes
from stream_gateway.settings import GatewaySettings
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog

_MAX_BODY_BYTES: Final = 256 * 1024

OWNER: Final = Owner("gateway", "stream_gateway")

# By the stream's topic: the type of its blocks and the log's topic.
_STREAMS: Final[dict[StreamTopic, tuple[str, str]]] = {
    "activity": ("activity", topics.EVENTS),
    "import": ("activity", topics.BACKFILL),
    "actions": ("action", topics.ACTIONS),
    "signals": ("signal", topics.SIGNALS),
    "rejected": ("rejected", topics.REJECTED),
}


@asynccontextmanager
async def open_service(
    settings: GatewaySettings,
    *,
    log: EventLog,
    pool: "asyncpg.Pool[asyncpg.Record]",
    access: Access,
    clock: Clock,
    metrics: Metrics,
) -> AsyncIterator[Service]:
    """The gateway on these collaborators: it projects what it is assigned, and shows what anybody projected.

    Raises LogUnavailable, StoreUnavailable and CountriesUnreadable when there is nothing to start with.
    """
    async with pool.acquire() as connection:
        await ensure_months(connection, clock.now(), settings.history_months)
    enricher = open_enricher(settings.country_database)
    presenter = Presenter(enricher)
    gate = Gate(pool, GROUP)
    announcer = Announcer(pool)
    channels = {
        name: Channel(
            name=name,
            event=event,
            topic=await log.topic(topic),
            log=log,
            gate=gate,
            access=access,
            metrics=metrics,
            show=presenter.shown if event == "activity" else shown,
        )
        for name, (event, topic) in _STREAMS.items()
    }
    consumer = Consumer(
        group=GROUP,
        live=LIVE,
        backfill=BACKFILL,
        log=log,
        store=await open_parts(pool, GROUP),
        handler=Projector(pool, access, clock, announcer, metrics, settings.history_months),
        clock=clock,
        metrics=metrics,
    )
    readers = Readers(access)
    stream = Stream(
        channels,
        readers,
        resume_max_records=settings.resume_max_records,
        max_connections=settings.max_streams,
    )

    async def drain() -> None:
        stream.close()

    yield Service(
        name="stream-gateway",
        app=RequestLog(
            _beside(
                stream, _app(settings, log, pool, access, clock, readers, presenter, channels["activity"])
            ),
            metrics,
        ),
        tasks={
            "projector": consumer.run,
            "announcer": announcer.run,
            "purge": Purge(pool, Projects(pool, clock)).run,
            "forgetting": Completion(pool, Forgetting(pool, clock), log, clock).run,
            "gate": gate.run,
            **{f"channel {name}": channel.run for name, channel in channels.items()},
        },
        drain=drain,
        checks={
            "log": _log_answers(log),
            "database": _database_answers(access),
            "projector": consumer.check,
            "countries": enricher.check,
        },
        metrics=metrics,
    )


def _app(
    settings: GatewaySettings,
    log: LogWriter,
    pool: "asyncpg.Pool[asyncpg.Record]",
    access: Access,
    clock: Clock,
    readers: Readers,
    presenter: Presenter,
    activity: Channel,
) -> FastAPI:
    app = FastAPI(title="Footfall stream gateway", redirect_slashes=False, docs_url=None, redoc_url=None)
    install_errors(app)
    app.add_middleware(BodyLimit, max_bytes=_MAX_BODY_BYTES)
    logins = Logins(pool, clock)
    reads = ReadModel(pool, presenter)
    app.include_router(pulse_routes(reads, readers, access, activity, clock))
    app.include_router(activity_routes(reads, readers))
    app.include_router(customer_routes(AccountReads(pool), PersonReads(pool), readers, access, clock))
    sources = Sources(pool, Projects(pool, clock), Accounts(pool, Usage(pool)))
    app.include_router(source_routes(sources, readers, clock))
    outcomes = Outcomes(pool)
    replayer = Replayer(log, access, outcomes, clock)
    app.include_router(plan_routes(Plans(pool, clock), RecentTraffic(pool), access, clock))
    app.include_router(rejected_routes(RejectedReads(pool), outcomes, replayer, access, clock))
    app.include_router(
        projects.router(Projects(pool, clock), logins, access, Administrators(access, settings.admin_token))
    )
    app.include_router(
        forgetting_routes(pool, Forgetting(pool, clock), access, lambda: activity.topic.partitions)
    )
    app.include_router(tokens.router(TokenIssuer(pool, access, clock), access))
    assets = load_assets()
    notices, sessions = Notices(assets), Sessions(pool, access)
    app.include_router(login.router(logins, access, notices))
    app.include_router(session_routes(sessions, access))
    app.include_router(page_routes(access, sessions, assets, notices))
    app.include_router(asset_routes(assets))
    app.openapi_schema = openapi.document(app.openapi())
    return app


def _beside(stream: Stream, app: FastAPI) -> ASGIApp:
    """The stream beside the app, not inside it: each layer of a framework costs every open connection memory."""

    named = Route("/v1/stream", stream)

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == named.path:
            # Metrics name a request by its route, which is the framework's to set.
            scope["route"] = named
            await stream(scope, receive, send)
        else:
            await app(scope, receive, send)

    return route


def _log_answers(log: EventLog) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        try:
            async with asyncio.timeout(1):
                await log.ping()
        except (LogError, TimeoutError) as error:
            return str(error) or "The log does not answer."
        return "ok"

    return check


def _database_answers(access: Access) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        return access.state()

    return check
