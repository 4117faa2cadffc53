"""What the OpenAPI document says beyond what FastAPI finds by itself: credentials, parameters, errors, examples."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

_ERROR: Final = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "description": "Stable, for programs."},
        "message": {"type": "string", "description": "What is wrong, for people."},
        "field": {"type": "string", "description": "Where, in the caller's own names."},
        "hint": {"type": "string", "description": "What to do."},
        "docs": {"type": "string"},
    },
}
_UNAUTHENTICATED: Final = {
    "code": "unauthenticated",
    "message": "This needs a key, a token or a login, and the request carries none.",
}
_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A secret key; for reading also a stream token; for projects the admin token.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "The key as user name or password."},
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A stream token, for reading.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "footfall_session",
        "description": "A login; requests then name the project: `?project=`.",
    },
}
_TEXT: Final = {"type": "string"}
_PARAMETERS: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "account": (_TEXT, "Only of this account."),
    "user": (_TEXT, "Only of this user."),
    "anonymous_id": (_TEXT, "Only of this visitor."),
    "action": (_TEXT, "Only this action."),
    "origin": ({"enum": ["live", "import", "replay"]}, "Only events that came this way."),
    "from": ({"type": "string", "format": "date"}, "The first day, of the project's zone."),
    "to": ({"type": "string", "format": "date"}, "The last day."),
    "before": (_TEXT, "What `next` of the answer before said, or a time."),
    "after": (_TEXT, "What `next` of the answer before said."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}, "How many at most."),
    "search": (_TEXT, "Part of the id or name, in either case."),
    "sort": (_TEXT, "By which field."),
    "order": ({"enum": ["asc", "desc"]}, "In which order."),
    "days": ({"type": "integer", "minimum": 1, "maximum": 366}, "Compare so many days with those before."),
    "hours": (
        {"type": "integer", "minimum": 1, "maximum": 2160, "default": 24},
        "Account for so many hours, the current one included.",
    ),
    "key": (_TEXT, "Only what was sent with the key of this public id."),
    "sdk": (_TEXT, "Only what was sent by this SDK."),
    "code": (_TEXT, "Only of this reason."),
    "source": (_TEXT, "Only what was refused in `ingest`, `import` or `consumer`."),
    "state": ({"enum": ["open", "replayed", "dismissed"]}, "Only what has come so far."),
    "topic": ({"enum": ["activity", "actions", "signals", "rejected"]}, "Which stream; activity by default."),
    "cursor": (_TEXT, "Go on after this; as the header Last-Event-ID."),
    "project": (_TEXT, "The project, with a login."),
}
_COUNTED: Final = ("from", "to", "account", "user", "anonymous_id", "action", "project")
_LISTED: Final = ("search", "sort", "order", "after", "limit", "project")
_TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "/v1/stream": ("account", "user", "action", "key", "sdk", "topic", "origin", "cursor", "project"),
    "/v1/pulse": ("project",),
    "/v1/pulse/minutes": ("project",),
    "/v1/pulse/days": _COUNTED,
    "/v1/pulse/hours": _COUNTED,
    "/v1/activity": ("account", "user", "anonymous_id", "action", "origin", "before", "limit", "project"),
    "/v1/activity/{event_id}": ("project",),
    "/v1/accounts": (*_LISTED, "days"),
    "/v1/accounts/{account}": ("days", "project"),
    "/v1/users": _LISTED,
    "/v1/users/{user}": ("days", "project"),
    "/v1/visitors/{anonymous_id}": ("days", "project"),
    "/v1/sources": ("hours", "project"),
    "/v1/forgotten": ("limit", "project"),
    "/v1/rejected": ("code", "source", "state", "before", "limit", "project"),
}
_ALL_REJECTED: Final = {"code": "missing_action"}
EXAMPLES: Final[Mapping[tuple[str, str], Any]] = {
    ("post", "/v1/projects"): {"name": "shop"},
    ("patch", "/v1/projects/{project}"): {"time_zone": "Europe/Berlin", "trial_actions": ["signed up"]},
    ("post", "/v1/projects/{project}/keys"): {"kind": "write", "label": "web site"},
    ("post", "/v1/logins"): {"expires_in_s": 900},
    ("post", "/v1/tokens"): {"account": "acme", "expires_in_s": 3600},
    ("post", "/v1/rejected/replay"): {**_ALL_REJECTED, "rename": {"event": "action"}, "dry_run": True},
    ("post", "/v1/rejected/dismiss"): _ALL_REJECTED,
    ("post", "/v1/rejected/{rejection_id}/replay"): {"dry_run": True},
}
_STREAM: Final[dict[str, Any]] = {
    "summary": "Stream",
    "description": "Server-sent events, live or after a cursor: `activity` or what `topic` says, `gap`, `hb`, `bye`.",
    "operationId": "stream",
    "responses": {
        "200": {
            "description": "The stream.",
            "content": {
                "text/event-stream": {
                    "schema": _TEXT,
                    "example": 'event: activity\ndata: {"user":"ada","action":"opened report"}\n\nid: …\n\n',
                }
            },
        }
    },
}


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """The document with what is missing in it."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Error"] = _ERROR
    components["securitySchemes"] = _SCHEMES
    paths = schema["paths"]
    paths["/v1/stream"] = {"get": deepcopy(_STREAM)}
    for path, operations in paths.items():
        for method, operation in operations.items():
            _complete(operation, method, path)
    return schema


def _taken(method: str, path: str) -> tuple[str, ...]:
    """The names of the parameters in a route's query."""
    if method == "get" and path in _TAKES:
        return _TAKES[path]
    return () if path.startswith("/v1/projects") else ("project",)


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    reads = method == "get" and path in _TAKES
    operation["security"] = [{name: []} for name in _SCHEMES if name != "token" or reads]
    operation["tags"] = [path.split("/")[2]]
    operation.setdefault("parameters", []).extend(
        {"name": name, "in": "query", "schema": _PARAMETERS[name][0], "description": _PARAMETERS[name][1]}
        for name in _taken(method, path)
    )
    responses = operation["responses"]
    # What FastAPI would answer there, this app answers in the contract.
    responses.pop("422", None)
    responses["default"] = {
        "description": "Why it was not done.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": _UNAUTHENTICATED,
            }
        },
    }
    example = EXAMPLES.get((method, path))
    if example is not None:
        body = operation.setdefault("requestBody", {"content": {"application/json": {"schema": {}}}})
        body["content"]["application/json"]["examples"] = {"one": {"value": example}}
