"""`footfall rejected …`: its words, options and help."""

import os
from typing import Annotated, Literal

import typer

from footfall.options import Data, Json
from footfall.outcomes import finish

rejected_commands = typer.Typer(
    no_args_is_help=True, help="Look at events that were refused, correct them, and hand them in again."
)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Rejected events, by id; several if you like.")
]
Code = Annotated[str | None, typer.Option(metavar="CODE", help="Those refused for this reason.")]
All = Annotated[bool, typer.Option("--all", help="All that are open.")]


@rejected_commands.command("list")
def list_rejected(
    code: Code = None,
    source: Annotated[
        Literal["ingest", "import", "consumer"] | None, typer.Option(help="Where they were refused.")
    ] = None,
    state: Annotated[
        Literal["open", "replayed", "dismissed"], typer.Option(help="What was done about them.")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Count what was refused by reason, and list the newest.

    \b
    footfall rejected list
    footfall rejected list --code unknown_field --limit 100
    """
    from footfall import rejected_events

    wanted = {"code": code, "source": source, "state": state, "limit": str(limit)}
    finish(rejected_events.list_rejected(wanted, data, os.environ, as_json=as_json))


@rejected_commands.command("show")
def show_rejected(
    rejection: Annotated[str, typer.Argument(metavar="ID", help="Its id, from footfall rejected list.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show one of them: why, where it stood, and what was kept of it.

    \b
    footfall rejected show 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c
    """
    from footfall import rejected_events

    finish(rejected_events.show_rejected(rejection, data, os.environ, as_json=as_json))


@rejected_commands.command("replay")
def replay_rejected(
    ids: Ids = None,
    code: Code = None,
    every: All = False,
    renames: Annotated[
        list[str] | None,
        typer.Option("--rename", metavar="OLD=NEW", help="Rename a field of each; a.b is inside a."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of each; JSON is read as such."),
    ] = None,
    removes: Annotated[
        list[str] | None, typer.Option("--remove", metavar="FIELD", help="Remove a field of each.")
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="The whole corrected event, of one ID; - reads it from stdin."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be accepted; nothing is stored.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Hand rejected events in again, corrected if you say so; exit code 1 when some are refused again.

    Each counts once, at the time it first came, however often it is replayed.

    \b
    footfall rejected replay --code unknown_field --rename userId=user --dry-run
    footfall rejected replay 0190a1b2-… --event '{"user": "ada", "action": "opened report"}'
    """
    from footfall import rejected_events

    chosen = rejected_events.Chosen(ids or [], code, every)
    corrections = rejected_events.Corrections(renames or [], sets or [], removes or [], event)
    work = rejected_events.replay(chosen, corrections, data, os.environ, dry_run=dry_run, as_json=as_json)
    finish(work)


@rejected_commands.command("dismiss")
def dismiss_rejected(
    ids: Ids = None, code: Code = None, every: All = False, data: Data = None, as_json: Json = False
) -> None:
    """Say that nothing is to be done about them; they can still be replayed.

    \b
    footfall rejected dismiss --code too_deep
    """
    from footfall import rejected_events

    chosen = rejected_events.Chosen(ids or [], code, every)
    finish(rejected_events.dismiss(chosen, data, os.environ, as_json=as_json))
