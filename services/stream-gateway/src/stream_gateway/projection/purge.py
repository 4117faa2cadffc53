"""Removes the read model of deleted projects."""

import asyncio
from collections.abc import Set
from typing import Final

import asyncpg

from access.errors import AccessUnavailable
from access.projects import Projects
from eventmodel import ProjectId
from stream_gateway.live.gate import DATABASE_AWAY
from telemetry.logs import get_logger

_EVERY_S: Final = 5.0
_ROWS: Final = 5_000
_TABLES: Final = (
    *("history", "activity_quarter", "activity_minute", "account_action", "account", "person"),
    *("person_action", "account_day", "active_day", "active_now", "trial_signup", "link", "derivation"),
    *("source", "source_minute", "source_hour", "source_rejection"),
    *("rejected", "rejected_hour", "rejected_outcome"),
)

_log = get_logger("purge")


class Purge:
    """`run` needs an owner. Several processes may purge at once: nobody writes a deleted project's rows."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", projects: Projects) -> None:
        self._pool = pool
        self._projects = projects
        self._met: Set[ProjectId] = frozenset()

    async def run(self) -> None:
        """Purge every few seconds until cancelled; outages are waited out."""
        while True:
            try:
                await self.purge()
            except (AccessUnavailable, *DATABASE_AWAY) as error:
                _log.warning("purge_waits", reason=str(error))
            await asyncio.sleep(_EVERY_S)

    async def purge(self) -> None:
        """Purge the projects that were already deleted at the last call.

        Not at once: a projector may learn of a deletion a second later, and still write until then.
        """
        deleted = set(await self._projects.deleted("gateway"))
        for project in deleted & self._met:
            rows = [await self._empty(table, project) for table in _TABLES]
            await self._projects.purged(project, "gateway")
            _log.info("project_purged", project=project, rows=sum(rows))
        self._met = deleted

    async def _empty(self, table: str, project: ProjectId) -> int:
        """Delete in batches, so that the writers of other projects never wait long; the number of rows."""
        gone = 0
        while True:
            done = await self._pool.execute(
                f"delete from gateway.{table} where (tableoid, ctid) in ("  # noqa: S608 (one of _TABLES)
                f"select tableoid, ctid from gateway.{table} where project = $1 limit $2)",
                project,
                _ROWS,
            )
            number = int(done.split()[-1])
            gone += number
            if number < _ROWS:
                return gone
