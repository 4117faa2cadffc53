"""`/v1/sources`: what arrives from where, and what of it was refused last."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlencode

import asyncpg
import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from access.key_rows import KeyEntry
from access.projects import Projects
from eventmodel import ProjectId
from lifecycle.clock import Clock
from stream_gateway.principals import Readers, as_problems, require_whole_project
from stream_gateway.reads.accounting import MAX_HOURS, Account, Accounts, Source, SourceAccount, first_hour
from stream_gateway.reads.answers import answer, hours_of

_MINUTES = 60
_MAX_SOURCES = 200
_MINUTE = timedelta(minutes=1)
_HOURS: Final = 24
_NONE: Final = SourceAccount()
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


class ToldError(msgspec.Struct, frozen=True):
    """Why something of a source was refused last, also where nothing of it was kept; `rejected` is where it is."""

    code: str
    message: str
    hint: str | None
    at: datetime
    rejected: str | None


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
    accounting: Account
    last_error: ToldError | None


class SourceList(msgspec.Struct, frozen=True):
    """The sources, and what became of everything that was received from `since` on, in all and from each."""

    items: Sequence[SourceRow]
    accounting: Account
    since: datetime
    as_of: datetime


class Sources:
    """The questions about sources over one pool."""

    def __init__(self, pool: asyncpg.Pool, projects: Projects, accounts: Accounts) -> None:
        self._pool = pool
        self._projects = projects
        self._accounts = accounts

    async def latest(self, project: ProjectId, now: datetime, hours: int) -> SourceList:
        """The project's sources, last seen first. Raises UnknownProject and AccessUnavailable."""
        keys = {entry.id: entry for entry in await self._projects.keys(project)}
        since = first_hour(now, hours)
        accounts = await self._accounts.read(project, since, hours)
        minute = now.replace(second=0, microsecond=0)
        rows = await self._pool.fetch(_LIST, project, minute, _MAX_SOURCES)
        known = {(row["key"], row["sdk"]) for row in rows}
        items = [
            *(_source(row, accounts.get((row["key"], row["sdk"]), _NONE), keys, minute) for row in rows),
            *(
                _unkept(source, account, keys, since)
                for source, account in accounts.items()
                if source not in known
            ),
        ]
        items.sort(key=lambda item: (-item.last_seen.timestamp(), item.key or "", item.sdk or ""))
        total = Account()
        for account in accounts.values():
            total.add(account.account)
        return SourceList(items[:_MAX_SOURCES], total, since, now)


def source_routes(sources: Sources, readers: Readers, clock: Clock) -> APIRouter:
    """The routes, reading `sources`."""
    routes = APIRouter()

    @routes.get("/v1/sources")
    async def list_sources(request: Request) -> Response:
        """Sources, last seen first: at most 200, of the last 90 days. What became of what they sent in `hours`."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        hours = hours_of(request, MAX_HOURS) or _HOURS
        with as_problems():
            return answer(await sources.latest(principal.project, clock.now(), hours))

    return routes


def _source(
    row: asyncpg.Record, account: SourceAccount, keys: Mapping[str, KeyEntry], minute: datetime
) -> SourceRow:
    rejection = _last_rejection(row)
    counts = dict(zip(row["minutes"] or (), row["counts"] or (), strict=True))
    return SourceRow(
        **_named((row["key"], row["sdk"]), keys),
        events=row["events"],
        rejected=row["rejected"],
        per_minute=[counts.get(minute - ago * _MINUTE, 0) for ago in reversed(range(_MINUTES))],
        first_seen=row["first_seen"],
        last_seen=max(row["last_seen"], account.last_at or row["last_seen"]),
        last_rejection=rejection,
        accounting=account.account,
        last_error=_last_error(account, rejection),
    )


def _unkept(
    source: Source, account: SourceAccount, keys: Mapping[str, KeyEntry], since: datetime
) -> SourceRow:
    """A source of which nothing was stored or kept, or not yet."""
    return SourceRow(
        **_named(source, keys),
        events=0,
        rejected=0,
        per_minute=[0] * _MINUTES,
        first_seen=account.first_at or since,
        last_seen=account.last_at or since,
        last_rejection=None,
        accounting=account.account,
        last_error=_last_error(account, None),
    )


def _named(source: Source, keys: Mapping[str, KeyEntry]) -> dict[str, Any]:
    key = keys.get(source[0])
    return {
        "key": source[0] or None,
        "label": None if key is None else key.label,
        "kind": None if key is None else key.kind,
        "last_four": None if key is None else key.last_four,
        "sdk": source[1] or None,
    }


def _last_error(account: SourceAccount, rejection: LastRejection | None) -> ToldError | None:
    kept = (
        None
        if rejection is None
        else ToldError(
            *(rejection.code, rejection.message, rejection.hint, rejection.at),
            "/rejected?" + urlencode({"code": rejection.code}),
        )
    )
    error = account.error
    if error is None or (kept is not None and kept.at >= error.at):
        return kept
    if kept is not None and kept.code == error.code:
        return ToldError(error.code, error.message, error.hint, error.at, kept.rejected)
    return ToldError(error.code, error.message, error.hint, error.at, None)


def _last_rejection(row: asyncpg.Record) -> LastRejection | None:
    if row["last"] is None:
        return None
    last = msgspec.json.decode(row["last"])
    return LastRejection(row["code"], last["message"], last["hint"], last["field"], row["at"])
