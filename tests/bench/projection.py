"""The projector on a real PostgreSQL: events a second and CPU per event, with many ids remembered."""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import uvloop

from access.cache import open_access
from access.projects import Projects
from eventlog.consumer import Consumer
from eventlog.memory import MemoryLog
from eventlog.port import Message
from eventlog.postgres_parts import open_parts
from eventmodel import Event, ProjectId, Sender, new_event_id, topics
from eventmodel.wire import encode, event_key
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.process import collect_rarely
from measurement import Row, own_resident_mb, postgres_cpu_s, show
from postgres_server import PostgresServer, running_server
from stream_gateway.live.gate import Announcer
from stream_gateway.projection.history import ensure_months
from stream_gateway.projection.projector import GROUP, Projector
from telemetry import logs
from telemetry.metrics import Metrics

_PARTS = 8
_ACTIONS = [f"action {n}" for n in range(30)]
_SENDERS = [Sender(key="kq4rtz6mxk2a", sdk=sdk) for sdk in ("browser", "analytics-node/2.1.0", "footfall.js")]


def events(project: ProjectId, count: int) -> Iterator[Event]:
    """Live events of about 250 bytes: 20,000 users in 500 accounts, the busiest far ahead of the rest."""
    choose = random.Random(7)
    now = datetime.now(UTC)
    for n in range(count):
        user = int(choose.paretovariate(0.8)) % 20_000
        yield Event(
            id=new_event_id(),
            project=project,
            kind="track",
            action=choose.choice(_ACTIONS),
            user=f"user-{user}",
            account=f"account-{user % 500}",
            occurred_at=now - timedelta(milliseconds=count - n),
            received_at=now,
            origin="live",
            properties={"page": "/reports/42", "n": n},
            sender=_SENDERS[n % len(_SENDERS)],
        )


async def run(count: int = 100_000, remembered: int = 5_000_000) -> list[Row]:
    """One row: `count` events through the consumer runtime and the projector, `remembered` ids known before."""
    logs.configure("bench", level="warning")
    with running_server() as server:
        async with (
            server.database(await server.migrated()) as url,
            open_pool(url, max_size=8) as pool,
            open_access(pool, SystemClock(), Metrics("bench")) as access,
        ):
            clock = SystemClock()
            project = (await Projects(pool, clock).create("bench")).project
            await access.refresh()
            async with pool.acquire() as connection:
                await ensure_months(connection, clock.now(), 24)
            store = await open_parts(pool, GROUP)
            await _remember(pool, store, remembered)
            log = MemoryLog(_PARTS)
            for start in range(0, count, 1000):
                batch = list(events(project, min(1000, count - start)))
                await log.append(topics.EVENTS, [Message(event_key(e), encode(e)) for e in batch])
            consumer = Consumer(
                group=GROUP,
                live=[topics.EVENTS],
                backfill=[],
                log=log,
                store=store,
                handler=Projector(pool, access, clock, Announcer(pool), Metrics("bench")),
                clock=clock,
                metrics=Metrics("bench"),
            )
            with _measured(server) as spent:
                task = asyncio.create_task(consumer.run())
                while await pool.fetchval("select coalesce(sum(next), 0) from runtime.position") < count:
                    await asyncio.sleep(0.05)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            wall_s, client_s, server_s = spent
    return [
        Row(
            what=f"projection, {remembered / 1e6:g} M ids remembered",
            per_s=round(count / wall_s),
            cpu_us=round(client_s / count * 1e6, 1),
            server_cpu_us=round(server_s / count * 1e6, 1),
            resident_mb=own_resident_mb(),
            remark="the log's records in the same memory",
        )
    ]


async def _remember(pool: "asyncpg.Pool[asyncpg.Record]", store: Any, count: int) -> None:
    await store.tidy(datetime.now(UTC))
    group_id = await pool.fetchval("select id from runtime.grp where name = $1", GROUP)
    for start in range(0, count, 500_000):
        await pool.execute(
            "insert into runtime.seen (grp, part, hash, day)"
            " select $1, n % $2, decode(md5(n::text), 'hex'), current_date"
            " from generate_series($3::integer, $4::integer) as n",
            group_id,
            _PARTS,
            start + 1,
            min(start + 500_000, count),
            timeout=300,
        )
    await pool.execute("vacuum analyze runtime.seen", timeout=300)


@contextmanager
def _measured(server: PostgresServer) -> Iterator[list[float]]:
    """Fills a list with wall seconds, this process's CPU seconds and the server's, backends included."""
    spent: list[float] = []
    wall, client, before = time.perf_counter(), time.process_time(), postgres_cpu_s(server)
    yield spent
    spent += [time.perf_counter() - wall, time.process_time() - client, postgres_cpu_s(server) - before]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--remembered", type=int, default=5_000_000)
    arguments = parser.parse_args()
    collect_rarely()
    show(uvloop.run(run(arguments.events, arguments.remembered)))
