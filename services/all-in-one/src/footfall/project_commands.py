"""`footfall project …`: its words, options and help."""

import os
import sys
from typing import Annotated, Any, Literal

import typer

from footfall.options import Data, Json
from footfall.outcomes import finish

project_commands = typer.Typer(no_args_is_help=True, help="Create, list and delete projects; their privacy.")


@project_commands.command("create")
def create_project(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it; not yet taken.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create a project and print its two keys, this once.

    \b
    footfall project create staging
    """
    from footfall import administration

    finish(administration.create_project(name, data, os.environ, as_json=as_json))


@project_commands.command("list")
def list_projects(data: Data = None, as_json: Json = False) -> None:
    """List the projects, oldest first.

    \b
    footfall project list --json
    """
    from footfall import administration

    finish(administration.list_projects(data, os.environ, as_json=as_json))


@project_commands.command("delete")
def delete_project(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id or name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Delete a project with everything in it. Its keys stop within seconds.

    \b
    footfall project delete staging
    """
    from footfall import administration

    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Nobody can be asked here: add --yes to delete it.")
        typer.confirm(f"Delete project {project} with all its data?", abort=True)
    finish(administration.delete_project(project, data, os.environ, as_json=as_json))


@project_commands.command("privacy")
def change_privacy(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id or name.")],
    ip: Annotated[
        Literal["keep", "truncate", "drop"] | None, typer.Option(help="What is kept of addresses.")
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Values to remove, all that are to be; an empty one for none."),
    ] = None,
    hashed: Annotated[
        list[str] | None,
        typer.Option("--hash", metavar="PATH", help="Values to put pseudonyms for, likewise."),
    ] = None,
    consent: Annotated[
        Literal["off", "required"] | None, typer.Option(help="Whether events need consent.")
    ] = None,
    categories: Annotated[
        list[str] | None, typer.Option("--category", metavar="NAME", help="What must be consented to.")
    ] = None,
    signals: Annotated[
        bool | None,
        typer.Option(
            "--opt-out-signals/--no-opt-out-signals", help="Refuse browsers that send Sec-GPC or DNT."
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show what a project keeps of whom, or change it; in force within a second, for what comes from then on.

    \b
    footfall project privacy main
    footfall project privacy main --ip drop --redact properties.card --redact "**.password"
    footfall project privacy main --consent required --category analytics
    """
    from footfall import privacy_settings

    given: dict[str, Any] = {
        "ip": ip,
        "redact": _listed(redact),
        "hash": _listed(hashed),
        "consent": consent,
        "consent_categories": categories or None,
        "opt_out_signals": signals,
    }
    change = {name: value for name, value in given.items() if value is not None}
    finish(privacy_settings.change_privacy(project, change, data, os.environ, as_json=as_json))


def _listed(paths: list[str] | None) -> list[str] | None:
    return [path for path in paths if path] if paths else None
