"""ingest-api as its users run it, beside a Bento pipeline on the same broker: CPU per event, latencies, memory.

Both are measured in turn, several times, in one run; only what stands in one run may be compared.
Run with `make bench`, or alone: PYTHONPATH=tests/support python tests/bench/ingest.py [seconds]
"""

import json
import random
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import psutil
import uvloop

import bento
import load
from admission_cost import EVENT
from eventlog.kafka_topics import create_topics
from eventmodel import new_event_id, topics
from ingest_process import Ingest, running_ingest
from kafka import broker_cpu_s
from kafka_broker import running_broker
from measurement import Row, quantile_ms, show
from postgres_server import running_server
from processes import cpu_s, resident_mb
from telemetry import logs

SECONDS = 4.0
ROUNDS = 5
WARMING_S = 3.0
_USERS = 20_000
_WITHOUT_GO = "There is no Go on this machine, so there is no Bento to compare ingest with.\n"


@dataclass(frozen=True)
class _Kind:
    """One kind of request; `mark` is how much of Bento's CPU per event ingest may use for it."""

    name: str
    events: int
    connections: int
    mark: float


_SINGLE = _Kind("one event a request", 1, 64, 1.0)
_BATCH = _Kind("100 events a request", 100, 16, 0.5)


@dataclass(frozen=True)
class _Side:
    """One of the two that are compared."""

    name: str
    port: int
    process: psutil.Process
    requests: Sequence[bytes]


async def run(seconds: float = SECONDS) -> list[Row]:
    """For each kind a row of ingest and one of Bento at their ceilings, then ingest at half of its own."""
    program = bento.build()
    if program is None:
        sys.stderr.write(_WITHOUT_GO)
    rows: list[Row] = []
    with running_server() as postgres, running_broker() as broker:
        await create_topics(broker.bootstrap, replication=1)
        async with running_ingest(postgres, broker.bootstrap) as ingest:
            for kind in (_SINGLE, _BATCH):
                ours = _Side("ingest", ingest.port, ingest.process, ingest_requests(ingest, kind.events))
                async with AsyncExitStack() as stack:
                    sides = [ours]
                    if program is not None:
                        other = await stack.enter_async_context(
                            bento.running(program, broker.bootstrap, topics.EVENTS, arrays=kind.events > 1)
                        )
                        requests = [_request(bento.PATH, "", body) for body in _bodies(kind.events)]
                        sides.append(_Side("Bento", other.port, other.process, requests))
                    found = await _at_ceiling(sides, kind, seconds)
                rows += found
                if kind is _SINGLE:
                    rows.append(await _at_half(ours, kind, found[0], seconds * ROUNDS))
    return rows


async def _at_ceiling(sides: Sequence[_Side], kind: _Kind, seconds: float) -> list[Row]:
    """One row a side, each number the median of its rounds; the sides take turns."""
    for side in sides:
        await _measure(side, kind, WARMING_S)
    rounds: dict[str, list[Row]] = {side.name: [] for side in sides}
    for _ in range(ROUNDS):
        for side in sides:
            rounds[side.name].append(await _measure(side, kind, seconds))
    rows = [_middle(taken) for taken in rounds.values()]
    if len(rows) == 2:
        ours, other = (row.cpu_us or 0.0 for row in rows)
        share = f"{ours / other:.2f} of Bento's CPU; the mark is {kind.mark}"
        rows[0] = replace(rows[0], remark=f"{rows[0].remark}, {share}")
    return rows


async def _at_half(side: _Side, kind: _Kind, ceiling: Row, seconds: float) -> Row:
    """One row at half the rate of `ceiling`."""
    per_s = (ceiling.per_s or 0.0) / 2
    row = await _measure(side, kind, seconds, per_s)
    return replace(
        row, what=f"{row.what}, half of it", remark=f"{row.remark}, steady; the mark is a p99 of 50 ms"
    )


async def _measure(side: _Side, kind: _Kind, seconds: float, per_s: float | None = None) -> Row:
    cpu, broker = cpu_s(side.process), broker_cpu_s()
    answered = await load.send(
        side.port, side.requests, connections=kind.connections, seconds=seconds, per_s=per_s
    )
    events = len(answered.latencies_s) * kind.events
    return Row(
        what=f"{side.name}, {kind.name}",
        per_s=round(answered.per_s * kind.events),
        cpu_us=round((cpu_s(side.process) - cpu) / events * 1e6, 1),
        server_cpu_us=round((broker_cpu_s() - broker) / events * 1e6, 1),
        p50_ms=quantile_ms(answered.latencies_s, 0.5),
        p99_ms=quantile_ms(answered.latencies_s, 0.99),
        resident_mb=resident_mb(side.process),
        remark=f"{kind.connections} connections"
        + (f", {answered.refused} answered 503" * bool(answered.refused)),
    )


def _middle(rounds: Sequence[Row]) -> Row:
    """The rounds' row with the median CPU per event, and the medians of what else was measured."""

    def middle(values: Iterable[float | None]) -> float:
        return median(value for value in values if value is not None)

    return replace(
        rounds[-1],
        per_s=middle(row.per_s for row in rounds),
        cpu_us=middle(row.cpu_us for row in rounds),
        server_cpu_us=middle(row.server_cpu_us for row in rounds),
        p50_ms=middle(row.p50_ms for row in rounds),
        p99_ms=middle(row.p99_ms for row in rounds),
    )


def ingest_requests(ingest: Ingest, events: int) -> list[bytes]:
    """Requests to POST /v1/events of so many events each, of many users."""
    return [
        _request("/v1/events", f"authorization: Bearer {ingest.write_key}\r\n", body)
        for body in _bodies(events)
    ]


def _bodies(events: int) -> list[bytes]:
    return [
        json.dumps(made[0] if events == 1 else made).encode()
        for made in ([_event() for _ in range(events)] for _ in range(max(50, 2_000 // events)))
    ]


def _event() -> dict[str, Any]:
    return {**EVENT, "user": f"user-{random.randrange(_USERS)}@acme.example", "id": new_event_id()}


def _request(path: str, headers: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench/1.0\r\n{headers}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    logs.configure("bench", level="warning")
    show(uvloop.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))
