"""The fan-out over real sockets: CPU per delivery and memory per connection, many clients of one stream."""

import argparse
import asyncio
import json
import socket
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import psutil
import uvicorn
import uvloop

from access.cache import Access
from access.model import Principal
from eventlog.memory import MemoryLog
from eventlog.port import Message
from eventmodel import Event, ProjectId, new_event_id, topics
from eventmodel.wire import encode, event_key
from lifecycle.process import collect_rarely
from measurement import Row, quantile_ms, show
from stream_gateway.live.channel import Channel
from stream_gateway.live.gate import Gate, Projected
from stream_gateway.live.stream import Stream
from stream_gateway.principals import Readers
from telemetry import logs
from telemetry.metrics import Metrics

CLIENTS = 500
RATE = 200
SECONDS = 20.0
_PROJECT = ProjectId("pbench")


async def run(clients: int = CLIENTS, seconds: float = SECONDS) -> list[Row]:
    """Three phases of one server: nobody listens; one filter; as many filters as clients."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        address = json.loads(await server.stdout.readline())
        process = psutil.Process(server.pid)
        await _publish(server, seconds / 2)
        # The log and the ring in the server's memory grow whether or not anybody listens.
        alone = process.memory_info().rss
        idle_s, _ = await _spent(server, process, seconds)
        grown = process.memory_info().rss - alone
        rows = []
        for what, filters in (
            ("one filter", [""] * clients),
            (f"{clients} filters", [f"?user=u{n % 100}&action=a{n}&action=opened" for n in range(clients)]),
        ):
            resident = process.memory_info().rss
            readers = [_Reader() for _ in filters]
            tasks = [
                asyncio.create_task(reader.run(address, path))
                for reader, path in zip(readers, filters, strict=True)
            ]
            await asyncio.gather(*(reader.opened.wait() for reader in readers))
            connected = process.memory_info().rss
            busy_s, latencies = await _spent(server, process, seconds, readers)
            flowing = process.memory_info().rss
            deliveries = sum(reader.deliveries for reader in readers)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            rows.append(
                Row(
                    what=f"fan-out, {RATE}/s to {clients} clients, {what}",
                    per_s=round(deliveries / seconds),
                    cpu_us=round((busy_s - idle_s) / max(1, deliveries) * 1e6, 2),
                    p50_ms=quantile_ms(latencies, 0.5),
                    p99_ms=quantile_ms(latencies, 0.99),
                    resident_mb=round(flowing / 2**20, 1),
                    remark=f"per delivery; {(connected - resident) / clients / 1024:.1f} KB a connection at rest, "
                    f"{(flowing - resident - grown) / clients / 1024:.1f} flowing",
                )
            )
        return rows
    finally:
        server.stdin.close()
        await server.wait()


class _Reader:
    """One raw connection: counts deliveries; takes the age of one event in each read."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.deliveries = 0
        self.ages: list[float] = []

    async def run(self, address: dict[str, Any], query: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", address["port"])
        writer.write(
            f"GET /v1/stream{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {'x' * 47}\r\n\r\n".encode()
        )
        try:
            while data := await reader.read(1 << 20):
                self.opened.set()
                self.deliveries += data.count(b"event: activity")
                at = data.rfind(b'"sent":')
                if at >= 0:
                    sent = float(data[at + 7 : at + 24].split(b"}")[0].split(b",")[0])
                    self.ages.append(time.time() - sent)
        finally:
            writer.close()


async def _publish(server: asyncio.subprocess.Process, seconds: float) -> None:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{seconds}\n".encode())
    await server.stdout.readline()


async def _spent(
    server: asyncio.subprocess.Process,
    process: psutil.Process,
    seconds: float,
    readers: "list[_Reader] | None" = None,
) -> tuple[float, list[float]]:
    before = process.cpu_times()
    await _publish(server, seconds)
    after = process.cpu_times()
    ages = [age for reader in readers or () for age in reader.ages]
    return after.user + after.system - before.user - before.system, ages


class _OpenGate:
    """Everything in the log counts as projected: what is measured is the fan-out, not the projector."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._appended = asyncio.Event()

    def appended(self) -> None:
        self._appended.set()

    async def projected(self, topic: str, shown: Mapping[int, int]) -> Mapping[int, Projected]:
        heads = await self._log.heads(topic)
        return {part: Projected(heads[part], frozenset()) for part, at in shown.items() if heads[part] > at}

    def generation(self, topic: str) -> int:
        return 0

    async def wait(self, topic: str, generation: int) -> None:
        await self._appended.wait()
        self._appended.clear()


class _Anyone:
    """Admits everybody to one project."""

    async def reader(self, request: object) -> Principal:
        return Principal(_PROJECT, "secret", None)

    def still_valid(self, principal: Principal) -> bool:
        return True


async def serve() -> None:
    """The server's side: prints where it is, then publishes for as long as each line of stdin says."""
    logs.configure("bench", level="warning")
    log, metrics, anyone = MemoryLog(8), Metrics("bench"), _Anyone()
    gate = _OpenGate(log)
    channel = Channel(
        name="activity",
        event="activity",
        topic=await log.topic(topics.EVENTS),
        log=log,
        gate=cast(Gate, gate),
        access=cast(Access, anyone),
        metrics=metrics,
    )
    stream = Stream(
        {"activity": channel}, cast(Readers, anyone), resume_max_records=0, max_connections=10_000
    )
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = uvicorn.Server(
        uvicorn.Config(stream, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve([listening]))
        running = tasks.create_task(channel.run())
        await _publish_as_told(log, gate, listening.getsockname()[1])
        running.cancel()
        server.should_exit = True
        await serving


async def _publish_as_told(log: MemoryLog, gate: _OpenGate, port: int) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    _say({"port": port})
    number = 0
    while line := await lines.readline():
        began, before = loop.time(), number
        while number < before + float(line) * RATE:
            number += 1
            event = Event(
                id=new_event_id(),
                project=_PROJECT,
                kind="track",
                action="opened" if number % 2 else "closed",
                user=f"u{number % 100}",
                account=f"account-{number % 20}",
                occurred_at=datetime.now(UTC),
                received_at=datetime.now(UTC),
                origin="live",
                properties={"sent": time.time()},
            )
            await log.append(topics.EVENTS, [Message(event_key(event), encode(event))])
            gate.appended()
            await asyncio.sleep(max(0.0, began + (number - before) / RATE - loop.time()))
        _say({"published": number})


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    if arguments.serve:
        collect_rarely()
        uvloop.run(serve())
    else:
        show(uvloop.run(run(seconds=arguments.seconds)))
