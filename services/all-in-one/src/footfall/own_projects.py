"""The projects an embedded installation makes for itself, with keys that are kept: `main` and `demo`."""

from datetime import datetime
from typing import Final, NamedTuple

from access.errors import NameTaken, UnknownProject
from access.keys import new_key
from access.projects import Created, ProjectEntry, Projects
from eventmodel import ProjectId
from footfall.installation import Installation, KeyHolder, ProjectKeys
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool

MAIN: Final[KeyHolder] = "main"
DEMO: Final[KeyHolder] = "demo"


class NotOurs(Exception):
    """Somebody made a project named demo for something else."""


class OwnProject(NamedTuple):
    """The project and its keys."""

    project: str
    write_key: str
    secret_key: str
    made_at: datetime


async def ensure_main_project(installation: Installation, database_url: str) -> OwnProject:
    """Project `main` with the keys of keys.json; made, or made again after it was deleted.

    Raises StartError, AccessUnavailable.
    """
    return await _ensure(installation, database_url, MAIN)


async def ensure_demo_project(installation: Installation, database_url: str) -> OwnProject:
    """Project `demo`, likewise, with keys of its own; raises NotOurs too."""
    return await _ensure(installation, database_url, DEMO)


async def _ensure(installation: Installation, database_url: str, name: KeyHolder) -> OwnProject:
    async with open_pool(database_url, max_size=1, application="footfall up") as pool:
        projects = Projects(pool, SystemClock())
        kept = installation.read_keys(name)
        if kept is not None and kept.project is not None:
            entry = await _living(projects, kept.project)
            if entry is not None:
                # Those made before their text was kept.
                await projects.keep_write_key(entry.project.id, kept.write_key)
                return OwnProject(kept.project, kept.write_key, kept.secret_key, entry.created_at)
            kept = None
        if kept is None:
            # Kept before they are used: after a crash in between the next start goes on with the same keys.
            kept = ProjectKeys(new_key("write"), new_key("secret"))
            installation.write_keys(kept, name)
        try:
            made = await projects.create(
                name, demo=name == DEMO, write_key=kept.write_key, secret_key=kept.secret_key
            )
        except NameTaken:
            made = await _add_keys(projects, name)
        entry = await projects.get(made.project)
    installation.write_keys(ProjectKeys(made.write_key, made.secret_key, made.project), name)
    return OwnProject(made.project, made.write_key, made.secret_key, entry.created_at)


async def _living(projects: Projects, project: str) -> ProjectEntry | None:
    try:
        return await projects.get(ProjectId(project))
    except UnknownProject:
        return None


async def _add_keys(projects: Projects, name: KeyHolder) -> Created:
    """New keys for the project whose kept ones were lost."""
    [found] = [entry.project for entry in await projects.list() if entry.project.name == name]
    if found.settings.demo != (name == DEMO):
        raise NotOurs
    write = await projects.create_key(found.id, "write", "footfall up")
    secret = await projects.create_key(found.id, "secret", "footfall up")
    return Created(found.id, write.key, secret.key)
