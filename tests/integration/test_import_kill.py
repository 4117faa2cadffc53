"""An importer killed in the middle of a file, on the PostgreSQL log: nothing lost, nothing counted twice."""

import asyncio
import gzip
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from access.projects import Projects
from eventlog.port import Record
from eventlog.postgres import create_topics, open_log
from eventmodel import identity_hash, topics, wire
from import_harness import DEADLINE_S, OWNERS, client_of, importer_process, visit
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from log_reading import read_all
from postgres_server import PostgresServer

pytestmark = pytest.mark.e2e
LINES = 4_000
BATCH = 250


@pytest.fixture
async def url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    async with postgres_server.database(await postgres_server.migrated(OWNERS)) as url:
        await create_topics(url, topics.ALL, 4)
        yield url


@pytest.fixture
async def key(url: str) -> str:
    async with open_pool(url) as pool:
        return (await Projects(pool, SystemClock()).create("main")).secret_key


def access_log() -> bytes:
    """LINES views; after every hundredth a bad line."""
    return "".join(visit(n) + ("bad\n" if n % 100 == 99 else "") for n in range(LINES)).encode()


async def until(
    client: httpx.AsyncClient, run: str, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    async with asyncio.timeout(2 * DEADLINE_S):
        while not holds(state := (await client.get(f"/v1/imports/{run}")).json()):
            await asyncio.sleep(0.02)
    return dict(state)


async def backfill(url: str) -> list[Record]:
    async with open_log(url) as log:
        return await read_all(log, topics.BACKFILL, sum(await log.heads(topics.BACKFILL)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
async def test_a_killed_import_goes_on_without_loss_or_double_count(
    url: str, key: str, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    run = ""
    for kill_at in (1, LINES // 2):
        with importer_process(url, tmp_path, import_max_events_per_s=2_000) as (process, base):
            async with client_of(None, base, key) as client:
                if not run:
                    content = pack(access_log())
                    answer = await client.post("/v1/imports?source=access-log", content=content)
                    run = answer.json()["run"]
                await until(client, run, lambda state, least=kill_at: state["published"] >= least)  # type: ignore[misc]
            readers = psutil.Process(process.pid).children()
            process.kill()
            process.wait()
            _, alive = psutil.wait_procs(readers, timeout=DEADLINE_S)
            assert not alive, "the reading process outlived the importer"
    with importer_process(url, tmp_path) as (_, base):
        async with client_of(None, base, key) as client:
            done = await until(client, run, lambda state: state["finished_at"] is not None)
    assert (done["state"], done["published"], done["rejected"]) == ("done", LINES, LINES // 100)
    assert done["lines"] == LINES + LINES // 100
    records = await backfill(url)
    identities = {identity_hash(record.key, wire.decode(record.value).id) for record in records}
    paths = {wire.decode(record.value).properties["path"] for record in records}
    assert len(identities) == LINES
    assert paths == {f"/page/{n}" for n in range(LINES)}
    assert len(records) <= LINES + 2 * BATCH, "only the batch in flight may be stored again"


async def test_two_importers_share_a_spool_and_no_run(url: str, key: str, tmp_path: Path) -> None:
    content = [b"".join(visit(file * LINES + n).encode() for n in range(1_000)) for file in range(4)]
    with importer_process(url, tmp_path) as (_, first), importer_process(url, tmp_path) as (_, second):
        async with client_of(None, first, key) as one, client_of(None, second, key) as two:
            runs = [
                (await client.post("/v1/imports?source=access-log", content=body)).json()["run"]
                for client, body in zip((one, two, one, two), content, strict=True)
            ]
            for run in runs:
                done = await until(two, run, lambda state: state["finished_at"] is not None)
                assert (done["state"], done["published"]) == ("done", 1_000)
    assert len(await backfill(url)) == 4_000, "no line was published by both"


async def test_a_stopped_importer_says_goodbye_on_its_streams_and_the_next_one_goes_on(
    url: str, key: str, tmp_path: Path
) -> None:
    with importer_process(url, tmp_path, import_max_events_per_s=500) as (process, base):
        async with client_of(None, base, key) as client:
            answer = await client.post("/v1/imports?source=access-log", content=access_log())
            run = answer.json()["run"]
            seen: list[tuple[str, dict[str, Any]]] = []
            async with client.stream("GET", f"/v1/imports/{run}/events") as stream:
                event = ""
                async for line in stream.aiter_lines():
                    if line.startswith("event: "):
                        event = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        seen.append((event, json.loads(line.removeprefix("data: "))))
                        if seen[-1][1].get("published", 0) > 0:
                            process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert {name for name, _ in seen[:-1]} == {"progress"}
    assert seen[-1][0] == "bye"
    with importer_process(url, tmp_path) as (_, base):
        async with client_of(None, base, key) as client:
            done = await until(client, run, lambda state: state["finished_at"] is not None)
    assert (done["state"], done["published"]) == ("done", LINES)
