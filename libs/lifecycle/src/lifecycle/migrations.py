"""Numbered SQL files beside the code that owns the schema, applied once each, in order."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import NamedTuple, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lifecycle.failures import SchemaBehind, StartError
from telemetry.logs import get_logger

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_LOCK_KEY = 0x466F6F7466616C6C
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]*")
_log = get_logger(__name__)


class Owner(NamedTuple):
    """A schema and the package whose `migrations` directory holds its files NNNN_name.sql."""

    schema: str
    package: str


class MigrationError(StartError):
    """A file or the database is not as it must be; nothing of the file named was applied."""


class _File(NamedTuple):
    name: str
    sql: str
    sha256: str


async def migrate(connection: Connection, owners: Sequence[Owner]) -> Sequence[str]:
    """Bring every owner's schema up to the code; return the names applied, `schema/NNNN_name.sql`.

    Safe to run several times at once: they take turns. Each file is one transaction with its own mark, so a
    failure leaves the files before it applied. Migrations that a newer release applied stay and are logged.
    Raises MigrationError when an applied file has been edited, is misnamed, or fails.
    """
    ready = [(owner, _files(owner)) for owner in owners]
    applied = []
    async with _turn(connection):
        for owner, expected in ready:
            await connection.execute(
                f"CREATE SCHEMA IF NOT EXISTS {owner.schema};"
                f"CREATE TABLE IF NOT EXISTS {owner.schema}.migration (name text PRIMARY KEY,"
                " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            done = await _applied(connection, owner)
            _compare(owner, expected, done)
            for file in expected:
                if file.name not in done:
                    await _apply(connection, owner, file)
                    applied.append(f"{owner.schema}/{file.name}")
    return applied


async def pending(connection: Connection, owners: Sequence[Owner]) -> Sequence[str]:
    """The names `migrate` would apply; empty also when the database is newer than the code."""
    missing = []
    for owner in owners:
        exists = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{owner.schema}.migration")
        done = await _applied(connection, owner) if exists else {}
        missing += [f"{owner.schema}/{file.name}" for file in _files(owner) if file.name not in done]
    return missing


async def await_schema(connection: Connection, owners: Sequence[Owner], *, timeout_s: float = 60.0) -> None:
    """Return once nothing is pending: a service that starts beside `footfall migrate` waits for it.

    Raises SchemaBehind after the timeout.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while missing := await pending(connection, owners):
        if loop.time() >= deadline:
            raise SchemaBehind(
                f"The database lacks {len(missing)} migrations, the first {missing[0]}. Run: footfall migrate"
            )
        _log.warning("waiting for footfall migrate", pending=len(missing), first=missing[0])
        await asyncio.sleep(0.5)


@asynccontextmanager
async def _turn(connection: Connection) -> AsyncIterator[None]:
    # Asking again rather than waiting in PostgreSQL: a waiting statement would meet the command timeout.
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY):
        await asyncio.sleep(0.1)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK_KEY)


def _files(owner: Owner) -> Sequence[_File]:
    if not _SCHEMA.fullmatch(owner.schema):
        raise MigrationError(f"{owner.schema!r} is no schema name.")
    found = []
    for entry in sorted((files(owner.package) / "migrations").iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".sql"):
            continue
        if not _FILE.fullmatch(entry.name):
            raise MigrationError(f"{owner.package}/migrations/{entry.name} is not named NNNN_name.sql.")
        sql = entry.read_text(encoding="utf-8").replace("\r\n", "\n")
        found.append(_File(entry.name, sql, hashlib.sha256(sql.encode()).hexdigest()))
    numbers = [file.name[:4] for file in found]
    for number in numbers:
        if numbers.count(number) > 1:
            raise MigrationError(f"{owner.package} has two migrations with number {number}.")
    return found


async def _applied(connection: Connection, owner: Owner) -> Mapping[str, str]:
    rows = await connection.fetch(f"SELECT name, sha256 FROM {owner.schema}.migration")  # noqa: S608 a checked name
    return {row["name"]: row["sha256"] for row in rows}


def _compare(owner: Owner, expected: Sequence[_File], done: Mapping[str, str]) -> None:
    for file in expected:
        if done.get(file.name, file.sha256) != file.sha256:
            raise MigrationError(
                f"{owner.schema}/{file.name} was applied to this database and has been edited since. Restore "
                "the file as it was and put the change into a new one with the next number."
            )
    newer = sorted(done.keys() - {file.name for file in expected})
    if newer:
        _log.warning("the database is newer than this release", schema=owner.schema, unknown=newer)


async def _apply(connection: Connection, owner: Owner, file: _File) -> None:
    try:
        async with connection.transaction():
            # A change that waits behind a long query makes everything else wait behind itself.
            await connection.execute("SET LOCAL lock_timeout = '10s'")
            await connection.execute(file.sql, timeout=3600)
            await connection.execute(
                f"INSERT INTO {owner.schema}.migration (name, sha256) VALUES ($1, $2)",  # noqa: S608 a checked name
                file.name,
                file.sha256,
            )
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(
            f"{owner.schema}/{file.name} waited 10 s for a lock that another session holds. Nothing of it "
            "was applied; run footfall migrate again when the long query has ended."
        ) from error
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"{owner.schema}/{file.name} failed: {error}. Nothing of it was applied."
        ) from error
    _log.info("migration applied", schema=owner.schema, file=file.name)
