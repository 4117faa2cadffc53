"""`/v1/sources`: what arrives from where, and what of it was refused last."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import asyncpg
import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from access.key_rows import KeyEntry
from access.projects import Projects
from eventmodel import ProjectId
from lifecycle.clock import Clock
from stream_gateway.principals import Readers, as_problems, require_whole_project
from stream_gateway.reads.answers import answer

_MINUTES = 60
_MAX_SOURCES = 200
_MINUTE = timedelta(minutes=1)
_LIST = """
    with sums as (
        select key, sdk, events, 0 as rejections, first_received_at as first_at, last_received_at as last_at
        from gateway.source where project = $1
        union all
        select key, sdk, 0, rejections, first_at, last_at from gateway.source_rejection where project = $1
    ),
    sources as (
        select key, sdk, sum(events)::bigint as events, sum(rejections)::bigint as rejected,
            min(first_at) as first_seen, max(last_at) as last_seen
        from sums group by key, sdk order by last_seen desc, key, sdk limit $3
    ),
    minutes as (
        select key, sdk, array_agg(minute) as minutes, array_agg(events) as counts
        from (select key, sdk, minute, sum(events)::bigint as events
            from gateway.source_minute where project = $1
                and minute > $2::timestamptz - interval '1 hour' and minute <= $2
            group by key, sdk, minute) as m
        group by key, sdk
    ),
    last_rejections as (
        select distinct on (key, sdk) key, sdk, code, last_at as at, last::text as last
        from gateway.source_rejection where project = $1 order by key, sdk, last_at desc, code, part
    )
    select * from sources left join minutes using (key, sdk) left join last_rejections using (key, sdk)
    order by last_seen desc, key, sdk
"""


class LastRejection(msgspec.Struct, frozen=True):
    """Why something of a source was refused last."""

    code: str
    message: str
    hint: str | None
    field: str | None
    at: datetime


class SourceRow(msgspec.Struct, frozen=True):
    """What came from one key and SDK. `per_minute` ends with the current minute; `rejected` are those kept."""

    key: str | None
    label: str | None
    kind: Literal["write", "secret"] | None
    last_four: str | None
    sdk: str | None
    events: int
    rejected: int
    per_minute: list[int]
    first_seen: datetime
    last_seen: datetime
    last_rejection: LastRejection | None


class Sources:
    """The questions about sources over one pool."""

    def __init__(self, pool: asyncpg.Pool, projects: Projects) -> None:
        self._pool = pool
        self._projects = projects

    async def latest(self, project: ProjectId, now: datetime) -> Sequence[SourceRow]:
        """The project's sources, last seen first. Raises UnknownProject and AccessUnavailable."""
        keys = {entry.id: entry for entry in await self._projects.keys(project)}
        minute = now.replace(second=0, microsecond=0)
        rows = await self._pool.fetch(_LIST, project, minute, _MAX_SOURCES)
        return [_source(row, keys, minute) for row in rows]


def source_routes(sources: Sources, readers: Readers, clock: Clock) -> APIRouter:
    """The routes, reading `sources`."""
    routes = APIRouter()

    @routes.get("/v1/sources")
    async def list_sources(request: Request) -> Response:
        """Sources, last seen first: at most 200, of the last 90 days."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        now = clock.now()
        with as_problems():
            return answer({"items": await sources.latest(principal.project, now), "as_of": now})

    return routes


def _source(row: asyncpg.Record, keys: Mapping[str, KeyEntry], minute: datetime) -> SourceRow:
    key = keys.get(row["key"])
    counts = dict(zip(row["minutes"] or (), row["counts"] or (), strict=True))
    return SourceRow(
        key=row["key"] or None,
        label=None if key is None else key.label,
        kind=None if key is None else key.kind,
        last_four=None if key is None else key.last_four,
        sdk=row["sdk"] or None,
        events=row["events"],
        rejected=row["rejected"],
        per_minute=[counts.get(minute - ago * _MINUTE, 0) for ago in reversed(range(_MINUTES))],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        last_rejection=_last_rejection(row),
    )


def _last_rejection(row: asyncpg.Record) -> LastRejection | None:
    if row["last"] is None:
        return None
    last = msgspec.json.decode(row["last"])
    return LastRejection(row["code"], last["message"], last["hint"], last["field"], row["at"])
