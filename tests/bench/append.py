"""What appending to the PostgreSQL log costs, with readers that follow: latencies and CPU per event.

Run with `make bench`, or alone: PYTHONPATH=tests/support python tests/bench/append.py [seconds]
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import uvloop

from eventlog.errors import LogBusy
from eventlog.port import Message, TopicPart
from eventlog.postgres import PostgresLog, create_topics, open_log
from eventmodel import topics
from lifecycle.process import collect_rarely
from log_harness import LOG_OWNER
from measurement import Row, own_resident_mb, postgres_cpu_s, quantile_ms, show
from postgres_server import PostgresServer, running_server

PARTITIONS = 8
EVENT_BYTES = 250
READERS = 3
SECONDS = 10.0


@dataclass
class Measured:
    """Latencies in seconds from the call of `append`: to its return, and to a reader's hands."""

    appended: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    events: int = 0
    refused: int = 0


Load: TypeAlias = Callable[[PostgresLog, Measured, float], Awaitable[None]]


async def run(seconds: float = SECONDS) -> list[Row]:
    """One row per load: its name, rate, latencies in ms and CPU microseconds per event, client and server."""
    with running_server() as server:
        return [
            await _measure(server, name, seconds, load, readers)
            for name, load, readers in (
                ("paced 30,000/s, 500 a call", partial(_paced, events_per_s=30_000), READERS),
                ("as fast as it goes, 500 a call", partial(_closed, callers=4, count=500), READERS),
                ("64 callers, 1 a call", partial(_closed, callers=64, count=1), READERS),
                ("64 callers, 1 a call, no reader", partial(_closed, callers=64, count=1), 0),
            )
        ]


async def _measure(server: PostgresServer, name: str, seconds: float, load: Load, readers: int) -> Row:
    measured = Measured()
    async with _following(server, measured, readers) as log:
        await load(log, Measured(), 1.0)
        measured.read.clear()
        client, backend, began = time.process_time(), postgres_cpu_s(server), time.monotonic()
        await load(log, measured, seconds)
        took = time.monotonic() - began
        client, backend = time.process_time() - client, postgres_cpu_s(server) - backend
    read_p50, read_p99 = quantile_ms(measured.read, 0.5), quantile_ms(measured.read, 0.99)
    return Row(
        what=f"PostgreSQL log, {name}",
        per_s=round(measured.events / took),
        cpu_us=round(client / measured.events * 1e6, 1),
        server_cpu_us=round(backend / measured.events * 1e6, 1),
        p50_ms=quantile_ms(measured.appended, 0.5),
        p99_ms=quantile_ms(measured.appended, 0.99),
        resident_mb=own_resident_mb(),
        remark=(f"{readers} readers: p50 {read_p50} ms, p99 {read_p99} ms" if readers else "no reader")
        + (f"; {measured.refused} refused" if measured.refused else ""),
    )


@asynccontextmanager
async def _following(server: PostgresServer, measured: Measured, readers: int) -> AsyncIterator[PostgresLog]:
    async with server.database(await server.migrated([LOG_OWNER])) as url:
        await create_topics(url, topics.ALL, PARTITIONS)
        async with open_log(url) as log, asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(_follow(log, measured)) for _ in range(readers)]
            yield log
            for task in following:
                task.cancel()


async def _follow(log: PostgresLog, measured: Measured) -> None:
    async with log.reader() as reader:
        reader.assign({TopicPart(topics.EVENTS, n): 0 for n in range(PARTITIONS)})
        while True:
            records = await reader.fetch(2_000, 0.2)
            now = time.monotonic_ns()
            measured.read += [(now - int(r.value[:20])) / 1e9 for r in records]


async def _append(log: PostgresLog, measured: Measured, count: int) -> None:
    began = time.monotonic_ns()
    value = (b"%020d" % began).ljust(EVENT_BYTES - 20, b"x")
    messages = [Message(b"p:u:%014d" % random.randrange(100_000), value) for _ in range(count)]
    try:
        await log.append(topics.EVENTS, messages)
    except LogBusy:
        measured.refused += count
        return
    measured.appended.append((time.monotonic_ns() - began) / 1e9)
    measured.events += count


async def _paced(log: PostgresLog, measured: Measured, seconds: float, events_per_s: int) -> None:
    """Calls begin when they are due, whether or not earlier ones have returned."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for n in range(int(seconds * events_per_s / 500)):
            await asyncio.sleep(max(0.0, began + n * 500 / events_per_s - time.monotonic()))
            tasks.create_task(_append(log, measured, 500))


async def _closed(log: PostgresLog, measured: Measured, seconds: float, callers: int, count: int) -> None:
    """Callers that each begin the next call when the last has returned."""
    until = time.monotonic() + seconds

    async def call() -> None:
        while time.monotonic() < until:
            await _append(log, measured, count)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(callers):
            tasks.create_task(call())


if __name__ == "__main__":
    collect_rarely()
    show(uvloop.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))
