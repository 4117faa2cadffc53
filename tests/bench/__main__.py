"""`make bench`: every benchmark in one table, one after the other, so that they do not disturb each other."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

import append
import fanout
import ingest
import kafka
import projection
from lifecycle.process import collect_rarely

_BENCHES: Mapping[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {
    "admission": ingest.run,
    "PostgreSQL log": append.run,
    "Kafka log": kafka.run,
    "projection": projection.run,
    "fan-out": fanout.run,
}


def main() -> None:
    """Run those named on the command line, or all."""
    collect_rarely()
    chosen = sys.argv[1:] or list(_BENCHES)
    console = Console(width=max(200, Console().width))
    for name in chosen:
        if name not in _BENCHES:
            sys.exit(f"There is no benchmark {name!r}. There are: {', '.join(_BENCHES)}.")
        console.print(f"{name}: measuring, load average {os.getloadavg()[0]:.1f} …", style="dim")
        rows = uvloop.run(_measured(_BENCHES[name]))
        table = Table(title=name, title_justify="left")
        columns = list(dict.fromkeys(key for row in rows for key in row))
        for column in columns:
            table.add_column(column, justify="left" if column == "what" else "right")
        for row in rows:
            table.add_row(*(str(row.get(column, "")) for column in columns))
        console.print(table)


async def _measured(run: Callable[[], Awaitable[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    async with asyncio.timeout(900):
        return await run()


if __name__ == "__main__":
    main()
