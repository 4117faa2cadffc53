"""What a benchmark answers: one row per load, with the same columns for all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psutil
from rich.console import Console
from rich.table import Table

from postgres_server import PostgresServer


@dataclass(frozen=True, kw_only=True)
class Row:
    """One load. CPU is in microseconds per event (per delivery for the fan-out), latencies in milliseconds.

    `cpu_us` is the process measured, `server_cpu_us` its database or broker. What was not measured is None.
    """

    what: str
    per_s: float | None = None
    cpu_us: float | None = None
    server_cpu_us: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    resident_mb: float | None = None
    remark: str = ""


_TITLES = {
    "what": "load",
    "per_s": "events/s",
    "cpu_us": "CPU µs/event",
    "server_cpu_us": "server CPU µs/event",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "resident_mb": "resident MB",
    "remark": "remark",
}


def show(rows: Sequence[Row]) -> None:
    """All rows in one table on stdout."""
    table = Table()
    for name, title in _TITLES.items():
        table.add_column(
            title, justify="left" if name in ("what", "remark") else "right", no_wrap=name == "what"
        )
    for row in rows:
        table.add_row(*(_text(value) for value in asdict(row).values()))
    Console(width=max(180, Console().width)).print(table)


def quantile_ms(latencies_s: Sequence[float], quantile: float) -> float | None:
    """A quantile of latencies in seconds, in milliseconds; None of nothing."""
    if not latencies_s:
        return None
    ordered = sorted(latencies_s)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] * 1000, 1)


def own_resident_mb() -> float:
    """Resident memory of this process."""
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def postgres_cpu_s(server: PostgresServer) -> float:
    """CPU seconds of the postmaster, its living backends and those that ended."""
    pid = int((server.directory / "data" / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    own = postmaster.cpu_times()
    alive = [child.cpu_times() for child in postmaster.children(recursive=True)]
    ended = own.children_user + own.children_system
    return ended + sum(times.user + times.system for times in (own, *alive))


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
    return str(value)
