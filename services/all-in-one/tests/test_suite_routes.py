from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI

import importer.app
import ingest_api.app
import rule_engine.app
import stream_gateway.app
from footfall.app import make_topics, open_suite
from footfall.routing import Router
from footfall.suite_settings import load_settings

_MODULES: dict[str, ModuleType] = {
    "importer": importer.app,
    "ingest-api": ingest_api.app,
    "rule-engine": rule_engine.app,
    "stream-gateway": stream_gateway.app,
}


def _paths(app: FastAPI) -> set[str]:
    """What the app describes, and the plain routes it holds beside that."""
    return {
        *app.openapi()["paths"],
        *(path for route in app.router.routes if (path := getattr(route, "path", ""))),
    }


async def test_every_route_of_every_service_is_reached_through_the_one_port(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, FastAPI] = {}

    def watch(name: str, module: ModuleType) -> None:
        def make(**arguments: Any) -> FastAPI:
            made[name] = FastAPI(**arguments)
            return made[name]

        monkeypatch.setattr(module, "FastAPI", make)

    for name, module in _MODULES.items():
        watch(name, module)
    settings = load_settings(
        {
            "FOOTFALL_DATABASE_URL": migrated_url,
            "FOOTFALL_LOG": "postgres",
            "FOOTFALL_IMPORT_SPOOL_DIR": str(tmp_path),
        }
    )
    await make_topics(settings.log_place)
    async with open_suite(settings, {}) as service:
        router = service.app
        assert isinstance(router, Router)
        answers = {
            check: await ask() for check, ask in service.checks.items() if check in ("log", "database")
        }
    assert answers == {"log": "ok", "database": "ok"}
    served = {(name, path) for name, app in made.items() for path in _paths(app) - {"/openapi.json"}}
    assert len(served) > 20
    assert {name for name, _ in served} == set(_MODULES)
    assert {(router.service_for(path.encode()), path) for _, path in served} == served
