"""The writing side of forgetting people: requests, what each owner of rows has removed, receipts."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from access.database import Connection, Pool, changing, connected
from access.errors import InvalidValue, UnknownProject
from access.forgotten import ForgetRequest, key_hash, read_open_requests
from access.keys import new_id
from eventmodel import ProjectId
from eventmodel.wire import record_key
from lifecycle.clock import Clock

RemovedBy: TypeAlias = Literal["gateway", "rules", "importer", "log"]
"""Who removes rows of a person."""

MAX_OPEN: Final = 1_000
"""Requests of one project that are carried out at a time."""

_RECEIPT: Final = (
    "SELECT id, user_hash, requested_at, requested_by, finished_at, report FROM access.forget_request "
)
_NOTE: Final = """
    INSERT INTO access.forget_progress AS p (project, request, owner, part, done, removed)
    SELECT project, id, $3, $4, $5, $6 FROM access.forget_request
    WHERE project = $1 AND id = $2 AND finished_at IS NULL
    ON CONFLICT (project, request, owner, part) DO UPDATE SET done = p.done OR excluded.done, removed = (
        SELECT coalesce(jsonb_object_agg(name, number), '{}') FROM (
            SELECT key AS name, sum(value::bigint) AS number FROM (
                SELECT * FROM jsonb_each_text(p.removed) UNION ALL SELECT * FROM jsonb_each_text(excluded.removed)
            ) AS each GROUP BY key
        ) AS summed
    )
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is kept of a request: no id of the person, but the SHA-256 of their record key.

    `report` is None until it is finished, `removed` what was removed so far by table; `confirmed` by whom.
    """

    id: str
    user_hash: str
    requested_at: datetime
    requested_by: str
    finished_at: datetime | None
    removed: Mapping[str, int]
    confirmed: Mapping[str, int]
    report: Mapping[str, Any] | None


class Forgetting:
    """Every method raises AccessUnavailable when the database is away."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def request(
        self, project: ProjectId, subjects: Sequence[str], mentions: Sequence[str], by: str
    ) -> str:
        """Ask that the person whose first subject is the user's is forgotten, from now on; the request's id.

        Raises UnknownProject, and InvalidValue when too many requests are open.
        """
        hashes = [key_hash(record_key(project, subject)) for subject in subjects]
        async with changing(self._pool) as connection:
            if not await connection.fetchval(
                "SELECT true FROM access.project WHERE id = $1 AND deleted_at IS NULL", project
            ):
                raise UnknownProject(project)
            waiting = await connection.fetchval(
                "SELECT count(*) FROM access.forget_request WHERE project = $1 AND finished_at IS NULL",
                project,
            )
            if waiting >= MAX_OPEN:
                raise InvalidValue("user", f"{MAX_OPEN:,} people are being forgotten. Wait until they are.")
            request, now = new_id("forget"), self._clock.now()
            await connection.execute(
                "INSERT INTO access.forget_request "
                "(project, id, user_hash, requested_at, requested_by, subjects, mentions) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                *(project, request, hashes[0].hex(), now, by, list(subjects), list(mentions)),
            )
            await connection.execute(
                "INSERT INTO access.forgotten (project, hash, since) SELECT $1, unnest($2::bytea[]), $3 "
                "ON CONFLICT (project, hash) DO UPDATE SET since = excluded.since",
                *(project, hashes, now),
            )
        return request

    async def open(self) -> Sequence[ForgetRequest]:
        """The requests that are not finished, of all projects, oldest first."""
        async with connected(self._pool) as connection:
            return await read_open_requests(connection)

    async def confirm(
        self, request: ForgetRequest, owner: RemovedBy, removed: Mapping[str, int], part: int = 0
    ) -> None:
        """Note that the owner holds nothing of the person any more in the part; may be said twice."""
        async with connected(self._pool) as connection:
            await note_removed(connection, request, owner, part, removed, done=True)

    async def confirmed(self, request: ForgetRequest) -> Mapping[str, Collection[int]]:
        """By owner, the parts in which all is removed."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                "SELECT owner, part FROM access.forget_progress WHERE project = $1 AND request = $2 AND done",
                *(request.project, request.id),
            )
        found: dict[str, set[int]] = {}
        for row in rows:
            found.setdefault(row["owner"], set()).add(row["part"])
        return found

    async def receipts(self, project: ProjectId, limit: int) -> Sequence[Receipt]:
        """The newest requests of the project."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                _RECEIPT + "WHERE project = $1 ORDER BY requested_at DESC, id DESC LIMIT $2", project, limit
            )
            return [await _receipt(connection, project, row) for row in rows]

    async def receipt(self, project: ProjectId, request: str) -> Receipt | None:
        """One of them."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_RECEIPT + "WHERE project = $1 AND id = $2", project, request)
            return None if row is None else await _receipt(connection, project, row)


async def note_removed(
    tx: Connection,
    request: ForgetRequest,
    owner: RemovedBy,
    part: int,
    removed: Mapping[str, int],
    *,
    done: bool,
) -> None:
    """Add to what the owner removed in the part, by table, in the transaction that removes it."""
    told = {table: number for table, number in removed.items() if number}
    await tx.execute(
        _NOTE, request.project, request.id, owner, part, done, msgspec.json.encode(told).decode()
    )


async def finish(
    connection: Connection, request: ForgetRequest, at: datetime, report: Mapping[str, Any]
) -> None:
    """Keep the report and let go of the ids."""
    await connection.execute(
        "UPDATE access.forget_request SET finished_at = $3, report = $4, subjects = NULL, mentions = NULL "
        "WHERE project = $1 AND id = $2",
        *(request.project, request.id, at, msgspec.json.encode(report).decode()),
    )


async def _receipt(connection: Connection, project: ProjectId, row: Any) -> Receipt:
    progress = await connection.fetch(
        "SELECT owner, done, removed FROM access.forget_progress WHERE project = $1 AND request = $2",
        *(project, row["id"]),
    )
    removed: Counter[str] = Counter()
    confirmed: Counter[str] = Counter()
    for one in progress:
        removed.update(msgspec.json.decode(one["removed"], type=dict[str, int]))
        confirmed[one["owner"]] += one["done"]
    return Receipt(
        row["id"],
        row["user_hash"],
        row["requested_at"],
        row["requested_by"],
        row["finished_at"],
        dict(sorted(removed.items())),
        dict(sorted(confirmed.items())),
        None if row["report"] is None else msgspec.json.decode(row["report"]),
    )
