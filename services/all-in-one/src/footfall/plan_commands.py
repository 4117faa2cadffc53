"""`footfall plan …`: its words, options and help."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from footfall.options import Data, Json
from footfall.outcomes import finish

plan_commands = typer.Typer(
    no_args_is_help=True,
    help="Say which actions there are and what they carry, and see what departs from it.",
)

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help="The plan, YAML or JSON.")]
ModeName = Literal["observe", "warn", "quarantine", "block"]


@plan_commands.command("show")
def show_plan(
    version: Annotated[int | None, typer.Option(min=1, help="Not the one in force, but this one.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print the plan in force, as YAML that can be applied again.

    \b
    footfall plan show > plan.yaml
    """
    from footfall import plans

    finish(plans.show_plan(version, data, os.environ, as_json=as_json))


@plan_commands.command("check")
def check_plan(file: PlanFile, data: Data = None, as_json: Json = False) -> None:
    """Say what is wrong with a plan, and what it would have said about the newest events; changes nothing.

    Exit code 1 when the plan cannot be applied.

    \b
    footfall plan check plan.yaml
    """
    from footfall import plans

    finish(plans.check_plan(file, data, os.environ, as_json=as_json))


@plan_commands.command("apply")
def apply_plan(file: PlanFile, data: Data = None, as_json: Json = False) -> None:
    """Put a plan in force, within a second; the one before stays in the history.

    \b
    footfall plan apply plan.yaml
    """
    from footfall import plans

    finish(plans.apply_plan(file, data, os.environ, as_json=as_json))


@plan_commands.command("learn")
def learn_plan(
    events: Annotated[
        int, typer.Option(min=1, max=20_000, help="From so many of the newest events.")
    ] = 10_000,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print a draft from what was sent, as YAML; nothing is applied.

    \b
    footfall plan learn > plan.yaml
    """
    from footfall import plans

    finish(plans.learn_plan(events, data, os.environ, as_json=as_json))


@plan_commands.command("mode")
def set_mode(
    mode: Annotated[ModeName, typer.Argument(metavar="MODE", help="observe, warn, quarantine or block.")],
    action: Annotated[str | None, typer.Option(metavar="ACTION", help="Of this action alone.")] = None,
    unplanned: Annotated[
        bool, typer.Option("--unplanned", help="Of the actions that are not in the plan.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say what becomes of events that depart from the plan.

    \b
    footfall plan mode warn
    footfall plan mode quarantine --action "opened report"
    footfall plan mode block --unplanned
    """
    from footfall import plans

    if action is not None and unplanned:
        raise typer.BadParameter("Say --action or --unplanned, not both.")
    change = plans.ModeChange(mode, action, unplanned)
    finish(plans.set_mode(change, data, os.environ, as_json=as_json))


@plan_commands.command("history")
def show_history(data: Data = None, as_json: Json = False) -> None:
    """List the plans that were applied, newest first.

    \b
    footfall plan history
    """
    from footfall import plans

    finish(plans.show_history(data, os.environ, as_json=as_json))


@plan_commands.command("unplanned")
def show_unplanned(data: Data = None, as_json: Json = False) -> None:
    """List actions that arrive and are not in the plan: how often, from whom, and what they probably mean.

    \b
    footfall plan unplanned
    """
    from footfall import plans

    finish(plans.show_unplanned(data, os.environ, as_json=as_json))
