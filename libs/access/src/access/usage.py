"""What became of what each source sent, as ingest counted it; the projector counts what arrived in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
from asyncpg import ForeignKeyViolationError

from access.database import Pool, connected
from access.errors import AccessUnavailable
from eventmodel import ProjectId

Outcome: TypeAlias = Literal["accepted", "quarantined", "rejected", "limited", "unavailable"]
"""Durable; durable and set aside by a plan; refused; refused for the project's allowance; not stored for now."""
Unit: TypeAlias = Literal["hour", "day"]

KEPT: Final = timedelta(days=90)

_PUT = """
    INSERT INTO access.usage AS t (project, hour, key, sdk, instance, accepted, quarantined, rejected, limited,
        unavailable, first_at, last_at, error_at, error)
    SELECT u.project, u.hour, u.key, u.sdk, $1, u.accepted, u.quarantined, u.rejected, u.limited,
        u.unavailable, u.first_at, u.last_at, u.error_at, u.error
    FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
                $14::text[])
        AS u(project, hour, key, sdk, accepted, quarantined, rejected, limited, unavailable, first_at, last_at,
             error_at, error)
    JOIN access.project p ON p.id = u.project
    ON CONFLICT (project, hour, key, sdk, instance) DO UPDATE SET
        accepted = greatest(t.accepted, excluded.accepted),
        quarantined = greatest(t.quarantined, excluded.quarantined),
        rejected = greatest(t.rejected, excluded.rejected),
        limited = greatest(t.limited, excluded.limited),
        unavailable = greatest(t.unavailable, excluded.unavailable),
        first_at = least(t.first_at, excluded.first_at),
        last_at = greatest(t.last_at, excluded.last_at),
        error_at = coalesce(excluded.error_at, t.error_at),
        error = coalesce(excluded.error, t.error)
"""
_READ = """
    SELECT key, sdk, date_trunc($3, hour, 'UTC') AS at, sum(accepted)::bigint AS accepted,
        sum(quarantined)::bigint AS quarantined, sum(rejected)::bigint AS rejected,
        sum(limited)::bigint AS limited, sum(unavailable)::bigint AS unavailable,
        min(first_at) AS first_at, max(last_at) AS last_at, max(error_at) AS error_at,
        (array_agg(error ORDER BY error_at DESC) FILTER (WHERE error IS NOT NULL))[1] AS error
    FROM access.usage WHERE project = $1 AND hour >= $2 GROUP BY 1, 2, 3
"""


class LastError(msgspec.Struct, frozen=True):
    """Why something of a source was refused last."""

    code: str
    message: str
    hint: str | None
    at: datetime


class _StoredError(msgspec.Struct):
    code: str
    message: str
    hint: str | None = None


_decode_error = msgspec.json.Decoder(_StoredError).decode


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Events of one key and SDK, received from `at` on for an hour or a day; '' where it is not known."""

    project: ProjectId
    at: datetime
    key: str
    sdk: str
    accepted: int
    quarantined: int
    rejected: int
    limited: int
    unavailable: int
    first_at: datetime
    last_at: datetime
    error: LastError | None


class UsageStore(Protocol):
    """Where ingest writes what it counted."""

    async def put(self, instance: str, rows: Sequence[UsageRow]) -> None:
        """Keep these rows of the process `instance`, by hour; each holds all it has counted of that hour so far.

        The same may be put again. Rows of projects that are gone are left out. Raises AccessUnavailable.
        """
        ...

    async def tidy(self, now: datetime) -> None:
        """Delete what is older than KEPT. Raises AccessUnavailable."""
        ...


class Usage:
    """The UsageStore in the database, and the reading of it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, instance: str, rows: Sequence[UsageRow]) -> None:
        columns = zip(*(_columns(row) for row in rows), strict=True)
        try:
            async with connected(self._pool) as connection:
                await connection.execute(_PUT, instance, *columns)
        except ForeignKeyViolationError as error:
            raise AccessUnavailable("A project was deleted at this moment; its rows go with it.") from error

    async def tidy(self, now: datetime) -> None:
        async with connected(self._pool) as connection:
            await connection.execute("DELETE FROM access.usage WHERE hour < $1", now - KEPT)

    async def read(self, project: ProjectId, since: datetime, unit: Unit) -> Sequence[UsageRow]:
        """The project's rows from the hour `since` on, of all processes together, by hour or UTC day.

        Raises AccessUnavailable.
        """
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_READ, project, since, unit)
        return [
            UsageRow(
                project=project,
                error=None if row["error"] is None else _error(row["error"], row["error_at"]),
                **{name: row[name] for name in _READ_AS_IT_IS},
            )
            for row in rows
        ]


_COUNTS: Final = ("accepted", "quarantined", "rejected", "limited", "unavailable")
_READ_AS_IT_IS: Final = ("key", "sdk", "at", *_COUNTS, "first_at", "last_at")


def _columns(row: UsageRow) -> tuple[object, ...]:
    error = row.error
    return (
        *(row.project, row.at, row.key, row.sdk),
        *(getattr(row, name) for name in _COUNTS),
        *(row.first_at, row.last_at),
        *((None, None) if error is None else (error.at, _text(error))),
    )


def _text(error: LastError) -> str:
    return msgspec.json.encode(_StoredError(error.code, error.message, error.hint)).decode()


def _error(text: str, at: datetime) -> LastError:
    stored = _decode_error(text)
    return LastError(stored.code, stored.message, stored.hint, at)
