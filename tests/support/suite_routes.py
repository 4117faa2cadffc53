"""Every route of the four services, as the services themselves hold them."""

from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

import importer.app
import ingest_api.app
import rule_engine.app
import stream_gateway.app
from access.cache import open_access
from access.usage import Usage
from eventlog.memory import MemoryLog
from footfall.suite_settings import load_settings
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from telemetry.metrics import Metrics

OUTSIDE = frozenset({("GET", "/v1/stream"), ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics")})
"""Answered beside the services' apps, in which nobody can look them up."""


async def collect_routes(database_url: str, spool: Path) -> set[tuple[str, str]]:
    """(method, path template) of all routes; opens the services on the database and starts nothing."""
    made: list[FastAPI] = []
    settings = load_settings(
        {
            "FOOTFALL_DATABASE_URL": database_url,
            "FOOTFALL_LOG": "postgres",
            "FOOTFALL_IMPORT_SPOOL_DIR": str(spool),
        }
    )
    clock, metrics = SystemClock(), Metrics("routes")
    async with AsyncExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        for module in (ingest_api.app, stream_gateway.app, rule_engine.app, importer.app):
            patched.setattr(module, "FastAPI", _remembering(made))
        pool = await stack.enter_async_context(open_pool(database_url, max_size=2))
        access = await stack.enter_async_context(open_access(pool, clock, metrics))
        shared: dict[str, Any] = {"log": MemoryLog(), "access": access, "clock": clock, "metrics": metrics}
        for opening in (
            ingest_api.app.open_service(settings.ingest, usage=Usage(pool), **shared),
            stream_gateway.app.open_service(settings.gateway, pool=pool, **shared),
            rule_engine.app.open_service(settings.rules, pool=pool, **shared),
            importer.app.open_service(settings.importer, pool=pool, **shared),
        ):
            await stack.enter_async_context(opening)
    assert len(made) == 4
    return {pair for app in made for route in _leaves(app.routes) for pair in _pairs(route)} | OUTSIDE


def _remembering(made: list[FastAPI]) -> type[FastAPI]:
    class Remembered(FastAPI):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            made.append(self)

    return Remembered


def _leaves(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes themselves; FastAPI keeps an included router as one entry."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _leaves(included.routes)


def _pairs(route: Any) -> Iterator[tuple[str, str]]:
    for method in route.methods or ():
        if method not in ("HEAD", "OPTIONS"):
            yield method, route.path
