"""`python -m stream_gateway`: the gateway alone, against a real database and log."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from access.cache import open_access
from eventlog import kafka, postgres
from eventlog.port import EventLog
from lifecycle.clock import SystemClock
from lifecycle.command import run_alone, run_command
from lifecycle.database import open_pool
from lifecycle.migrations import Owner, await_schema
from stream_gateway.app import OWNER, open_service
from stream_gateway.settings import GatewaySettings
from telemetry.metrics import Metrics

_NAME = "stream-gateway"
_OWNERS = (OWNER, Owner("access", "access"), Owner("runtime", "eventlog.runtime_schema"))


def main() -> int:
    """Run until asked to stop; the exit code."""
    return run_command(
        "stream_gateway",
        _NAME,
        "Keeps the activity read model, streams it live and serves the pages.",
        GatewaySettings,
        _serve,
    )


async def _serve(settings: GatewaySettings) -> None:
    clock, metrics = SystemClock(), Metrics(_NAME)
    async with (
        open_pool(settings.database_url.get_secret_value(), max_size=16, application=_NAME) as pool,
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
async def _open_log(settings: GatewaySettings) -> AsyncIterator[EventLog]:
    if settings.log == "kafka":
        async with kafka.open_log(settings.kafka) as log:
            yield log
    else:
        async with postgres.open_log(settings.database_url.get_secret_value()) as postgres_log:
            yield postgres_log


if __name__ == "__main__":
    sys.exit(main())
