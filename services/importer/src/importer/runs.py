"""Runs in PostgreSQL, schema `importer`: which file, for whom, and how far it got."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

import asyncpg
import msgspec

from eventmodel import ProjectId, new_event_id
from importer.frames import BadLine, Source

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
RunError: TypeAlias = Literal["wrong_format", "truncated", "too_large", "spool_lost", "internal"]

UNFINISHED: Final = ("queued", "running")
FINISHED: Final = frozenset(get_args(State)) - frozenset(UNFINISHED)
MAX_UNFINISHED_RUNS: Final = 20
SHOWN_BAD_LINES: Final = 5
_REMOVED_AT_ONCE: Final = 1_000
STATEMENT_S: Final = 10.0

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)


class RunsUnavailable(Exception):
    """The database with the runs does not answer."""

    retry_after_s = 2


class TooManyRuns(Exception):
    """The project already has MAX_UNFINISHED_RUNS runs waiting or running."""


class Upload(NamedTuple):
    """A spooled file and what its sender said of it."""

    project: ProjectId
    source: Source
    name: str
    account: str | None
    sha256: bytes
    identity: str
    identity_bytes: int
    bytes_total: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One import as its row tells it; sizes in bytes, times aware UTC."""

    project: ProjectId
    id: str
    source: Source
    name: str
    account: str | None
    sha256: bytes
    identity: str
    state: State
    bytes_total: int
    bytes_done: int
    offset_bytes: int
    line_number: int
    published: int
    rejected: int
    skipped: dict[str, int]
    worked_s: float
    epoch: int
    failures: int
    error: RunError | None
    message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_SAME_BYTES: Final = """
    select * from importer.run
    where project = $1 and sha256 = $2 and source = $3 and account is not distinct from $4
      and state in ('queued', 'running', 'done')
    order by id limit 1
"""
_CREATE: Final = """
    insert into importer.run (project, id, source, name, account, sha256, identity, identity_bytes, spool,
                              state, bytes_total, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $11)
    returning *
"""


class Runs:
    """The table of runs; every call names the project, but for the worker's search for work."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def same_bytes(
        self, project: ProjectId, source: Source, account: str | None, sha256: bytes
    ) -> Run | None:
        """The project's first unfinished or done run of these bytes."""
        return _run_or_none(await self._fetchrow(_SAME_BYTES, project, sha256, source, account))

    async def create(
        self, upload: Upload, run: str, spool: str, at: datetime, *, again: bool
    ) -> tuple[Run, bool]:
        """Queue a run, or find the one that has the same bytes unless `again`; True when it is new.

        Raises TooManyRuns.
        """
        async with self._connected() as connection, connection.transaction():
            await connection.execute(
                "select pg_advisory_xact_lock(hashtextextended('importer.create:' || $1, 0))", upload.project
            )
            if not again:
                row = await connection.fetchrow(
                    _SAME_BYTES, upload.project, upload.sha256, upload.source, upload.account
                )
                if row is not None:
                    return run_of(row), False
            if await unfinished(connection, upload.project) >= MAX_UNFINISHED_RUNS:
                raise TooManyRuns
            row = await connection.fetchrow(
                _CREATE,
                upload.project,
                run,
                upload.source,
                upload.name,
                upload.account,
                upload.sha256,
                upload.identity,
                upload.identity_bytes,
                spool,
                upload.bytes_total,
                at,
            )
            assert row is not None
            return run_of(row), True

    async def unfinished(self, project: ProjectId) -> int:
        """How many runs of the project are queued or running."""
        async with self._connected() as connection:
            return await unfinished(connection, project)

    async def short_identities(self, project: ProjectId, source: Source) -> Sequence[tuple[str, int]]:
        """(identity, bytes it was made of) of files that were shorter than an identity needs, longest first."""
        rows = await self._fetch(
            "select distinct identity, identity_bytes from importer.run"
            " where project = $1 and source = $2 and identity_bytes < 1024 order by identity_bytes desc limit 1000",
            project,
            source,
        )
        return [(row["identity"], row["identity_bytes"]) for row in rows]

    async def get(self, project: ProjectId, run: str) -> Run | None:
        return _run_or_none(
            await self._fetchrow("select * from importer.run where project = $1 and id = $2", project, run)
        )

    async def newest(self, project: ProjectId, before: str | None, limit: int) -> Sequence[Run]:
        """The project's runs, newest first, from the one before `before` on."""
        rows = await self._fetch(
            "select * from importer.run where project = $1 and ($2::text is null or id < $2)"
            " order by id desc limit $3",
            project,
            before,
            limit,
        )
        return [run_of(row) for row in rows]

    async def bad_lines(
        self, project: ProjectId, run: str, *, after: int | None, limit: int
    ) -> Sequence[BadLine]:
        """The run's kept bad lines by byte offset, from the one after `after` on."""
        rows = await self._fetch(
            "select byte_offset, line, code, message, field, start as text from importer.rejected_line"
            " where project = $1 and run = $2 and ($3::bigint is null or byte_offset > $3)"
            " order by byte_offset limit $4",
            project,
            run,
            after,
            limit,
        )
        return [BadLine(**dict(row)) for row in rows]

    async def last_bad_lines(self, project: ProjectId, run: str) -> Sequence[BadLine]:
        rows = await self._fetch(
            "select byte_offset, line, code, message, field, start as text from importer.rejected_line"
            " where project = $1 and run = $2 order by byte_offset desc limit $3",
            project,
            run,
            SHOWN_BAD_LINES,
        )
        return [BadLine(**dict(row)) for row in rows]

    async def cancel(self, project: ProjectId, run: str, at: datetime) -> Run | None:
        """End an unfinished run; None when there is none of this name to end. Its worker stops at its next write."""
        return _run_or_none(
            await self._fetchrow(
                "update importer.run set state = 'cancelled', finished_at = $3, message = null"
                " where project = $1 and id = $2 and state in ('queued', 'running') returning *",
                project,
                run,
                at,
            )
        )

    async def salt(self, project: ProjectId, fresh: bytes) -> bytes:
        """The project's salt; `fresh` becomes it when there is none yet."""
        await self._fetch(
            "insert into importer.salt (project, salt) values ($1, $2) on conflict do nothing", project, fresh
        )
        rows = await self._fetch("select salt from importer.salt where project = $1", project)
        return cast(bytes, rows[0]["salt"])

    async def others_wait(self, spool: str) -> bool:
        """Whether a queued run waits for a worker of this spool."""
        return bool(
            await self._fetch("select from importer.run where spool = $1 and state = 'queued' limit 1", spool)
        )

    async def states(self, spool: str, runs: Collection[str]) -> Mapping[str, State]:
        """The states of those of `runs` that this spool has files for."""
        rows = await self._fetch(
            "select id, state from importer.run where spool = $1 and id = any($2::text[])", spool, list(runs)
        )
        return {row["id"]: row["state"] for row in rows}

    async def forget(self, project: ProjectId) -> Sequence[str]:
        """Remove everything kept of a deleted project; the runs that were removed."""
        await self._fetch("delete from importer.salt where project = $1", project)
        rows = await self._fetch("delete from importer.run where project = $1 returning id", project)
        return [row["id"] for row in rows]

    async def remove_lines(self, project: ProjectId, pattern: str) -> int:
        """Remove the bad lines whose start or message the regular expression finds; how many."""
        removed = 0
        while True:
            rows = await self._fetch(
                "delete from importer.rejected_line where ctid = any(array("
                "select ctid from importer.rejected_line where project = $1 and (start ~ $2 or message ~ $2)"
                " limit $3)) returning 1",
                *(project, pattern, _REMOVED_AT_ONCE),
            )
            removed += len(rows)
            if len(rows) < _REMOVED_AT_ONCE:
                return removed

    async def ping(self) -> None:
        """Return when the database answers; raises RunsUnavailable."""
        await self._fetch("select 1")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(STATEMENT_S), self._pool.acquire() as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
            raise RunsUnavailable("The importer's database does not answer.") from error
        except (asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError) as error:
            raise RunsUnavailable("The importer's database has no room or stops just now.") from error

    async def _fetch(self, statement: str, *values: object) -> Sequence[asyncpg.Record]:
        async with self._connected() as connection:
            return await connection.fetch(statement, *values)

    async def _fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        rows = await self._fetch(statement, *values)
        return rows[0] if rows else None


async def unfinished(connection: Connection, project: ProjectId) -> int:
    return cast(
        int,
        await connection.fetchval(
            "select count(*) from importer.run where project = $1 and state in ('queued', 'running')", project
        ),
    )


def new_run_id() -> str:
    """A run's id; ids of later runs sort after those of earlier ones."""
    return "imp_" + new_event_id().replace("-", "")


def run_of(row: asyncpg.Record) -> Run:
    """The run of a whole row of importer.run."""
    fields: dict[str, Any] = {name: row[name] for name in Run.__struct_fields__}
    fields["skipped"] = msgspec.json.decode(fields["skipped"], type=dict[str, int])
    return Run(**fields)


def _run_or_none(row: asyncpg.Record | None) -> Run | None:
    return run_of(row) if row is not None else None
