"""What the Kafka log costs: appending in batches and alone, reading; CPU of this process and of the broker per event.

Run with `make bench`, or alone: PYTHONPATH=tests/support python tests/bench/kafka.py [seconds]
"""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import psutil
import uvloop

from eventlog.kafka import KafkaLog, open_log
from eventlog.kafka_topics import create_topics
from eventlog.port import Message, TopicPart
from eventmodel import new_event_id, topics
from kafka_broker import running_broker
from lifecycle.process import collect_rarely
from measurement import Row, own_resident_mb, quantile_ms, show

PARTITIONS = 16
SECONDS = 10.0
WARMING_S = 3.0


@dataclass
class Measured:
    """Latencies in seconds from the call of `append` to its return."""

    appended: list[float] = field(default_factory=list)
    events: int = 0


async def run(seconds: float = SECONDS) -> list[Row]:
    """One row per load: its name, rate, latencies in ms and CPU microseconds per event, client and broker."""
    with running_broker() as broker:
        await create_topics(broker.bootstrap, PARTITIONS, 1)
        async with open_log(broker.bootstrap) as log:
            rows = [
                await _measure_appends(log, name, seconds, callers, count)
                for name, callers, count in (
                    ("4 callers, 100 a call", 4, 100),
                    ("64 callers, 1 a call", 64, 1),
                    ("1 caller, 1 a call", 1, 1),
                )
            ]
            return [*rows, await _measure_reading(log)]


async def _measure_appends(log: KafkaLog, name: str, seconds: float, callers: int, count: int) -> Row:
    values = _values(2_000)
    await _append_for(log, values, WARMING_S, callers, count)
    client, broker, began = time.process_time(), broker_cpu_s(), time.monotonic()
    measured = await _append_for(log, values, seconds, callers, count)
    took = time.monotonic() - began
    return Row(
        what=f"Kafka log, {name}",
        per_s=round(measured.events / took),
        cpu_us=round((time.process_time() - client) / measured.events * 1e6, 1),
        server_cpu_us=round((broker_cpu_s() - broker) / measured.events * 1e6, 1),
        p50_ms=quantile_ms(measured.appended, 0.5),
        p99_ms=quantile_ms(measured.appended, 0.99),
        resident_mb=own_resident_mb(),
    )


async def _append_for(
    log: KafkaLog, values: Sequence[bytes], seconds: float, callers: int, count: int
) -> Measured:
    measured = Measured()
    until = time.monotonic() + seconds
    # Made beforehand: what costs here is the log, not the events.
    calls = [
        [
            Message(b"p0123456789:u:%06d" % random.randrange(20_000), random.choice(values))
            for _ in range(count)
        ]
        for _ in range(max(50, 5_000 // count))
    ]

    async def call(number: int) -> None:
        while (began := time.monotonic()) < until:
            await log.append(topics.EVENTS, calls[number % len(calls)])
            measured.appended.append(time.monotonic() - began)
            measured.events += count
            number += callers

    async with asyncio.TaskGroup() as tasks:
        for number in range(callers):
            tasks.create_task(call(number))
    return measured


async def _measure_reading(log: KafkaLog) -> Row:
    """Everything written before, from its start, 500 records at most a fetch."""
    heads = await log.heads(topics.EVENTS)
    async with log.reader() as reader:
        reader.assign({TopicPart(topics.EVENTS, number): 0 for number in range(PARTITIONS)})
        client, broker, began, read = time.process_time(), broker_cpu_s(), time.monotonic(), 0
        while read < sum(heads):
            read += len(await reader.fetch(500, 1))
        took = time.monotonic() - began
    return Row(
        what="Kafka log, read, 500 a fetch",
        per_s=round(read / took),
        cpu_us=round((time.process_time() - client) / read * 1e6, 1),
        server_cpu_us=round((broker_cpu_s() - broker) / read * 1e6, 1),
        resident_mb=own_resident_mb(),
    )


def _values(count: int) -> list[bytes]:
    """Events of about 250 bytes that compress as real ones do, not as a repeated letter."""
    return [
        msgspec.json.encode(
            {
                "id": new_event_id(),
                "project": "p0123456789",
                "type": "track",
                "action": random.choice(("opened report", "invited user", "exported table", "signed up")),
                "occurred_at": f"2026-11-22T09:{random.randrange(60):02d}:{random.randrange(60):02d}.123456Z",
                "received_at": f"2026-11-22T09:{random.randrange(60):02d}:{random.randrange(60):02d}.654321Z",
                "origin": "live",
                "user": f"user-{random.randrange(20_000)}@example.com",
                "account": f"account-{random.randrange(500)}",
                "properties": {"n": random.randrange(10**6)},
            }
        )
        for _ in range(count)
    ]


def broker_cpu_s() -> float:
    """CPU seconds of the broker, when it is a child of ours; else 0."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children if child.name() == "java")


if __name__ == "__main__":
    collect_rarely()
    show(uvloop.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))
