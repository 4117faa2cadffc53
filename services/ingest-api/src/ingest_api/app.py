"""ingest-api, put together from what it is handed."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Final

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from access.cache import Access
from access.usage import UsageStore
from eventlog.errors import LogUnavailable
from eventlog.port import EventLog, LogWriter
from ingest_api import events, javascript, openapi, pixel
from ingest_api.accounting import Accounting
from ingest_api.cors import AnyOrigin
from ingest_api.express import ExpressEvents
from ingest_api.inflight import Inflight
from ingest_api.intake import Intake
from ingest_api.keeping import Keeper
from ingest_api.protocols.route import VendorRoute
from ingest_api.protocols.table import Table
from ingest_api.settings import IngestSettings
from ingest_api.spool.segments import Segments
from ingest_api.spool.spool import Spool
from lifecycle.clock import Clock
from lifecycle.errors import ErrorBoundary, install_errors
from lifecycle.express import Express
from lifecycle.service import Service
from telemetry.catalog import INGEST_INFLIGHT_BYTES
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog

NAME: Final = "ingest-api"


@asynccontextmanager
async def open_service(
    settings: IngestSettings,
    *,
    log: EventLog,
    access: Access,
    usage: UsageStore,
    clock: Clock,
    metrics: Metrics,
) -> AsyncIterator[Service]:
    """ingest-api on these collaborators, which stay the caller's.

    It holds nothing between requests but what its spool keeps, and counts. Raises SpoolUnusable.
    """
    accounting = Accounting(usage, clock, metrics)

    async def log_answers() -> str:
        try:
            await log.ping()
        except LogUnavailable as error:
            return str(error)
        return "ok"

    async def database_answers() -> str:
        return access.state()

    with _open_spool(settings, log, metrics) as spool:
        app, express = create_app(
            settings,
            log=log,
            access=access,
            accounting=accounting,
            clock=clock,
            metrics=metrics,
            spool=spool,
        )
        yield Service(
            name=NAME,
            app=app,
            express=express,
            tasks={"accounting": accounting.run, **({} if spool is None else {"spool": spool.run})},
            # Every answer given is durable already, and the server lets open requests finish.
            drain=accounting.flush,
            checks={
                "log": log_answers,
                "database": database_answers,
                **({} if spool is None else {"spool": spool.check}),
            },
            metrics=metrics,
        )


@contextmanager
def _open_spool(settings: IngestSettings, log: LogWriter, metrics: Metrics) -> Iterator[Spool | None]:
    if settings.spool_dir is None:
        yield None
        return
    with closing(Segments(settings.spool_dir, settings.spool_max_bytes)) as segments:
        yield Spool(log, segments, metrics)


def create_app(
    settings: IngestSettings,
    *,
    log: LogWriter,
    access: Access,
    accounting: Accounting,
    clock: Clock,
    metrics: Metrics,
    spool: Spool | None = None,
) -> tuple[ASGIApp, Express]:
    """The HTTP side, and what it offers beside it; whoever hands in the accounting and a spool runs them."""
    app = FastAPI(title="Footfall ingest", version="1", redirect_slashes=False, docs_url=None, redoc_url=None)
    install_errors(app)
    keeper = Keeper(log, spool, clock, settings, accounting, metrics)
    intake = Intake(keeper, accounting, clock, settings)
    inflight = Inflight(settings.max_inflight_bytes, metrics.gauge(INGEST_INFLIGHT_BYTES))
    take_events = events.EventsRoute(access, intake, inflight, metrics)
    app.router.routes += [
        # Both forms: a redirect would lose what a beacon or a preflighted request carries.
        Route(events.PATH, take_events, methods=["POST"]),
        Route(f"{events.PATH}/", take_events, methods=["POST"]),
        Route(
            pixel.PATH, pixel.PixelRoute(access, intake, inflight, metrics), methods=["GET", "HEAD", "POST"]
        ),
        *javascript.routes(),
    ]
    app.openapi_schema = openapi.document(app.openapi())
    vendors = _vendors(VendorRoute(access, intake, inflight, metrics), app)
    logged = RequestLog(_beside(take_events, AnyOrigin(ErrorBoundary(vendors))), metrics)
    return logged, ExpressEvents(access, intake, inflight, logged, metrics)


def _vendors(answer: VendorRoute, app: ASGIApp) -> ASGIApp:
    """Other vendors' paths go to their protocols, what remains to the app."""
    table = Table()

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        match = table.find(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            await app(scope, receive, send)
        else:
            await answer(match, scope, receive, send)

    return route


def _beside(take_events: ASGIApp, app: ASGIApp) -> ASGIApp:
    """Events go round the app's layers, which cost a request more than admitting its event does."""
    # Metrics name a request by its route, which is the framework's to set.
    named = {path: Route(path, take_events, methods=["POST"]) for path in (events.PATH, f"{events.PATH}/")}

    def route(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["method"] == "POST" and (found := named.get(scope["path"])):
            scope["route"] = found
            return take_events(scope, receive, send)
        return app(scope, receive, send)

    return route
