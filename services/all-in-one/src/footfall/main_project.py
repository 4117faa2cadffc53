"""Project `main`, which every embedded installation has, with keys that are kept."""

from typing import Final, NamedTuple

from access.errors import NameTaken, UnknownProject
from access.keys import new_key
from access.projects import Projects
from eventmodel import ProjectId
from footfall.installation import Installation, MainKeys
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool

NAME: Final = "main"


class MainProject(NamedTuple):
    """The project and its keys."""

    project: str
    write_key: str
    secret_key: str


async def ensure_main_project(installation: Installation, database_url: str) -> MainProject:
    """Project `main` with the keys of keys.json; made, or made again after it was deleted.

    Raises StartError, AccessUnavailable.
    """
    async with open_pool(database_url, max_size=1, application="footfall up") as pool:
        projects = Projects(pool, SystemClock())
        kept = installation.read_keys()
        if kept is not None and kept.project is not None:
            if await _lives(projects, kept.project):
                return MainProject(kept.project, kept.write_key, kept.secret_key)
            kept = None
        if kept is None:
            # Kept before they are used: after a crash in between the next start goes on with the same keys.
            kept = MainKeys(new_key("write"), new_key("secret"))
            installation.write_keys(kept)
        try:
            made = await projects.create(NAME, write_key=kept.write_key, secret_key=kept.secret_key)
        except NameTaken:
            main = await _add_keys(projects)
        else:
            main = MainProject(made.project, made.write_key, made.secret_key)
    installation.write_keys(MainKeys(main.write_key, main.secret_key, main.project))
    return main


async def _lives(projects: Projects, project: str) -> bool:
    try:
        await projects.get(ProjectId(project))
    except UnknownProject:
        return False
    return True


async def _add_keys(projects: Projects) -> MainProject:
    """New keys for the project whose kept ones were lost."""
    [project] = [entry.project.id for entry in await projects.list() if entry.project.name == NAME]
    write = await projects.create_key(project, "write", "footfall up")
    secret = await projects.create_key(project, "secret", "footfall up")
    return MainProject(project, write.key, secret.key)
