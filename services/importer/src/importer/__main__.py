"""`python -m importer`: the importer alone, against a real database and log."""

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from access.cache import open_access
from eventlog import kafka, postgres
from eventlog.port import EventLog
from importer.app import OWNER, open_service
from importer.settings import ImporterSettings
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.failures import SettingsError
from lifecycle.limits import Limits
from lifecycle.migrations import Owner, await_schema
from lifecycle.process import main as run_main
from lifecycle.process import run
from lifecycle.settings import load
from telemetry import logs
from telemetry.metrics import Metrics

_NAME = "importer"
_OWNERS = (OWNER, Owner("access", "access"))


def main() -> int:
    """Run until asked to stop; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m importer",
        description="Takes uploaded logs and files and appends what they hold to the backfill topic.",
        epilog="Settings are environment variables; docs/settings.md lists them. Example: "
        "FOOTFALL_DATABASE_URL=postgresql://… FOOTFALL_KAFKA=kafka:9092 python -m importer",
    )
    parser.add_argument(
        "--check", action="store_true", help="check the settings, say what is wrong, and exit"
    )
    arguments = parser.parse_args()
    try:
        settings = load(ImporterSettings, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.check:
        sys.stdout.write("The settings are right.\n")
        return 0
    logs.configure(_NAME, level=settings.log_level, form=settings.log_form)
    return run_main(_serve(settings))


async def _serve(settings: ImporterSettings) -> None:
    clock, metrics = SystemClock(), Metrics(_NAME)
    async with (
        open_pool(settings.database_url.get_secret_value(), application=_NAME) as pool,
        open_access(pool, clock, metrics) as access,
        _open_log(settings) as log,
    ):
        async with pool.acquire() as connection:
            await await_schema(connection, _OWNERS)
        async with open_service(
            settings, log=log, pool=pool, access=access, clock=clock, metrics=metrics
        ) as service:
            await run(
                replace(service, tasks={**service.tasks, "access": access.run}),
                host=settings.host,
                port=settings.port,
                drain_s=settings.drain_s,
                limits=Limits(header_s=settings.header_deadline_s, body_s=settings.body_deadline_s),
            )


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
