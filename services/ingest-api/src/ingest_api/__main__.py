"""`python -m ingest_api`: ingest-api alone, against a real database and log."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from access.cache import open_access
from access.usage import Usage
from eventlog import kafka, postgres
from eventlog.port import EventLog
from ingest_api.app import NAME, open_service
from ingest_api.settings import IngestSettings
from lifecycle.clock import SystemClock
from lifecycle.command import run_alone, run_command
from lifecycle.database import open_pool
from lifecycle.migrations import Owner, await_schema
from telemetry.metrics import Metrics

_OWNERS = (Owner("access", "access"),)


def main() -> int:
    """Run until asked to stop; the exit code."""
    return run_command(
        "ingest_api", NAME, "Takes events over HTTP and appends them to the log.", IngestSettings, _serve
    )


async def _serve(settings: IngestSettings) -> None:
    clock, metrics = SystemClock(), Metrics(NAME)
    async with (
        open_pool(settings.database_url.get_secret_value(), max_size=2, application=NAME) as pool,
        open_access(pool, clock, metrics) as access,
        _open_log(settings) as log,
    ):
        async with pool.acquire() as connection:
            await await_schema(connection, _OWNERS)
        async with open_service(
            settings, log=log, access=access, usage=Usage(pool), clock=clock, metrics=metrics
        ) as service:
            await run_alone(service, settings, access=access.run)


@asynccontextmanager
async def _open_log(settings: IngestSettings) -> AsyncIterator[EventLog]:
    if settings.log == "kafka":
        async with kafka.open_log(settings.kafka) as log:
            yield log
    else:
        async with postgres.open_log(settings.database_url.get_secret_value()) as postgres_log:
            yield postgres_log


if __name__ == "__main__":
    sys.exit(main())
