"""What `footfall up` says once everything answers: to people, to scripts, and in the ready file."""

import os
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from footfall.installation import write_whole
from footfall.launch import Ready
from footfall.outcomes import answer

_EVENT: Final = '{"user": "ada@acme.example", "action": "opened report", "account": "acme"}'


async def announce(ready: Ready, *, as_json: bool, ready_file: Path | None) -> None:
    """Write the ready file, then print; raises StartError when the file cannot be written."""
    facts = {
        "url": ready.url,
        "login_url": ready.login_url,
        "project": ready.main.project,
        "write_key": ready.main.write_key,
        "secret_key": ready.main.secret_key,
        "demo": None if ready.demo is None else {"project": ready.demo.project},
        "pid": os.getpid(),
    }
    if ready_file is not None:
        write_whole(ready_file, msgspec.json.encode(facts))
    answer(as_json, facts, lambda console: _show(console, ready))


def _show(console: Console, ready: Ready) -> None:
    main = ready.main
    console.print("Footfall is up.", style="bold green")
    for name, value in (
        ("pages", f"{ready.login_url}   (works once; for another: footfall login)"),
        ("project", f"{main.project} (main)"),
        ("write key", f"{main.write_key}   (may only send: for browsers and apps)"),
        ("secret key", f"{main.secret_key}   (reads and administers: keep it on servers)"),
    ):
        console.print(f"  {name:<12}", style="bold", end="")
        console.print(value)
    console.print("\nSend an event:", style="bold")
    console.print(f"  curl {ready.url}/v1/events -H 'Authorization: Bearer {main.write_key}' -d '{_EVENT}'")
    console.print("Watch the stream:", style="bold")
    console.print(f"  curl -N {ready.url}/v1/stream -H 'Authorization: Bearer {main.secret_key}'")
    if ready.demo is not None:
        console.print("\nThe demo runs beside it:", style="bold")
        console.print(
            f"  project {ready.demo.project} (demo): an invented company's customers, thirty days and live. The pages "
            "open with\n  it until your own project has its first event. Without: footfall up, or make run DEMO=0"
        )
    console.print("\nCtrl-C stops everything.", style="dim")
