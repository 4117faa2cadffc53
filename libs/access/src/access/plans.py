"""Tracking plans of projects: every version that was applied, the newest in force."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from asyncpg import Record

from access.database import Connection, Pool, changing, connected
from access.errors import UnknownProject
from access.model import StoredPlan
from eventmodel import ProjectId
from lifecycle.clock import Clock
from policy import Plan, next_plan

MAX_VERSIONS: Final = 500
"""Plans kept of one project; the oldest go first."""

_decode = msgspec.json.Decoder(Plan).decode
_encode = msgspec.json.Encoder().encode


class Plans:
    """Every method raises AccessUnavailable when the database is away, and UnknownProject."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def apply(self, project: ProjectId, plan: Plan) -> StoredPlan:
        """Put the plan in force, in every process within a second; one that says the same is not stored again."""
        async with changing(self._pool) as connection:
            await _require_live(connection, project)
            before = await _newest(connection, project)
            wanted = next_plan(plan, None if before is None else before.plan)
            if before is not None and before.plan == wanted:
                return before
            stored = StoredPlan(1 if before is None else before.version + 1, wanted, self._clock.now())
            await connection.execute(
                "INSERT INTO access.plan (project, version, document, applied_at) VALUES ($1, $2, $3, $4)",
                project,
                stored.version,
                _encode(stored.plan).decode(),
                stored.applied_at,
            )
            await connection.execute(
                "DELETE FROM access.plan WHERE project = $1 AND version <= $2",
                project,
                stored.version - MAX_VERSIONS,
            )
            return stored

    async def get(self, project: ProjectId, version: int | None = None) -> StoredPlan | None:
        """The plan in force, or the one of a version; None when there is none."""
        async with connected(self._pool) as connection:
            await _require_live(connection, project)
            return await _newest(connection, project, version)

    async def history(self, project: ProjectId) -> Sequence[StoredPlan]:
        """All that are kept, newest first."""
        async with connected(self._pool) as connection:
            await _require_live(connection, project)
            rows = await connection.fetch(
                "SELECT version, document, applied_at FROM access.plan WHERE project = $1 "
                "ORDER BY version DESC LIMIT $2",
                project,
                MAX_VERSIONS,
            )
        return [_stored(row) for row in rows]


async def newest_plans(
    connection: Connection, held: Mapping[ProjectId, StoredPlan]
) -> dict[ProjectId, StoredPlan]:
    """The plan in force of each project; those held already are not read again."""
    rows = await connection.fetch("SELECT project, max(version) AS version FROM access.plan GROUP BY project")
    found = {
        row["project"]: kept
        for row in rows
        if (kept := held.get(row["project"])) is not None and kept.version == row["version"]
    }
    missing = [row for row in rows if row["project"] not in found]
    for row in (
        await connection.fetch(
            "SELECT project, version, document, applied_at FROM access.plan "
            "WHERE (project, version) IN (SELECT * FROM unnest($1::text[], $2::integer[]))",
            [row["project"] for row in missing],
            [row["version"] for row in missing],
        )
        if missing
        else ()
    ):
        found[row["project"]] = _stored(row)
    return found


async def _newest(
    connection: Connection, project: ProjectId, version: int | None = None
) -> StoredPlan | None:
    row = await connection.fetchrow(
        "SELECT version, document, applied_at FROM access.plan "
        "WHERE project = $1 AND ($2::integer IS NULL OR version = $2) ORDER BY version DESC LIMIT 1",
        project,
        version,
    )
    return None if row is None else _stored(row)


async def _require_live(connection: Connection, project: ProjectId) -> None:
    found = await connection.fetchval(
        "SELECT true FROM access.project WHERE id = $1 AND deleted_at IS NULL", project
    )
    if not found:
        raise UnknownProject(project)


def _stored(row: Record) -> StoredPlan:
    return StoredPlan(row["version"], _decode(row["document"]), row["applied_at"])
