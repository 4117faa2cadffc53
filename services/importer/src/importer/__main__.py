"""`python -m importer`: the importer alone, against a real database and log."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from access.cache import open_access
from eventlog import kafka, postgres
from eventlog.port import EventLog
from importer.app import OWNER, open_service
from importer.settings import ImporterSettings
from lifecycle.clock import SystemClock
from lifecycle.command import run_alone, run_command
from lifecycle.database import open_pool
from lifecycle.migrations import Owner, await_schema
from telemetry.metrics import Metrics

_NAME = "importer"
_OWNERS = (OWNER, Owner("access", "access"))


def main() -> int:
    """Run until asked to stop; the exit code."""
    return run_command(
        "importer",
        _NAME,
        "Takes uploaded logs and files and appends what they hold to the backfill topic.",
        ImporterSettings,
        _serve,
    )


async def _serve(settings: ImporterSettings) -> None:
    clock, metrics = SystemClock(), Metrics(_NAME)
    async with (
        open_pool(settings.database_url.get_secret_value(), max_size=8, application=_NAME) as pool,
        open_access(pool, clock, metrics) as access,
        _open_log(settings) as log,
    ):
        async with pool.acquire() as connection:
            await await_schema(connection, _OWNERS)
        async with open_service(
            settings, log=log, pool=pool, access=access, clock=clock, metrics=metrics
        ) as service:
            await run_alone(service, settings, access=access.run)


@asynccontextmanager
async def _open_log(settings: ImporterSettings) -> AsyncIterator[EventLog]:
    if settings.log == "kafka":
        async with kafka.open_log(settings.kafka) as log:
            yield log
    else:
        async with postgres.open_log(settings.database_url.get_secret_value()) as postgres_log:
            yield postgres_log


if __name__ == "__main__":
    sys.exit(main())
