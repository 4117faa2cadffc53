"""What people did about rejected events: kept beside them, because no log can tell it again."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec

from eventmodel import ProjectId

_CLAIM = """
    insert into gateway.rejected_outcome as o (part, project, id, state, at, by, attempt)
    select r.part, r.project, r.id, 'open', $4, $5, a.attempt
    from unnest($2::text[], $3::text[]) as a(id, attempt) join gateway.rejected r using (id)
    where r.project = $1 order by r.id
    on conflict (project, id, part) do update set attempt = excluded.attempt
        where o.attempt is null or o.attempt = excluded.attempt
    returning id
"""
_SETTLE = """
    update gateway.rejected_outcome o
    set state = 'replayed', at = $4, by = $5, run = $6, events = e.events
    from unnest($2::text[], $3::jsonb[]) as e(id, events)
    where o.project = $1 and o.id = e.id and o.state <> 'replayed'
"""
_DISMISS = """
    insert into gateway.rejected_outcome as o (part, project, id, state, at, by)
    select part, project, id, 'dismissed', $3, $4 from gateway.rejected
    where project = $1 and id = any($2::text[]) order by id
    on conflict (project, id, part) do update set state = 'dismissed', at = excluded.at, by = excluded.by
        where o.state = 'open'
    returning id
"""


class Outcomes:
    """Writes them over one pool. `by` is the public id of a key, or `login`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def claim(
        self, project: ProjectId, attempts: Mapping[str, str], at: datetime, by: str
    ) -> frozenset[str]:
        """The rejections that may be replayed as these attempts: those never tried, or tried as the same.

        From then on they can only be replayed as that: what an append that failed left behind is unknown.
        """
        rows = await self._pool.fetch(_CLAIM, project, list(attempts), list(attempts.values()), at, by)
        return frozenset(row["id"] for row in rows)

    async def settle(
        self, project: ProjectId, events: Mapping[str, Sequence[str]], at: datetime, by: str, run: str
    ) -> None:
        """Say of these rejections that they were replayed, as the events of these ids."""
        texts = [msgspec.json.encode(ids).decode() for ids in events.values()]
        await self._pool.execute(_SETTLE, project, list(events), texts, at, by, run)

    async def dismiss(self, project: ProjectId, ids: Sequence[str], at: datetime, by: str) -> int:
        """Say of these rejections that nothing is to be done, unless they were replayed; how many were open."""
        return len(await self._pool.fetch(_DISMISS, project, list(ids), at, by))
