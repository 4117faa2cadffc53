"""What the OpenAPI document says of other vendors' routes: made of their table and of what their code answers."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final

import msgspec

from admission import Admitted, BodyRefused
from eventmodel import Rejection
from ingest_api.protocols.examples import EXAMPLES, Example
from ingest_api.protocols.exchange import Call, Outcome, Reply, Request
from ingest_api.protocols.table import MOUNT, Row, Table
from lifecycle.errors import Problem

_PROBLEMS: Final = (
    Problem(400, "invalid_json", "The body is not JSON."),
    Problem(401, "unauthenticated", "This key is unknown or was revoked."),
    Problem(403, "token_cannot_send", "A stream token may only read."),
    Problem(413, "body_too_large", "The body is too large."),
    Problem(415, "unsupported_encoding", "The Content-Encoding is not known."),
    Problem(429, "too_many_events", "The project sends more than it may."),
    Problem(503, "log_unavailable", "The log does not answer."),
)
_REJECTION: Final = Rejection(index=0, code="missing_action", message="The event has no `action`.")
_MEANINGS: Final = {
    200: "As the vendor answers.",
    400: "No event was accepted, or the body cannot be read.",
    401: "No key, or an unknown one.",
    403: "A stream token, which may only read.",
    413: "The body is too large, or holds too many events.",
    415: "The Content-Encoding is not known.",
    429: "The project sends more than it may; Retry-After says when to go on.",
    503: "Not stored in time; send the same again after Retry-After.",
}


@cache
def vendor_paths() -> dict[str, Any]:
    """An entry for every path of the table, under its own name and below `/compat/<vendor>`.

    Where several vendors have a path, one operation tells of them all.
    """
    paths: dict[str, Any] = {}
    for path, row in Table().routes():
        for method in row.methods:
            operations = paths.setdefault(path, {})
            _add(operations.setdefault(method.lower(), _operation(path, method)), path, method, row)
    return paths


def example_of(row: Row, method: str, path: str) -> Example | None:
    """The example of this path, else one of the same row."""
    plain = path.removeprefix(f"{MOUNT}/{row.vendor}")
    of_row = [
        each
        for each in EXAMPLES
        if each.vendor == row.vendor and each.method == method and each.route in row.paths
    ]
    return next((each for each in of_row if each.route == plain), of_row[0] if of_row else None)


def _operation(path: str, method: str) -> dict[str, Any]:
    names = [segment.strip("{").partition("}")[0] for segment in path.split("/") if "{" in segment]
    return {
        "summary": "",
        "description": "",
        "operationId": f"{method.lower()}{path}".replace("/", "_").replace("{", "").replace("}", ""),
        "tags": [],
        "security": [{"bearer": []}, {"basic": []}, {"query": []}, {}],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "responses": {},
    }


def _add(operation: dict[str, Any], path: str, method: str, row: Row) -> None:
    """Say what this vendor does here; the key may stand wherever its SDKs put it, so none is required."""
    if row.vendor in operation["tags"]:
        return
    operation["tags"].append(row.vendor)
    does = "answers an SDK's question" if isinstance(row.speaks, Call) else "takes events"
    operation["summary"] = f"As {' and '.join(operation['tags'])}: {does}"
    told = row.speaks.answer if isinstance(row.speaks, Call) else row.speaks.decode
    operation["description"] += f"**{row.vendor}**: {(told.__doc__ or '').strip()}\n"
    example = example_of(row, method, path)
    if example is not None and example.query:
        operation["description"] += f"For example `{method} {path}?{example.query}`.\n"
    if method != "GET":
        _add_body(operation, row, example)
    for reply in _replies(row, method, path, example):
        _add_reply(operation["responses"], row.vendor, reply)


def _add_body(operation: dict[str, Any], row: Row, example: Example | None) -> None:
    body = operation.setdefault("requestBody", {"content": {}})
    if example is None or example.body is None:
        body["content"].setdefault("application/json", {"schema": {}})
        return
    content = body["content"].setdefault(example.media_type, {"schema": {}, "examples": {}})
    content.setdefault("examples", {})[row.vendor] = {"value": example.body}


def _replies(row: Row, method: str, path: str, example: Example | None) -> Iterator[Reply]:
    """What the vendor's code says to each outcome of the example, and of a request that asks for nothing."""
    for asked in (example, None):
        request = _request(row, method, path, asked)
        if isinstance(row.speaks, Call):
            with suppress(BodyRefused):
                yield row.speaks.answer(request)
            for problem in _PROBLEMS:
                yield Reply(problem.status, problem.message.encode(), "text/plain; charset=utf-8")
            continue
        yield row.speaks.answer(request, Outcome(Admitted()))
        yield row.speaks.answer(request, Outcome(Admitted(rejections=[_REJECTION], rejected_bodies=[None])))
        for problem in _PROBLEMS:
            yield row.speaks.answer(request, Outcome(None, problem))


def _request(row: Row, method: str, path: str, example: Example | None) -> Request:
    plain = path.removeprefix(f"{MOUNT}/{row.vendor}")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": "https",
        "query_string": b"" if example is None else example.query.encode(),
        "headers": [(b"host", b"footfall.example")],
    }
    names = [segment.strip("{").partition("}")[0] for segment in plain.split("/") if "{" in segment]
    body = b"" if example is None else example.content()
    return Request(scope, row.vendor, plain, dict.fromkeys(names, "ffw_…"), body)


def _add_reply(responses: dict[str, Any], vendor: str, reply: Reply) -> None:
    status = str(reply.status)
    response = responses.setdefault(
        status, {"description": _MEANINGS.get(reply.status, "As the vendor answers."), "content": {}}
    )
    media_type = reply.media_type.partition(";")[0]
    content = response["content"].setdefault(media_type, {})
    shown = _shown(reply)
    if shown is not None:
        content.setdefault("examples", {}).setdefault(vendor, {"value": shown})


def _shown(reply: Reply) -> Any:
    media_type = reply.media_type.partition(";")[0]
    if media_type == "application/json" and reply.body:
        return msgspec.json.decode(reply.body)
    return reply.body.decode() if media_type.startswith("text/") else None
