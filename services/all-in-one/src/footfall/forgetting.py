"""`footfall user forget`: asks for it, waits for every service, and prints the receipt."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console

from footfall.connection import connect
from footfall.outcomes import FAILED, OK, CommandFailed, answer

_ASK_EVERY_S: Final = 0.5


async def forget_user(
    user: str,
    project: str | None,
    data: Path | None,
    environ: Mapping[str, str],
    *,
    wait_s: int,
    as_json: bool,
) -> int:
    """Forget the user; FAILED while something remains. Raises CommandFailed when it is not done in time."""
    async with connect(data, environ) as installation:
        options: dict[str, Any] = {"headers": installation.key_headers()}
        if project is not None:
            options["params"] = {"project": project}
        receipt = await installation.request("DELETE", f"/v1/users/{quote(user, safe='')}", **options)
        path = f"/v1/forgotten/{receipt['id']}"
        try:
            async with asyncio.timeout(wait_s):
                while receipt["state"] == "removing":
                    await asyncio.sleep(_ASK_EVERY_S)
                    receipt = await installation.request("GET", path, **options)
        except TimeoutError as error:
            raise CommandFailed(
                f"Request {receipt['id']} is not done after {wait_s} s. It goes on; it waits for: "
                f"{', '.join(receipt['waits_for']) or 'the search for what is left'}. Ask again at {path}."
            ) from error
    answer(as_json, receipt, lambda console: _show(console, receipt))
    return OK if receipt["state"] == "done" else FAILED


def _show(console: Console, receipt: Mapping[str, Any]) -> None:
    console.print(f"Request {receipt['id']} by {receipt['requested_by']}", style="bold")
    console.print(f"  SHA-256 of the user: {receipt['user_sha256']}")
    console.print(f"  asked {receipt['requested_at']}, done {receipt['finished_at']}")
    console.print(f"  ids of the person: {receipt['ids']}")
    console.print(f"{'removed':>10}  {'left':>6}  table", style="dim")
    left = receipt["left"]
    for table in sorted({*receipt["removed"], *left}):
        console.print(f"{receipt['removed'].get(table, 0):>10,}  {left.get(table, 0):>6,}  {table}")
    if receipt["shared_ids"]:
        console.print(
            f"{receipt['shared_ids']} of the ids are also other users', such as shared devices: "
            "they stay in those users' events."
        )
    if receipt["log"] == "retention":
        console.print(
            f"Kafka deletes by age alone: records of the person stay there for up to {receipt['log_days']} "
            "days (what rules did, 30), and nothing shows or counts them."
        )
    if receipt["state"] == "done":
        console.print("Nothing of the person is left.")
        return
    tables = ", ".join(sorted(table for table, number in left.items() if number))
    console.print(
        f"The id still stands in {tables}: where events, rejected events or rules of others name it. "
        "Forget or mend those, and ask again."
    )
