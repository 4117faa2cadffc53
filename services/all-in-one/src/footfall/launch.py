"""Brings the embedded installation up and keeps it up until it is asked to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from secrets import token_urlsafe
from typing import Final, Literal, NamedTuple

import httpx

from eventlog.errors import LogUnavailable
from footfall.app import make_possible_topics, open_suite
from footfall.demo.traffic import run_demo
from footfall.embedded import open_postgres
from footfall.installation import Installation, Running
from footfall.own_projects import NotOurs, OwnProject, ensure_demo_project, ensure_main_project
from footfall.schemas import prepare_database
from footfall.suite_settings import LogPlace, SuiteSettings, load_settings
from lifecycle.clock import SystemClock
from lifecycle.failures import SettingsError, StartError
from lifecycle.process import run
from lifecycle.server import listening
from lifecycle.service import Task
from telemetry import logs
from telemetry.logs import get_logger

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
_REQUEST_S: Final = 30.0
_WANTED_COPIES: Final = 3
_log = get_logger(__name__)


class Launch(NamedTuple):
    """What `footfall up` was told. Port 0 takes a free one; `kafka` is empty unless the log is kafka."""

    directory: Path
    host: str
    port: int
    log: Literal["postgres", "kafka"]
    kafka: str
    demo: bool


class Ready(NamedTuple):
    """An installation that answers requests. The login link works once."""

    url: str
    login_url: str
    main: OwnProject
    demo: OwnProject | None
    admin_token: str


async def launch(
    options: Launch, environ: Mapping[str, str], announce: Callable[[Ready], Awaitable[None]]
) -> None:
    """Run the four services on `options.directory` until SIGINT, SIGTERM or SIGHUP; then leave nothing behind.

    `announce` is awaited once everything answers. Raises SettingsError before anything is touched, StartError
    when it cannot start, TaskDied when a part ends, Forced after a second signal.
    """
    port = options.port or _free_port(options.host)
    url = f"http://{_in_url(options.host)}:{port}"
    admin_token = environ.get("FOOTFALL_ADMIN_TOKEN") or token_urlsafe(32)
    settings = settings_of(options, port, admin_token, environ)
    logs.configure("footfall", level=settings.shared.log_level, form=settings.shared.log_form)
    installation = Installation(options.directory)
    with _ending_early(), installation.hold():
        _require_free(options.host, port)
        async with open_postgres(installation.directory) as postgres:
            settings = settings.with_database(postgres.url)
            await prepare_database(postgres.url)
            await _make_topics(settings.log_place)
            main = await ensure_main_project(installation, postgres.url)
            demo = await _ensure_demo(installation, postgres.url) if options.demo else None

            answering = asyncio.Event()
            announced = asyncio.Event()

            async def tell() -> None:
                await answering.wait()
                login_url = await _log_in(url, admin_token)
                installation.write_run(Running(url, os.getpid(), admin_token))
                await announce(Ready(url, login_url, main, demo, admin_token))
                announced.set()
                await asyncio.Event().wait()

            tasks: dict[str, Task] = {"postgres": postgres.watch, "announcement": tell}
            if demo is not None:
                tasks["demo"] = _demo(announced, url, demo, installation)
            async with open_suite(settings, tasks) as service:
                await run(
                    service,
                    host=options.host,
                    port=port,
                    drain_s=settings.shared.drain_s,
                    limits=settings.shared.limits,
                    trusted_proxies=settings.shared.trusted_proxies,
                    on_ready=answering.set,
                )


async def _ensure_demo(installation: Installation, database_url: str) -> OwnProject | None:
    try:
        return await ensure_demo_project(installation, database_url)
    except NotOurs:
        _log.warning(
            "A project of another purpose is named demo, so there is no demo. Rename it, or start without --demo."
        )
        return None


def _demo(announced: asyncio.Event, url: str, project: OwnProject, installation: Installation) -> Task:
    async def run_when_announced() -> None:
        await announced.wait()
        await run_demo(url, project, installation.demo_progress, SystemClock())

    return run_when_announced


def _require_free(host: str, port: int) -> None:
    """A taken port is told before seconds are spent on the database; raises StartError."""
    with listening(host, port) as sockets:
        assert sockets


async def _make_topics(place: LogPlace) -> None:
    try:
        copies = await make_possible_topics(place)
    except LogUnavailable as error:
        raise StartError(f"{error} Check --kafka.") from error
    if place.kind == "kafka" and copies < _WANTED_COPIES:
        _log.warning(
            "Kafka keeps fewer copies than Footfall's promise needs: an accepted event can be lost with a disk",
            copies=copies,
            wanted=_WANTED_COPIES,
        )


def settings_of(options: Launch, port: int, admin_token: str, environ: Mapping[str, str]) -> SuiteSettings:
    """The services' settings under these options; raises SettingsError with everything that is wrong."""
    if "FOOTFALL_DATABASE_URL" in environ:
        raise SettingsError(
            "footfall up brings its own database, in the directory of --data. Unset FOOTFALL_DATABASE_URL, or "
            "start the services one by one on that database."
        )
    return load_settings(
        {
            "FOOTFALL_LOG_FORM": "console" if sys.stderr.isatty() else "json",
            "FOOTFALL_LOG_LEVEL": "warning",
            "FOOTFALL_IMPORT_SPOOL_DIR": str(options.directory.absolute() / "imports"),
            **environ,
            "FOOTFALL_ADMIN_TOKEN": admin_token,
            "FOOTFALL_DATABASE_URL": "postgresql://set-when-it-runs",
            "FOOTFALL_HOST": options.host,
            "FOOTFALL_KAFKA": options.kafka,
            "FOOTFALL_LOG": options.log,
            "FOOTFALL_PORT": str(port),
        }
    )


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _in_url(host: str) -> str:
    reached = _REACHED_AT.get(host, host)
    return f"[{reached}]" if ":" in reached else reached


async def _log_in(url: str, admin_token: str) -> str:
    """A one-time link, asked for as anyone would, so that everything on the way answers."""
    async with httpx.AsyncClient(base_url=url, timeout=_REQUEST_S, trust_env=False) as client:
        (await client.get("/readyz")).raise_for_status()
        answer = await client.post("/v1/logins", json={}, headers={"authorization": f"Bearer {admin_token}"})
        answer.raise_for_status()
        return f"{url}{answer.json()['path']}"


@contextlib.contextmanager
def _ending_early() -> Generator[None, None, None]:
    """A signal that comes before the services run ends the start, as cleanly as it would end them."""
    loop = asyncio.get_running_loop()
    starting = asyncio.current_task()
    assert starting is not None
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        starting.cancel()

    for number in _STOPPING:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not asked:
            raise
        starting.uncancel()
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)
