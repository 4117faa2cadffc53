"""What admission costs, alone, behind HTTP with a log that forgets, and through Kafka: CPU per event, latencies.

Run with `make bench`, or alone: PYTHONPATH=tests/support python tests/bench/ingest.py [seconds]
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psutil
import uvloop

from admission import admit, sender_of
from eventlog.kafka import open_log
from eventlog.kafka_topics import create_topics
from eventlog.memory import MemoryLog
from eventlog.port import LogWriter, Message, Stored
from eventmodel import ProjectId
from ingest_stand import open_stand, serving
from kafka_broker import running_broker
from lifecycle.process import collect_rarely
from measurement import Row, quantile_ms, show
from telemetry import logs

SECONDS = 5.0
EVENT: dict[str, Any] = {
    "user": "ada@acme.example",
    "action": "opened report",
    "account": "acme",
    "time": "2026-11-22T09:30:00.123Z",
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "properties": {"report": "churn", "rows": 120, "filters": ["plan", "region"], "shared": True},
}
ARRAY = json.dumps([EVENT] * 100).encode()
BODIES = {
    "100 in an array": (ARRAY, 100),
    "100 without ids": (json.dumps([{k: v for k, v in EVENT.items() if k != "id"}] * 100).encode(), 100),
    "100 lines": (b"\n".join([json.dumps(EVENT).encode()] * 100), 100),
    "one": (json.dumps(EVENT).encode(), 1),
    "10,000 in an array": (json.dumps([EVENT] * 10_000).encode(), 10_000),
}


async def run(seconds: float = SECONDS) -> list[Row]:
    """Rows of admission alone, then of requests: CPU microseconds of the server process per event."""
    rows = [_admission(name, body, count, seconds / 5) for name, (body, count) in BODIES.items()]
    rows += await _served("a log that forgets", "", seconds)
    with running_broker() as broker:
        await create_topics(broker.bootstrap, replication=1)
        rows += await _served("Kafka", broker.bootstrap, seconds)
    return rows


async def _served(log: str, bootstrap: str, seconds: float) -> list[Row]:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--serve", bootstrap),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        address = json.loads(await server.stdout.readline())
        process = psutil.Process(server.pid)
        rows = []
        for name, connections in (("one", 64), ("100 in an array", 16)):
            await _requests(f"{name}, {log}", address, process, 1.0, connections)
            rows.append(await _requests(f"{name}, {log}", address, process, seconds, connections))
        return rows
    finally:
        server.stdin.close()
        await server.wait()


def _admission(name: str, body: bytes, count: int, seconds: float) -> Row:
    project, now = ProjectId("pabcdefgh234"), datetime(2026, 11, 22, 9, 31, tzinfo=UTC)
    sender, fewest_s = sender_of("kq4rtz6mxk2a", "python-requests/2.31.0"), float("inf")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        began_s = time.process_time()
        admitted = admit(body, project=project, received_at=now, sender=sender)
        fewest_s = min(fewest_s, time.process_time() - began_s)
        assert len(admitted.messages) == count
    cpu_us = round(fewest_s / count * 1e6, 1)
    return Row(
        what=f"admission, {name}",
        per_s=round(1e6 / cpu_us),
        cpu_us=cpu_us,
        remark="one core, the fastest run",
    )


async def _requests(
    name: str, address: dict[str, Any], process: psutil.Process, seconds: float, connections: int
) -> Row:
    body, count = BODIES[name.rpartition(", ")[0]]
    head = (
        f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {address['key']}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    latencies_s: list[float] = []
    before, began = _cpu_s(process), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_send(address["port"], request, began + seconds, latencies_s))
    took_s, cpu_s = time.monotonic() - began, _cpu_s(process) - before
    events = len(latencies_s) * count
    return Row(
        what=f"POST /v1/events, {name}",
        per_s=round(events / took_s),
        cpu_us=round(cpu_s / events * 1e6, 1),
        p50_ms=quantile_ms(latencies_s, 0.5),
        p99_ms=quantile_ms(latencies_s, 0.99),
        resident_mb=round(process.memory_info().rss / 2**20, 1),
        remark=f"{connections} connections, {len(latencies_s) / took_s:,.0f} requests/s",
    )


async def _send(port: int, request: bytes, deadline: float, latencies_s: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.monotonic() < deadline:
            began = time.monotonic()
            writer.write(request)
            answer = await reader.readuntil(b'"rejected":[]}')
            latencies_s.append(time.monotonic() - began)
            assert b" 200 OK" in answer
    finally:
        writer.close()


def _cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


class _ForgetfulLog(MemoryLog):
    async def append(self, topic: str, messages: Sequence[Message]) -> Sequence[Stored]:
        return [Stored(topic, 0, 0)] * len(messages)


async def _serve(bootstrap: str) -> None:
    logs.configure("ingest-api", level="warning")
    if not bootstrap:
        await _answer(_ForgetfulLog())
        return
    async with open_log(bootstrap) as log:
        await _answer(log)


async def _answer(log: LogWriter) -> None:
    stand = await open_stand(writer=log, project_events_per_s=10_000_000)
    async with serving(stand) as url:
        sys.stdout.write(json.dumps({"port": int(url.rpartition(":")[2]), "key": stand.write_key}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        collect_rarely()
        uvloop.run(_serve(sys.argv[-1]))
    else:
        show(asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))
