"""`python -m rule_engine`: the rule engine alone, against a real database and log."""

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from access import open_access
from eventlog import kafka, postgres
from eventlog.port import EventLog
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.failures import SettingsError
from lifecycle.migrations import await_schema
from lifecycle.process import main as run_main
from lifecycle.process import run
from lifecycle.settings import load
from rule_engine.app import NAME, OWNERS, open_service
from rule_engine.settings import RuleEngineSettings
from telemetry import logs
from telemetry.metrics import Metrics


def main() -> int:
    """Run until asked to stop; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rule_engine",
        description="Asks the rules about every event and keeps what they do.",
        epilog="Settings are environment variables; docs/settings.md lists them. Example: "
        "FOOTFALL_DATABASE_URL=postgresql://… FOOTFALL_KAFKA=kafka:9092 python -m rule_engine",
    )
    parser.add_argument(
        "--check", action="store_true", help="check the settings, say what is wrong, and exit"
    )
    arguments = parser.parse_args()
    try:
        settings = load(RuleEngineSettings, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.check:
        sys.stdout.write("The settings are right.\n")
        return 0
    logs.configure(NAME, level=settings.log_level, form=settings.log_form)
    return run_main(_serve(settings))


async def _serve(settings: RuleEngineSettings) -> None:
    clock, metrics = SystemClock(), Metrics(NAME)
    async with (
        open_pool(settings.database_url.get_secret_value(), application=NAME) as pool,
        open_access(pool, clock, metrics) as access,
        _open_log(settings) as log,
    ):
        async with pool.acquire() as connection:
            await await_schema(connection, OWNERS)
        async with open_service(
            settings, log=log, pool=pool, access=access, clock=clock, metrics=metrics
        ) as service:
            await run(service, host=settings.host, port=settings.port, drain_s=settings.drain_s)


@asynccontextmanager
async def _open_log(settings: RuleEngineSettings) -> AsyncIterator[EventLog]:
    if settings.log == "kafka":
        async with kafka.open_log(settings.kafka) as log:
            yield log
    else:
        async with postgres.open_log(settings.database_url.get_secret_value()) as postgres_log:
            yield postgres_log


if __name__ == "__main__":
    sys.exit(main())
