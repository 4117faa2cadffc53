"""The rows of keys: what is stored of each kind, and what of it may be shown."""

from dataclasses import dataclass
from datetime import datetime

from access.database import Connection
from access.errors import InvalidValue
from access.keys import digest, kind_of, new_id
from access.model import KeyKind
from eventmodel import ProjectId


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """What may be shown of a key. `key` is its text: of write keys, but for those made before it was kept."""

    id: str
    kind: KeyKind
    label: str
    last_four: str
    created_at: datetime
    revoked_at: datetime | None
    key: str | None


async def holds(connection: Connection, project: str, *keys: str) -> bool:
    """Whether all these texts are live keys of the project."""
    held = await connection.fetchval(
        "SELECT count(*) FROM access.key WHERE project = $1 AND revoked_at IS NULL AND hash = ANY($2)",
        project,
        [digest(key) for key in keys],
    )
    return bool(held == len(keys))


async def insert_key(
    connection: Connection, project: ProjectId, key: str, label: str, now: datetime
) -> KeyEntry:
    """Add the key to the project; of a write key also its text. Raises UniqueViolationError for one in use."""
    kind = kind_of(key)
    assert kind is not None, "new_key made it, or checked_key let it pass"
    readable = key if kind == "write" else None
    entry = KeyEntry(new_id("key"), kind, label, key[-4:], now, None, readable)
    await connection.execute(
        "INSERT INTO access.key (hash, id, project, kind, label, last_four, created_at, key) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        digest(key),
        entry.id,
        project,
        entry.kind,
        entry.label,
        entry.last_four,
        entry.created_at,
        entry.key,
    )
    return entry


def checked_key(key: str, kind: KeyKind) -> str:
    """The text, if it is shaped like a key of this kind. Raises InvalidValue."""
    if kind_of(key) != kind:
        raise InvalidValue(f"{kind}_key", f"That is no {kind} key: it starts with ff{kind[0]}_.")
    return key
