"""`footfall project` and `footfall login`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from footfall.connection import Connection, connect
from footfall.outcomes import OK, CommandFailed, answer


async def create_project(name: str, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Create a project; its secret key is shown this once."""
    async with connect(data, environ) as installation:
        made = await installation.request(
            "POST", "/v1/projects", json={"name": name}, headers=installation.admin_headers()
        )
    shown = {part: made[part] for part in ("project", "write_key", "secret_key")}

    def show(console: Console) -> None:
        for part, value in shown.items():
            console.print(f"{part.replace('_', ' '):<12}{value}")
        console.print("The secret key is not shown again.", style="dim")

    answer(as_json, shown, show)
    return OK


async def list_projects(data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """List the projects, oldest first."""
    async with connect(data, environ) as installation:
        found = await _projects(installation)

    def show(console: Console) -> None:
        for entry in found:
            console.print(f"{entry['project']}  {entry['created_at']}  {entry['name']}")
        if not found:
            console.print("There is no project. Create one with: footfall project create NAME")

    answer(as_json, {"items": found}, show)
    return OK


async def delete_project(named: str, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Delete a project by id or name: its keys stop within seconds, its data goes in the background."""
    async with connect(data, environ) as installation:
        project = await find_project(installation, named)
        await installation.request(
            "DELETE", f"/v1/projects/{quote(project, safe='')}", headers=installation.admin_headers()
        )
    answer(as_json, {"deleted": project}, lambda console: console.print(f"Deleted {project} ({named})."))
    return OK


async def log_in(project: str | None, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print a link that logs a browser in, once."""
    async with connect(data, environ, start=False) as installation:
        wanted = {} if project is None else {"project": project}
        link = await installation.request(
            "POST", "/v1/logins", json=wanted, headers=installation.admin_headers()
        )
        shown = {"login_url": installation.url + link["path"], "expires_at": link["expires_at"]}
    answer(as_json, shown, lambda console: console.print(shown["login_url"]))
    return OK


async def find_project(installation: Connection, named: str) -> str:
    """The id of the project of this id or name; raises CommandFailed."""
    for entry in await _projects(installation):
        if named in (entry["project"], entry["name"]):
            return str(entry["project"])
    raise CommandFailed(f"There is no project {named!r}. See: footfall project list")


async def _projects(installation: Connection) -> list[dict[str, Any]]:
    found = await installation.request("GET", "/v1/projects", headers=installation.admin_headers())
    items: list[dict[str, Any]] = found["items"]
    return items
