"""The writing side of projects and their keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from asyncpg import Record, UniqueViolationError

from access.database import Connection, Pool, changing, connected
from access.errors import InvalidValue, NameTaken, TooManyKeys, UnknownProject
from access.key_rows import KeyEntry, checked_key, holds, insert_key
from access.keys import digest, kind_of, new_id, new_key
from access.model import KeyKind, Project, ProjectSettings
from access.project_settings import change_settings, decode_settings, encode_settings
from eventmodel import ProjectId
from lifecycle.clock import Clock

Owner: TypeAlias = Literal["gateway", "rules", "importer"]

OWNERS: tuple[Owner, ...] = get_args(Owner)
"""Who keeps rows of a project outside this schema, and reports them purged."""
MAX_NAME_CHARS = 100
MAX_LABEL_CHARS = 100
MAX_KEYS = 100
"""Live keys of one project."""

_PROJECT = "SELECT id, name, created_at, settings, settings_version FROM access.project "


@dataclass(frozen=True, slots=True)
class Created:
    """A new project and its two keys; nobody can read the secret one again."""

    project: ProjectId
    write_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class ProjectEntry:
    """A project as the database holds it now."""

    project: Project
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key and its text; that of a secret key nobody can read again."""

    entry: KeyEntry
    key: str


class Projects:
    """Every method raises AccessUnavailable when the database is away; a change then may or may not hold.

    What is asked for a project that does not exist or was deleted raises UnknownProject.
    """

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def create(
        self, name: str, *, demo: bool = False, write_key: str | None = None, secret_key: str | None = None
    ) -> Created:
        """A new project with one key of each kind; both work in every process as soon as this returns.

        With keys given the call may be repeated: the live project of that name that has these keys is
        answered, not made again. Raises NameTaken and InvalidValue.
        """
        name = _checked_name(name)
        given = write_key is not None and secret_key is not None
        write_key = checked_key(write_key or new_key("write"), "write")
        secret_key = checked_key(secret_key or new_key("secret"), "secret")
        async with changing(self._pool) as connection:
            taken = await connection.fetchval(
                "SELECT id FROM access.project WHERE name = $1 AND deleted_at IS NULL", name
            )
            if taken is not None:
                if given and await holds(connection, taken, write_key, secret_key):
                    return Created(ProjectId(taken), write_key, secret_key)
                raise NameTaken(name)
            project = ProjectId(new_id("project"))
            now = self._clock.now()
            await connection.execute(
                "INSERT INTO access.project (id, name, created_at, settings) VALUES ($1, $2, $3, $4)",
                project,
                name,
                now,
                encode_settings(ProjectSettings(demo=demo)),
            )
            try:
                for key in (write_key, secret_key):
                    await insert_key(connection, project, key, "", now)
            except UniqueViolationError as error:
                raise InvalidValue("write_key", "These keys were used before. Make new ones.") from error
        return Created(project, write_key, secret_key)

    async def list(self) -> Sequence[ProjectEntry]:
        """All live projects, oldest first."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_PROJECT + "WHERE deleted_at IS NULL ORDER BY created_at, id")
        return [_entry(row) for row in rows]

    async def get(self, project: ProjectId) -> ProjectEntry:
        """The project as it is now."""
        async with connected(self._pool) as connection:
            return await _live(connection, project)

    async def change(
        self,
        project: ProjectId,
        *,
        name: str | None = None,
        time_zone: str | None = None,
        trial_actions: Sequence[str] | None = None,
        privacy: Mapping[str, Any] | None = None,
    ) -> ProjectEntry:
        """Replace what is given, of the privacy rules by name.

        A settings change raises the settings' version; a name is no setting.

        Raises NameTaken and InvalidValue; nothing is changed then.
        """
        async with changing(self._pool) as connection:
            before = (await _live(connection, project)).project
            wanted = before.name if name is None else _checked_name(name)
            settings = change_settings(
                before.settings, time_zone=time_zone, trial_actions=trial_actions, privacy=privacy
            )
            if wanted != before.name:
                await _rename(connection, project, wanted)
            if settings != before.settings:
                await _store_settings(connection, project, settings)
            return await _live(connection, project)

    async def delete(self, project: ProjectId) -> None:
        """End the project: its keys and links stop working, its id is never used again, its name is free.

        Its rows elsewhere go when their owners see it in `deleted`.
        """
        async with changing(self._pool) as connection:
            await _live(connection, project)
            now = self._clock.now()
            await connection.execute("UPDATE access.project SET deleted_at = $2 WHERE id = $1", project, now)
            await connection.execute(
                "UPDATE access.key SET revoked_at = $2 WHERE project = $1 AND revoked_at IS NULL",
                project,
                now,
            )
            await connection.execute("DELETE FROM access.login_link WHERE project = $1", project)

    async def deleted(self, owner: Owner) -> Sequence[ProjectId]:
        """The deleted projects whose rows this owner has not yet reported purged, oldest deletion first."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                "SELECT id FROM access.project WHERE deleted_at IS NOT NULL AND NOT purged_by @> ARRAY[$1] "
                "ORDER BY deleted_at, id",
                owner,
            )
        return [ProjectId(row["id"]) for row in rows]

    async def purged(self, project: ProjectId, owner: Owner) -> bool:
        """Note that the owner holds no row of the deleted project any more; may be said twice.

        Whether that was the last owner, and the project's own row has gone too.
        """
        async with changing(self._pool) as connection:
            await connection.execute(
                "UPDATE access.project SET purged_by = array_append(purged_by, $2) "
                "WHERE id = $1 AND deleted_at IS NOT NULL AND NOT purged_by @> ARRAY[$2]",
                project,
                owner,
            )
            done = await connection.fetchval(
                "SELECT purged_by @> $2::text[] FROM access.project WHERE id = $1 AND deleted_at IS NOT NULL",
                project,
                OWNERS,
            )
            if done:
                await connection.execute("DELETE FROM access.project WHERE id = $1", project)
        return bool(done)

    async def keys(self, project: ProjectId) -> Sequence[KeyEntry]:
        """The project's keys, oldest first, the revoked ones too."""
        async with connected(self._pool) as connection:
            await _live(connection, project)
            rows = await connection.fetch(
                "SELECT id, kind, label, last_four, created_at, revoked_at, key FROM access.key "
                "WHERE project = $1 ORDER BY created_at, id",
                project,
            )
        return [KeyEntry(*row.values()) for row in rows]

    async def create_key(self, project: ProjectId, kind: KeyKind, label: str = "") -> CreatedKey:
        """One more key. Raises TooManyKeys and InvalidValue."""
        label = _checked_text("label", label, MAX_LABEL_CHARS)
        key = new_key(kind)
        async with changing(self._pool) as connection:
            await _live(connection, project)
            live = await connection.fetchval(
                "SELECT count(*) FROM access.key WHERE project = $1 AND revoked_at IS NULL", project
            )
            if live >= MAX_KEYS:
                raise TooManyKeys(MAX_KEYS)
            return CreatedKey(await insert_key(connection, project, key, label, self._clock.now()), key)

    async def keep_write_key(self, project: ProjectId, key: str) -> bool:
        """Make one of the project's write keys readable that was made before their text was kept.

        False when that text is no live write key of the project.
        """
        if kind_of(key) != "write":
            return False
        async with changing(self._pool) as connection:
            await _live(connection, project)
            found = await connection.fetchval(
                "UPDATE access.key SET key = $3 WHERE project = $1 AND hash = $2 AND revoked_at IS NULL "
                "RETURNING true",
                project,
                digest(key),
                key,
            )
        return bool(found)

    async def revoke_key(self, project: ProjectId, key_id: str) -> bool:
        """Stop the key, and the tokens issued with it, everywhere within 5 s; may be said twice.

        False when the project has no such key.
        """
        async with changing(self._pool) as connection:
            await _live(connection, project)
            found = await connection.fetchval(
                "UPDATE access.key SET revoked_at = coalesce(revoked_at, $3) "
                "WHERE project = $1 AND id = $2 RETURNING true",
                project,
                key_id,
                self._clock.now(),
            )
        return bool(found)


async def _live(connection: Connection, project: ProjectId) -> ProjectEntry:
    row = await connection.fetchrow(_PROJECT + "WHERE id = $1 AND deleted_at IS NULL", project)
    if row is None:
        raise UnknownProject(project)
    return _entry(row)


async def _rename(connection: Connection, project: ProjectId, name: str) -> None:
    taken = await connection.fetchval(
        "SELECT true FROM access.project WHERE name = $1 AND deleted_at IS NULL", name
    )
    if taken:
        raise NameTaken(name)
    await connection.execute("UPDATE access.project SET name = $2 WHERE id = $1", project, name)


async def _store_settings(connection: Connection, project: ProjectId, settings: ProjectSettings) -> None:
    await connection.execute(
        "UPDATE access.project SET settings = $2, settings_version = $3 WHERE id = $1",
        project,
        encode_settings(settings),
        settings.version,
    )


def _entry(row: Record) -> ProjectEntry:
    settings = decode_settings(row["settings"], row["settings_version"])
    return ProjectEntry(Project(ProjectId(row["id"]), row["name"], settings), row["created_at"])


def _checked_name(name: str) -> str:
    checked = _checked_text("name", name, MAX_NAME_CHARS)
    if not checked:
        raise InvalidValue("name", "A project needs a name.")
    return checked


def _checked_text(field: str, text: str, max_chars: int) -> str:
    text = text.strip()
    if len(text) > max_chars or not all(character.isprintable() for character in text):
        raise InvalidValue(field, f"A {field} is at most {max_chars} printable characters on one line.")
    return text
