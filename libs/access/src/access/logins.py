"""One-time login links and the sessions they open."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from access.database import Connection, Pool, changing, connected
from access.errors import InvalidValue, UnknownProject
from access.keys import digest, is_secret, new_id, new_secret
from eventmodel import ProjectId
from lifecycle.clock import Clock

DEFAULT_LINK_S = 900
MAX_LINK_S = 7 * 86_400
SESSION_S = 14 * 86_400


@dataclass(frozen=True, slots=True)
class Link:
    """A link's token, which nobody can read again, and until when it may be used, once."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session: the cookie's value, which nobody can read again, and the project to show first.

    `project` is None when the link was for every project.
    """

    cookie: str
    project: ProjectId | None
    expires_at: datetime


class Logins:
    """Every method raises AccessUnavailable when the database is away."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def create_link(self, project: ProjectId | None, expires_in_s: int = DEFAULT_LINK_S) -> Link:
        """A link for one project, or for every project when None. Raises UnknownProject and InvalidValue."""
        if not 1 <= expires_in_s <= MAX_LINK_S:
            raise InvalidValue("expires_in_s", f"expires_in_s is 1 to {MAX_LINK_S:,} seconds.")
        now = self._clock.now()
        link = Link(new_secret(), now + timedelta(seconds=expires_in_s))
        async with connected(self._pool) as connection, connection.transaction():
            if project is not None and not await _is_live(connection, project):
                raise UnknownProject(project)
            await connection.execute("DELETE FROM access.login_link WHERE expires_at < $1", now)
            await connection.execute(
                "INSERT INTO access.login_link (hash, project, created_at, expires_at) "
                "VALUES ($1, $2, $3, $4)",
                digest(link.token),
                project,
                now,
                link.expires_at,
            )
        return link

    async def is_usable(self, token: str) -> bool:
        """Whether `consume` would open a session now; uses nothing up."""
        if not is_secret(token):
            return False
        async with connected(self._pool) as connection:
            return bool(
                await connection.fetchval(
                    "SELECT true FROM access.login_link "
                    "WHERE hash = $1 AND used_at IS NULL AND expires_at > $2",
                    digest(token),
                    self._clock.now(),
                )
            )

    async def consume(self, token: str, cookie: str | None = None) -> Opened | None:
        """Open a session with the link, once: of several at a time one wins. None when it cannot be used.

        `cookie` is the session the browser has already: it ends, and its projects pass to the new one.
        """
        if not is_secret(token):
            return None
        now = self._clock.now()
        async with changing(self._pool) as connection:
            link = await connection.fetchrow(
                "UPDATE access.login_link SET used_at = $2 "
                "WHERE hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING project",
                digest(token),
                now,
            )
            if link is None:
                return None
            projects = None if link["project"] is None else {link["project"]}
            if cookie is not None and is_secret(cookie):
                projects = _united(projects, await _end(connection, cookie, now))
            await connection.execute("DELETE FROM access.session WHERE expires_at < $1", now)
            opened = Opened(new_secret(), link["project"], now + timedelta(seconds=SESSION_S))
            await connection.execute(
                "INSERT INTO access.session (hash, id, projects, created_at, expires_at) "
                "VALUES ($1, $2, $3, $4, $5)",
                digest(opened.cookie),
                new_id("session"),
                None if projects is None else sorted(projects),
                now,
                opened.expires_at,
            )
        return opened

    async def end(self, cookie: str) -> None:
        """End the session of that cookie everywhere within 5 s; nothing when there is none."""
        if is_secret(cookie):
            async with changing(self._pool) as connection:
                await _end(connection, cookie, self._clock.now())


async def _is_live(connection: Connection, project: ProjectId) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT true FROM access.project WHERE id = $1 AND deleted_at IS NULL", project
        )
    )


async def _end(connection: Connection, cookie: str, now: datetime) -> set[str] | None:
    """The ended session's projects: None for all of them, none when there was no live session."""
    row = await connection.fetchrow(
        "UPDATE access.session SET revoked_at = $2 "
        "WHERE hash = $1 AND revoked_at IS NULL AND expires_at > $2 RETURNING projects",
        digest(cookie),
        now,
    )
    if row is None:
        return set()
    return None if row["projects"] is None else set(row["projects"])


def _united(left: set[str] | None, right: set[str] | None) -> set[str] | None:
    return None if left is None or right is None else left | right
