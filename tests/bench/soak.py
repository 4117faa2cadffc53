"""ingest-api for an hour at 80 % of its ceiling: what grows? Memory, open files and latencies, and the trend of memory.

Run with `make soak`, for less with `make soak DURATION=900` (seconds): the trend says what that would be in an hour.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression, mean

import uvloop
from rich.console import Console
from rich.table import Table

import load
from eventlog.kafka_topics import create_topics
from ingest import ingest_requests
from ingest_process import Ingest, running_ingest
from kafka_broker import running_broker
from measurement import quantile_ms
from postgres_server import running_server
from processes import cpu_s, resident_mb
from telemetry import logs

DURATION_S = 3600.0
SHARE = 0.8
CONNECTIONS = 64
_CEILING_S = 15.0
_SAMPLE_S = 10.0
_ROWS = 24
# Caches and pools fill; what grows after that is a leak.
_WARMING = 0.2


@dataclass(frozen=True)
class Sample:
    """What one stretch of `_SAMPLE_S` ended with; `at_s` since the beginning."""

    at_s: float
    per_s: float
    cpu_us: float
    p50_ms: float | None
    p99_ms: float | None
    resident_mb: float
    open_files: int
    refused: int


async def run(duration_s: float) -> None:
    """Measure the ceiling, then soak; prints a table and the trend."""
    with running_server() as postgres, running_broker() as broker:
        await create_topics(broker.bootstrap, replication=1)
        async with running_ingest(postgres, broker.bootstrap) as ingest:
            requests = ingest_requests(ingest, 1)
            await load.send(ingest.port, requests, connections=CONNECTIONS, seconds=_CEILING_S)
            full = await load.send(ingest.port, requests, connections=CONNECTIONS, seconds=_CEILING_S)
            per_s = full.per_s * SHARE
            samples: list[Sample] = []
            while not samples or samples[-1].at_s < duration_s:
                at_s = (samples[-1].at_s if samples else 0.0) + _SAMPLE_S
                samples.append(await _sample(ingest, requests, per_s, at_s))
                _tell(samples[-1])
    _show(samples)


async def _sample(ingest: Ingest, requests: Sequence[bytes], per_s: float, at_s: float) -> Sample:
    before_s = cpu_s(ingest.process)
    answered = await load.send(ingest.port, requests, connections=CONNECTIONS, seconds=_SAMPLE_S, per_s=per_s)
    spent_s = cpu_s(ingest.process) - before_s
    return Sample(
        at_s=at_s,
        per_s=answered.per_s,
        cpu_us=spent_s / max(1, len(answered.latencies_s)) * 1e6,
        p50_ms=quantile_ms(answered.latencies_s, 0.5),
        p99_ms=quantile_ms(answered.latencies_s, 0.99),
        resident_mb=resident_mb(ingest.process),
        open_files=ingest.process.num_fds(),
        refused=answered.refused,
    )


def _tell(sample: Sample) -> None:
    sys.stderr.write(f"\r{sample.at_s:,.0f} s: {sample.resident_mb} MB")
    sys.stderr.flush()


def _show(samples: Sequence[Sample]) -> None:
    table = Table()
    for title in (
        "minute",
        "events/s",
        "CPU µs/event",
        "p50 ms",
        "p99 ms",
        "resident MB",
        "open files",
        "503",
    ):
        table.add_column(title, justify="right")
    for sample in samples[:: max(1, len(samples) // _ROWS)]:
        table.add_row(
            f"{sample.at_s / 60:.1f}",
            f"{sample.per_s:,.0f}",
            f"{sample.cpu_us:.0f}",
            str(sample.p50_ms),
            str(sample.p99_ms),
            f"{sample.resident_mb:.1f}",
            str(sample.open_files),
            str(sample.refused),
        )
    sys.stderr.write("\n")
    console = Console(width=max(120, Console().width))
    console.print(table)
    console.print(_trend(samples))


def _trend(samples: Sequence[Sample]) -> str:
    """How memory and open files move after warming up, as a sentence."""
    settled = [sample for sample in samples if sample.at_s > samples[-1].at_s * _WARMING]
    if len(settled) < 3:
        return "Too short for a trend."
    hours = [sample.at_s / 3600 for sample in settled]
    memory = [sample.resident_mb for sample in settled]
    files = [float(sample.open_files) for sample in settled]
    percent = linear_regression(hours, memory).slope / mean(memory) * 100
    return (
        f"After {settled[0].at_s / 60:.0f} of {samples[-1].at_s / 60:.0f} minutes: resident memory "
        f"{percent:+.1f} % an hour, from {min(memory):.1f} to {max(memory):.1f} MB; open files "
        f"{min(files):.0f} to {max(files):.0f}; {sum(sample.refused for sample in samples)} requests were answered 503."
    )


if __name__ == "__main__":
    logs.configure("soak", level="warning")
    uvloop.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else DURATION_S))
