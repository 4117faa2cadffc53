"""`footfall user …`: its words, options and help."""

import os
import sys
from typing import Annotated

import typer

from footfall.options import Data, Json
from footfall.outcomes import finish

user_commands = typer.Typer(no_args_is_help=True, help="Forget people, and prove it.")


@user_commands.command("forget")
def forget_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id, as it was sent.")],
    project: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Of this project; the key must be of it [default: the key's project]."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait_s: Annotated[int, typer.Option("--wait", min=1, help="Seconds to wait for all services.")] = 120,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Remove a user and all ids that belong to them from the whole suite, and print what proves it.

    Exit code 1 when something remains, or a service has not confirmed in time; it goes on nevertheless.

    \b
    footfall user forget ada@acme.example
    footfall user forget ada@acme.example --yes --json
    """
    from footfall import forgetting

    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Nobody can be asked here: add --yes to forget the user.")
        typer.confirm(f"Remove everything about user {user}? Nobody can bring it back.", abort=True)
    work = forgetting.forget_user(user, project, data, os.environ, wait_s=wait_s, as_json=as_json)
    finish(work)
