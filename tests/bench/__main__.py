"""`make bench`: every benchmark in one table, one after the other, so that they do not disturb each other."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping

import uvloop

import admission_cost
import append
import fanout
import ingest
import kafka
import pages
import projection
from lifecycle.process import collect_rarely
from measurement import Row, show
from telemetry import logs

_BENCHES: Mapping[str, Callable[[], Awaitable[list[Row]]]] = {
    "admission": admission_cost.run,
    "ingest": ingest.run,
    "postgres": append.run,
    "kafka": kafka.run,
    "projection": projection.run,
    "fan-out": fanout.run,
    "pages": pages.run,
}


def main() -> None:
    """Run those named on the command line, or all."""
    logs.configure("bench", level="warning")
    collect_rarely()
    chosen = sys.argv[1:] or list(_BENCHES)
    rows: list[Row] = []
    for name in chosen:
        if name not in _BENCHES:
            sys.exit(f"There is no benchmark {name!r}. There are: {', '.join(_BENCHES)}.")
        sys.stderr.write(f"{name}: measuring; load average {os.getloadavg()[0]:.1f}\n")
        rows += uvloop.run(_measured(_BENCHES[name]))
    show(rows)


async def _measured(run: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
    return await run()


if __name__ == "__main__":
    main()
