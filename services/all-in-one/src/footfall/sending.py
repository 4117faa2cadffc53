"""`footfall event`: send one event, as a backend would."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from footfall.connection import connect
from footfall.outcomes import OK, CommandFailed, UsageProblem, answer


async def send_event(
    event: Mapping[str, Any], data: Path | None, environ: Mapping[str, str], *, as_json: bool
) -> int:
    """Send the event and say that it is stored; raises CommandFailed with the reason when it is rejected."""
    async with connect(data, environ) as installation:
        result = await installation.request(
            "POST", "/v1/events", json=event, headers=installation.key_headers()
        )
    for rejection in result["rejected"]:
        raise CommandFailed(f"The event was rejected ({rejection['code']}): {rejection['message']}")
    answer(as_json, result, lambda console: console.print("Accepted: the event is stored."))
    return OK


def event_of(
    user: str, action: str, fields: Mapping[str, str | None], pairs: Sequence[str]
) -> dict[str, Any]:
    """The body of one event; `pairs` are NAME=VALUE, a value that reads as JSON is that. Raises UsageProblem."""
    event: dict[str, Any] = {"user": user, "action": action}
    event.update({name: value for name, value in fields.items() if value is not None})
    if pairs:
        event["properties"] = dict(_property(pair) for pair in pairs)
    return event


def _property(pair: str) -> tuple[str, Any]:
    name, separator, text = pair.partition("=")
    if not separator or not name:
        raise UsageProblem(f"--property takes NAME=VALUE, such as plan=pro (it is {pair!r}).")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text
