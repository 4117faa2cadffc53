"""Whatever the OpenAPI documents allow or forbid: no answer is a 5xx, and every answer is one they declare."""

import asyncio
import logging

import httpx
import pytest
from schemathesis import GenerationMode

from ingest_api.protocols.table import MOUNT, TABLE
from ingest_stand import open_stand, serving
from running_gateway import running_gateway
from schema_fuzzing import try_operations

# Each row of the table once: its other paths have the same code behind them.
_VENDORS = {f"{MOUNT}/{row.vendor}{row.paths[0]}" for row in TABLE}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    logging.getLogger("urllib3").setLevel(logging.WARNING)


async def _document(url: str) -> dict[str, object]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return dict((await client.get(f"{url}/openapi.json")).json())


def _ours(path: str, _: str) -> bool:
    return path.startswith(("/v1/events", "/t.gif"))


async def test_ingests_own_routes() -> None:
    stand = await open_stand()
    async with serving(stand) as url:
        document = await _document(url)
        sent = await asyncio.to_thread(
            try_operations, document, url, stand.authorization, wanted=_ours, max_examples=15
        )
    assert sent > 80


async def test_the_routes_of_other_vendors() -> None:
    stand = await open_stand()
    async with serving(stand) as url:
        document = await _document(url)
        sent = await asyncio.to_thread(
            try_operations,
            document,
            url,
            stand.authorization,
            wanted=lambda path, _: path in _VENDORS,
            max_examples=5,
            # Of bodies that may be anything, none is invalid.
            modes=[GenerationMode.POSITIVE],
        )
    assert sent > len(_VENDORS)


@pytest.mark.postgres
async def test_the_gateways_routes(migrated_url: str) -> None:
    async with running_gateway(migrated_url, serve=True) as gateway:
        document = await _document(gateway.base_url)
        sent = await asyncio.to_thread(
            try_operations,
            document,
            gateway.base_url,
            {"authorization": f"Bearer {gateway.project.secret_key}"},
            # The stream has no end.
            wanted=lambda path, _: path != "/v1/stream",
            max_examples=4,
        )
    assert sent > 100
