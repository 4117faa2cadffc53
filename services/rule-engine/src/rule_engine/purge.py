"""Removes what this service keeps of deleted projects."""

import asyncio
from collections.abc import Set
from typing import Final

from access.errors import AccessUnavailable
from access.projects import Projects
from eventmodel import ProjectId
from rule_engine.database import Pool, RulesUnavailable, connected
from telemetry.logs import get_logger

_EVERY_S: Final = 5.0
_ROWS: Final = 2_000
_TABLES: Final = ("rules.rule", "rules.outbox", "rules.action")

_log = get_logger("purge")


class Purge:
    """`run` needs an owner. Several processes may purge at once."""

    def __init__(self, pool: Pool, projects: Projects) -> None:
        self._pool = pool
        self._projects = projects
        self._met: Set[ProjectId] = frozenset()

    async def run(self) -> None:
        """Purge every few seconds until cancelled; outages are waited out."""
        while True:
            try:
                await self.purge()
            except (AccessUnavailable, RulesUnavailable) as error:
                _log.warning("purge_waits", reason=str(error))
            await asyncio.sleep(_EVERY_S)

    async def purge(self) -> None:
        """Purge the projects that were already deleted at the last call.

        Not at once: another engine may learn of a deletion a second later, and still write until then.
        """
        deleted = set(await self._projects.deleted("rules"))
        for project in deleted & self._met:
            rows = [await self._empty(table, project) for table in _TABLES]
            await self._projects.purged(project, "rules")
            _log.info("project_purged", project=project, rows=sum(rows))
        self._met = deleted

    async def _empty(self, table: str, project: ProjectId) -> int:
        gone = 0
        while True:
            async with connected(self._pool) as connection:
                done = await connection.execute(
                    f"delete from {table} where ctid = any(array("  # noqa: S608 one of _TABLES
                    f"select ctid from {table} where project = $1 limit $2))",
                    project,
                    _ROWS,
                )
            number = int(done.split()[-1])
            gone += number
            if number < _ROWS:
                return gone
