"""ingest-api as its own process, on a real database and the PostgreSQL log."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from access.projects import Projects
from eventlog.port import TopicPart
from eventlog.postgres import create_topics, open_log
from eventmodel import topics, wire
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool

_READY = re.compile(rb'"port": ?(\d+)')


@asynccontextmanager
async def _process(**environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ingest_api",
        env={**os.environ, **environ},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process, text: bytes) -> bytes:
    assert process.stderr
    async with asyncio.timeout(30):
        while line := await process.stderr.readline():
            if text in line:
                return line
    raise AssertionError(f"the process ended without saying {text!r}")


async def test_what_was_accepted_survives_a_kill(migrated_url: str, unused_tcp_port: int) -> None:
    await create_topics(migrated_url, topics.ALL, 4)
    async with open_pool(migrated_url) as pool:
        project = await Projects(pool, SystemClock()).create("main")
    settings = {
        "FOOTFALL_DATABASE_URL": migrated_url,
        "FOOTFALL_LOG": "postgres",
        "FOOTFALL_PORT": str(unused_tcp_port),
    }
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with _process(**settings) as process, httpx.AsyncClient(base_url=url) as client:
        await _line(process, b'"ready"')
        assert (await client.get("/readyz")).json() == {"status": "ready", "log": "ok", "database": "ok"}
        accepted = []
        for number in range(20):
            event = {"user": f"u{number}", "action": "a", "id": f"i{number}"}
            answer = await client.post("/v1/events", json=event, auth=(project.write_key, ""))
            assert answer.json() == {"accepted": 1, "rejected": []}
            accepted.append(f"i{number}")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with open_log(migrated_url) as log, log.reader() as reader:
        reader.assign({TopicPart(topics.EVENTS, part): 0 for part in range(4)})
        records = await reader.fetch(100, 5)
    assert sorted(wire.decode(record.value).id for record in records) == sorted(accepted)


async def test_a_request_under_way_is_answered_before_the_process_ends(
    migrated_url: str, unused_tcp_port: int
) -> None:
    await create_topics(migrated_url, topics.ALL, 4)
    async with open_pool(migrated_url) as pool:
        project = await Projects(pool, SystemClock()).create("main")
    settings = {
        "FOOTFALL_DATABASE_URL": migrated_url,
        "FOOTFALL_LOG": "postgres",
        "FOOTFALL_PORT": str(unused_tcp_port),
    }
    body = b'{"user":"ada","action":"a"}'
    head = (
        f"POST /v1/events?key={project.write_key} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    async with _process(**settings) as process:
        await _line(process, b'"ready"')
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.write(head.encode() + body[:10])
        await writer.drain()
        process.send_signal(signal.SIGTERM)
        await _line(process, b"asked to stop")
        writer.write(body[10:])
        async with asyncio.timeout(10):
            assert b" 200 " in await reader.readline()
            assert await process.wait() == 0
        writer.close()


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["--check"], 2)])
async def test_help_and_check_need_no_database(arguments: list[str], code: int) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ingest_api",
        *arguments,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == code
    assert b"FOOTFALL_DATABASE_URL" in out + err
