"""The rule engine as a process of its own: killed while it works, it neither loses nor repeats an action."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import httpx
import pytest

from access.projects import Projects
from eventlog.port import Message
from eventlog.postgres import create_topics, open_log
from eventmodel import topics
from eventmodel.wire import encode, event_key
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from running_rules import PARTITIONS, make_event, relayed

pytestmark = pytest.mark.e2e

EVENTS = 400


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


@asynccontextmanager
async def process(url: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The running process, ready; killed on leaving when it still runs."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")},
        "FOOTFALL_DATABASE_URL": url,
        "FOOTFALL_LOG": "postgres",
        "FOOTFALL_PORT": str(port),
        "FOOTFALL_LOG_LEVEL": "warning",
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "rule_engine", env=environ)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while True:
                assert child.returncode is None
                with suppress(httpx.TransportError):
                    if (await client.get("/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.05)
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def actions_reach(pool: "asyncpg.Pool[asyncpg.Record]", number: int) -> None:
    """Return once so many actions are kept."""
    async with asyncio.timeout(60):
        while await pool.fetchval("select count(*) from rules.action") < number:
            await asyncio.sleep(0.02)


async def test_killed_engine_loses_and_repeats_nothing(migrated_url: str) -> None:
    await create_topics(migrated_url, topics.ALL, PARTITIONS)
    port = free_port()
    async with open_pool(migrated_url) as pool, open_log(migrated_url) as log:
        main = await Projects(pool, SystemClock()).create("main")
        events = [make_event(main.project, n, user=f"u{n % 40}") for n in range(EVENTS)]
        async with process(migrated_url, port) as child:
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {main.secret_key}"}) as client:
                text = 'rule "all" { on any do dashboard(note: "{{ event.id }}") }'
                answer = await client.post(f"http://127.0.0.1:{port}/v1/rules", json={"text": text})
                assert answer.status_code == 200, answer.text
            for start in range(0, EVENTS // 2, 10):
                await log.append(
                    topics.EVENTS, [Message(event_key(e), encode(e)) for e in events[start : start + 10]]
                )
            await actions_reach(pool, 50)
            child.send_signal(signal.SIGKILL)
            await child.wait()
        await log.append(topics.EVENTS, [Message(event_key(e), encode(e)) for e in events[EVENTS // 2 :]])
        async with process(migrated_url, port) as child:
            await actions_reach(pool, EVENTS)
            async with asyncio.timeout(60):
                while await pool.fetchval("select count(*) from rules.outbox"):
                    await asyncio.sleep(0.02)
            child.send_signal(signal.SIGTERM)
            assert await child.wait() == 0
        kept = {row["key"].hex() for row in await pool.fetch("select key from rules.action")}
        records = await relayed(log)
    assert len(kept) == EVENTS
    assert {record["id"] for record in records} == kept
    seen: dict[str, None] = {}
    for record in records:
        seen.setdefault(f"{record['subject']} {record['event']['id']}")
    for user in range(40):
        mine = [key.split()[1] for key in seen if key.split()[0] == f"u:u{user}"]
        assert mine == [f"e{n}" for n in range(user, EVENTS, 40)]


@pytest.mark.parametrize(("environ", "code"), [({}, 2), ({"FOOTFALL_DATABASE_URL": "postgresql://x/y"}, 0)])
async def test_settings_are_checked(environ: dict[str, str], code: int) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rule_engine",
        "--check",
        env={**environ, "FOOTFALL_LOG": "postgres"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await child.wait() == code
