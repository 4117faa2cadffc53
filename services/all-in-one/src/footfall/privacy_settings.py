"""`footfall project privacy`: what a project keeps of whom."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from rich.console import Console

from footfall.administration import find_project
from footfall.connection import connect
from footfall.outcomes import OK, answer


async def change_privacy(
    named: str,
    change: Mapping[str, Any],
    data: Path | None,
    environ: Mapping[str, str],
    *,
    as_json: bool,
) -> int:
    """Change what is given, and show the rules as they are then."""
    async with connect(data, environ) as installation:
        project = await find_project(installation, named)
        path = f"/v1/projects/{quote(project, safe='')}"
        options = {"headers": installation.admin_headers()}
        if change:
            found = await installation.request("PATCH", path, json={"privacy": dict(change)}, **options)
        else:
            found = await installation.request("GET", path, **options)
    rules = found["privacy"]

    def show(console: Console) -> None:
        console.print(yaml.safe_dump(rules, sort_keys=False, allow_unicode=True, width=100), end="")

    answer(as_json, {"project": project, "privacy": rules}, show)
    return OK
