"""`python -m <service>`: the command line every service has."""

import argparse
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace

from lifecycle.failures import SettingsError
from lifecycle.process import main, run
from lifecycle.service import Service, Task
from lifecycle.settings import S, Settings, load
from telemetry import logs


def run_command(
    module: str, name: str, does: str, kind: type[S], serve: Callable[[S], Coroutine[object, object, None]]
) -> int:
    """Read the command line and the environment, and run `serve` until asked to stop; the exit code.

    `--check` says whether the settings are right and stops there; 2 when they are not.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=does,
        epilog="Settings are environment variables; docs/settings.md lists them. Example: "
        f"FOOTFALL_DATABASE_URL=postgresql://… FOOTFALL_KAFKA=kafka:9092 python -m {module}",
    )
    parser.add_argument(
        "--check", action="store_true", help="check the settings, say what is wrong, and exit"
    )
    arguments = parser.parse_args()
    try:
        settings = load(kind, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.check:
        sys.stdout.write("The settings are right.\n")
        return 0
    logs.configure(name, level=settings.log_level, form=settings.log_form)
    return main(serve(settings))


async def run_alone(service: Service, settings: Settings, **tasks: Task) -> None:
    """Run one service as a process of its own, with `tasks` of what it was handed beside its own."""
    await run(
        replace(service, tasks={**service.tasks, **tasks}),
        host=settings.host,
        port=settings.port,
        drain_s=settings.drain_s,
        limits=settings.limits,
        trusted_proxies=settings.trusted_proxies,
    )
