"""`footfall plan`: read, check, learn and apply tracking plans; the work itself is the server's."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import yaml
from rich.console import Console

from footfall.connection import Connection, answer_of, connect, unreachable
from footfall.outcomes import FAILED, OK, CommandFailed, UsageProblem, answer

Document = dict[str, Any]


class ModeChange(NamedTuple):
    """A mode, and of what: of one action, of those that are not planned, else of the plan."""

    mode: str
    action: str | None
    unplanned: bool


async def show_plan(
    version: int | None, data: Path | None, environ: Mapping[str, str], *, as_json: bool
) -> int:
    """Print the plan in force, or an earlier one."""
    query = {} if version is None else {"version": str(version)}
    async with connect(data, environ) as installation:
        found = await _ask(installation, "GET", "/v1/plan", params=query)
    answer(as_json, found, lambda console: _show_plan(console, found["plan"]))
    return OK


async def check_plan(file: Path, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Say what is wrong with the plan in a file, and what it would have said."""
    document = await asyncio.to_thread(read_plan_file, file)
    async with connect(data, environ) as installation:
        found = await _ask(installation, "POST", "/v1/plan/check", json=document)
    answer(as_json, found, lambda console: _show_check(console, file, found))
    return FAILED if found["errors"] else OK


async def apply_plan(file: Path, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Put the plan in a file in force."""
    document = await asyncio.to_thread(read_plan_file, file)
    async with connect(data, environ) as installation:
        stored, errors = await _put(installation, document)
    if errors:
        answer(as_json, {"errors": errors}, lambda console: _show_errors(console, file, errors))
        return FAILED
    answer(as_json, stored, lambda console: console.print(_applied(stored)))
    return OK


async def learn_plan(events: int, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print a draft from the newest events."""
    async with connect(data, environ) as installation:
        found = await _ask(installation, "POST", "/v1/plan/learn", json={"events": events})

    def show(console: Console) -> None:
        console.print(
            f"# Learned from {found['events']:,} events since {found['since']}. Read it before you apply it."
        )
        _show_plan(console, found["plan"])

    answer(as_json, found, show)
    return OK


async def set_mode(
    change: ModeChange, data: Path | None, environ: Mapping[str, str], *, as_json: bool
) -> int:
    """Apply the plan in force with another mode."""
    async with connect(data, environ) as installation:
        document = (await _ask(installation, "GET", "/v1/plan"))["plan"]
        if change.action is not None:
            if change.action not in document["actions"]:
                raise CommandFailed(f"The plan has no action {change.action!r}. See: footfall plan show")
            document["actions"][change.action]["mode"] = change.mode
        else:
            document["unplanned" if change.unplanned else "mode"] = change.mode
        stored, errors = await _put(installation, document)
    if errors:
        raise CommandFailed(errors[0]["message"])
    answer(as_json, stored, lambda console: console.print(_applied(stored)))
    return OK


async def show_history(data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """List the plans that were applied."""
    async with connect(data, environ) as installation:
        found = await _ask(installation, "GET", "/v1/plan/versions")

    def show(console: Console) -> None:
        for entry in found["items"]:
            console.print(
                f"{entry['version']:>5}  {entry['applied_at']}  {entry['mode']:<10}  {entry['actions']} actions"
            )
        if not found["items"]:
            console.print("No plan was applied yet. Begin with: footfall plan learn > plan.yaml")

    answer(as_json, found, show)
    return OK


async def show_unplanned(data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """List actions that are not in the plan."""
    async with connect(data, environ) as installation:
        found = await _ask(installation, "GET", "/v1/plan/unplanned")
    answer(as_json, found, lambda console: _show_unplanned(console, found["items"]))
    return OK


def read_plan_file(file: Path) -> Document:
    """The document in a YAML or JSON file; raises UsageProblem."""
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageProblem(f"{file} is neither YAML nor JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageProblem(f"{file} holds no plan: it must be an object with actions.")
    return document


async def _ask(installation: Connection, method: str, path: str, **options: Any) -> Document:
    return await installation.request(method, path, headers=installation.key_headers(), **options)


async def _put(installation: Connection, document: Document) -> tuple[Document, list[Document]]:
    """The plan as it is in force, and the mistakes that kept it from being so."""
    try:
        response = await installation.client.put(
            "/v1/plan", json=document, headers=installation.key_headers()
        )
    except httpx.HTTPError as error:
        raise unreachable(installation.url, error) from error
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        errors = response.json().get("errors")
        if errors:
            return {}, errors
    return answer_of(response), []


def _applied(stored: Document) -> str:
    count = len(stored["plan"]["actions"])
    return f"Plan {stored['version']} is in force: {count} actions, mode {stored['plan']['mode']}."


def _show_plan(console: Console, document: Document) -> None:
    console.print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100), end="")


def _show_errors(console: Console, file: Path, errors: Sequence[Document]) -> None:
    for error in errors:
        console.print(f"{file}: {error['path']}: {error['message']}", style="bold")
        if error.get("hint"):
            console.print(f"  {error['hint']}", style="dim")


def _show_check(console: Console, file: Path, found: Document) -> None:
    _show_errors(console, file, found["errors"])
    if found["errors"]:
        return
    console.print(f"{file} can be applied. Of the newest {found['events']:,} events it would have said:")
    for violation in found["violations"]:
        console.print(
            f"{violation['count']:>8,}  {violation['mode']:<10}  {violation['action']}: {violation['message']}"
        )
    if not found["violations"]:
        console.print("nothing; all of them keep it.")


def _show_unplanned(console: Console, items: Sequence[Document]) -> None:
    for item in items:
        meant = f'  (did you mean "{item["suggestion"]}"?)' if item["suggestion"] else ""
        console.print(f"{item['stored'] + item['set_aside']:>8,}  {item['action']}{meant}")
        senders = ", ".join(
            f"{sender['sdk'] or sender['key'] or 'unknown'} {sender['count']:,}" for sender in item["senders"]
        )
        console.print(f"          last {item['last_seen']}, from {senders}", style="dim")
    if not items:
        console.print("Every action that arrived lately is in the plan.")
