"""All of access that answers questions, as one immutable whole, and where it is read from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from access.database import Connection, Pool, connected
from access.forgotten import ForgetRequest, Forgotten, read_forgotten, read_open_requests
from access.model import Principal, Project, Session, StoredPlan
from access.plans import newest_plans
from access.project_settings import decode_settings
from access.tokens import MAX_TOKEN_S, SigningKey
from eventmodel import ProjectId

LOAD_S = 10.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What held when the version was `version`: live projects, keys by SHA-256, sessions by SHA-256.

    `signing_keys` stand newest first, and hold those retired while a token they signed may still live.
    `forget_requests` are those not finished.
    """

    version: int
    projects: Mapping[ProjectId, Project] = field(default_factory=dict)
    keys: Mapping[bytes, Principal] = field(default_factory=dict)
    sessions: Mapping[bytes, Session] = field(default_factory=dict)
    signing_keys: tuple[SigningKey, ...] = ()
    forgotten: Forgotten = field(default_factory=lambda: Forgotten({}))
    forget_requests: tuple[ForgetRequest, ...] = ()


class Store(Protocol):
    """Where snapshots come from. Both methods raise AccessUnavailable."""

    async def version(self) -> int:
        """The number that moves with every change; cheap."""
        ...

    async def load(self, now: datetime) -> Snapshot:
        """Everything, as of one moment."""
        ...


class DatabaseStore:
    """The tables of schema `access`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._plans: dict[ProjectId, StoredPlan] = {}

    async def version(self) -> int:
        async with connected(self._pool) as connection:
            return await _version(connection)

    async def load(self, now: datetime) -> Snapshot:
        async with (
            connected(self._pool, LOAD_S) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            # One snapshot of the database: with another isolation a change between two of these reads would
            # be held under the version before it, in half, until the next change.
            version = await _version(connection)
            self._plans = await newest_plans(connection, self._plans)
            return Snapshot(
                version=version,
                projects=await _projects(connection, self._plans),
                keys=await _keys(connection),
                sessions=await _sessions(connection, now),
                signing_keys=await _signing_keys(connection, now),
                forgotten=await read_forgotten(connection),
                forget_requests=await read_open_requests(connection),
            )


async def _version(connection: Connection) -> int:
    n = await connection.fetchval("SELECT n FROM access.version")
    assert isinstance(n, int), "migration 0001 inserts the row"
    return n


async def _projects(
    connection: Connection, plans: Mapping[ProjectId, StoredPlan]
) -> dict[ProjectId, Project]:
    rows = await connection.fetch(
        "SELECT id, name, settings, settings_version, hash_key FROM access.project WHERE deleted_at IS NULL "
        "ORDER BY created_at, id"
    )
    return {
        row["id"]: Project(
            row["id"],
            row["name"],
            decode_settings(row["settings"], row["settings_version"]),
            row["hash_key"],
            plans.get(row["id"]),
        )
        for row in rows
    }


async def _keys(connection: Connection) -> dict[bytes, Principal]:
    rows = await connection.fetch(
        "SELECT k.hash, k.id, k.kind, k.project FROM access.key k JOIN access.project p ON p.id = k.project "
        "WHERE k.revoked_at IS NULL AND p.deleted_at IS NULL"
    )
    return {row["hash"]: Principal(row["project"], row["kind"], row["id"]) for row in rows}


async def _sessions(connection: Connection, now: datetime) -> dict[bytes, Session]:
    rows = await connection.fetch(
        "SELECT hash, id, projects, expires_at FROM access.session "
        "WHERE revoked_at IS NULL AND expires_at > $1",
        now,
    )
    return {
        row["hash"]: Session(
            row["id"], None if row["projects"] is None else frozenset(row["projects"]), row["expires_at"]
        )
        for row in rows
    }


async def _signing_keys(connection: Connection, now: datetime) -> tuple[SigningKey, ...]:
    rows = await connection.fetch(
        "SELECT id, secret, retired_at FROM access.signing_key "
        "WHERE retired_at IS NULL OR retired_at > $1 ORDER BY created_at DESC, id",
        now - timedelta(seconds=MAX_TOKEN_S),
    )
    return tuple(SigningKey(row["id"], row["secret"], row["retired_at"] is not None) for row in rows)
