"""`footfall rejected`: list, show, replay and dismiss what was refused; the work itself is the server's."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from rich.console import Console

from footfall.connection import Connection, answer_of, connect, unreachable
from footfall.outcomes import FAILED, OK, UsageProblem, answer

Rejection = Mapping[str, Any]
Selection = dict[str, Any]
Fix = dict[str, Any]

_SHOWN_REFUSALS = 10


class Chosen(NamedTuple):
    """Which rejected events a command is about, as it was said."""

    ids: Sequence[str]
    code: str | None
    every: bool

    def selection(self) -> Selection:
        """What a request says of it; raises UsageProblem unless it was said in one way."""
        if [bool(self.ids), self.code is not None, self.every].count(True) != 1:
            raise UsageProblem("Say which rejected events: by ID, or with --code, or --all that are open.")
        if self.ids:
            return {"ids": list(self.ids)}
        return {"all": True} if self.every else {"code": self.code}


class Corrections(NamedTuple):
    """What is to be changed in each, as it was said; `event` takes the place of one of them."""

    renames: Sequence[str]
    sets: Sequence[str]
    removes: Sequence[str]
    event: str | None

    def fix(self) -> Fix:
        """What a request says of those that fit all; raises UsageProblem."""
        fix: Fix = {}
        if self.renames:
            fix["rename"] = dict(_pair("--rename", "OLD=NEW", text) for text in self.renames)
        if self.sets:
            pairs = (_pair("--set", "FIELD=VALUE", text) for text in self.sets)
            fix["set"] = {name: _value(text) for name, text in pairs}
        if self.removes:
            fix["remove"] = list(self.removes)
        return fix


async def list_rejected(
    wanted: Mapping[str, str | None], data: Path | None, environ: Mapping[str, str], *, as_json: bool
) -> int:
    """The reasons with their counts, and the newest rejected events."""
    params = {name: value for name, value in wanted.items() if value is not None}
    async with connect(data, environ) as installation:
        headers = installation.key_headers()
        found = await installation.request("GET", "/v1/rejected", params=params, headers=headers)
        counts = await installation.request("GET", "/v1/rejected/summary", headers=headers)
    answer(
        as_json,
        {"reasons": counts["items"], **found},
        lambda console: _show_list(console, counts["items"], found["items"]),
    )
    return OK


async def show_rejected(
    rejection: str, data: Path | None, environ: Mapping[str, str], *, as_json: bool
) -> int:
    """One of them, with what was kept of it."""
    async with connect(data, environ) as installation:
        one = await installation.request(
            "GET", f"/v1/rejected/{rejection}", headers=installation.key_headers()
        )
    answer(as_json, one, lambda console: _show_one(console, one))
    return OK


async def replay(
    chosen: Chosen,
    corrections: Corrections,
    data: Path | None,
    environ: Mapping[str, str],
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Hand them in again: all corrected alike, or one as the event it should have been."""
    selection, fix = chosen.selection(), corrections.fix()
    event = None if corrections.event is None else _event(chosen, fix, corrections.event)
    async with connect(data, environ) as installation:
        if event is None:
            result = await _replay_many(installation, {**selection, **fix, "dry_run": dry_run})
        else:
            result = await _replay_one(installation, chosen.ids[0], event, dry_run=dry_run)
    answer(as_json, result, lambda console: _show_result(console, result))
    return FAILED if result["rejected"] else OK


def _event(chosen: Chosen, fix: Fix, given: str) -> str:
    """The text of the event that takes the place of the one rejected event; raises UsageProblem."""
    if len(chosen.ids) != 1 or fix:
        raise UsageProblem(
            "--event takes the place of one rejected event: give one ID, and no other correction."
        )
    text = sys.stdin.read() if given == "-" else given
    try:
        json.loads(text)
    except ValueError as error:
        raise UsageProblem(f"--event is not JSON: {error}.") from error
    return text


async def _replay_one(
    installation: Connection, rejection: str, event: str, *, dry_run: bool
) -> dict[str, Any]:
    # Put in as text: decoding and encoding would mend what admission refuses.
    body = f'{{"event": {event}, "dry_run": {json.dumps(dry_run)}}}'
    headers = installation.key_headers()
    try:
        response = await installation.client.post(
            f"/v1/rejected/{rejection}/replay", content=body.encode(), headers=headers
        )
    except httpx.HTTPError as error:
        raise unreachable(installation.url, error) from error
    if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT):
        said: dict[str, Any] = response.json()
        if "rejected" in said:
            return said
    return answer_of(response)


async def _replay_many(installation: Connection, body: dict[str, Any]) -> dict[str, Any]:
    """In as many requests as it takes."""
    result: dict[str, Any] = {"accepted": 0, "rejected": [], "dry_run": body["dry_run"]}
    while True:
        one = await _ask(installation, "replay", body)
        result["accepted"] += one["accepted"]
        result["rejected"] += one["rejected"]
        if one["next"] is None:
            return result
        body["after"] = one["next"]


async def dismiss(chosen: Chosen, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Say of all of them that nothing is to be done."""
    selection = chosen.selection()
    number, left = 0, 1
    async with connect(data, environ) as installation:
        while left:
            one = await _ask(installation, "dismiss", selection)
            number += one["dismissed"]
            left = one["left"] if one["dismissed"] else 0
    answer(as_json, {"dismissed": number}, lambda console: console.print(f"Dismissed: {number:,}."))
    return OK


async def _ask(installation: Connection, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return await installation.request(
        "POST", f"/v1/rejected/{what}", json=body, headers=installation.key_headers()
    )


def _pair(option: str, form: str, text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise UsageProblem(f"{option} takes {form}, such as userId=user (it is {text!r}).")
    return name, value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show_list(console: Console, reasons: Sequence[Rejection], items: Sequence[Rejection]) -> None:
    if not reasons:
        console.print("Nothing was refused in 8 days.")
        return
    console.print(f"{'open':>8}  {'24 h':>8}  {'7 days':>8}  reason", style="dim")
    for reason in reasons:
        counts = f"{reason['open']:>8,}  {reason['last_24_h']:>8,}  {reason['last_7_d']:>8,}"
        console.print(f"{counts}  {reason['code']}")
    for item in items:
        console.print()
        console.print(f"{item['id']}  {item['received_at']}  {item['code']}", style="bold")
        console.print(f"  {_said(item)}")
        console.print(f"  {_place(item)}{_sdk(item)}", style="dim")
        if item["fix"] and item["state"] == "open":
            console.print(f"  Try: footfall rejected replay {item['id']} {_options(item['fix'])}")


def _show_one(console: Console, one: Rejection) -> None:
    console.print(f"{one['id']}: {one['state']}", style="bold")
    console.print(f"  {one['code']}: {_said(one)}")
    console.print(f"  {one['received_at']}  {_place(one)}{_sdk(one)}", style="dim")
    if one["outcome"]:
        events = f" as {', '.join(one['outcome']['events'])}" if one["outcome"]["events"] else ""
        console.print(f"  {one['state']} at {one['outcome']['at']} by {one['outcome']['by']}{events}")
    console.print(one["event"] if one["event"] is not None else one["body"])
    if one["obstacle"]:
        console.print(f"{one['obstacle']['message']} {one['obstacle']['hint']}")


def _show_result(console: Console, result: Rejection) -> None:
    done = "would be accepted" if result["dry_run"] else "accepted"
    console.print(f"{result['accepted']:,} {done}, {len(result['rejected']):,} refused again.")
    for one in result["rejected"][:_SHOWN_REFUSALS]:
        console.print(f"  {one.get('id', one.get('index'))}  {one['code']}: {_said(one)}")
    if len(result["rejected"]) > _SHOWN_REFUSALS:
        console.print(f"  … and {len(result['rejected']) - _SHOWN_REFUSALS:,} more; --json has them all.")


def _said(one: Rejection) -> str:
    return f"{one['message']} {one['hint']}" if one.get("hint") else str(one["message"])


def _place(item: Rejection) -> str:
    return ", ".join(f"{name} {value}" for name, value in item["place"].items())


def _sdk(item: Rejection) -> str:
    sdk = (item["sender"] or {}).get("sdk")
    return f", sent with {sdk}" if sdk else ""


def _options(fix: Rejection) -> str:
    renames = (f"--rename {old}={new}" for old, new in fix.get("rename", {}).items())
    return " ".join((*renames, *(f"--remove {name}" for name in fix.get("remove", ()))))
