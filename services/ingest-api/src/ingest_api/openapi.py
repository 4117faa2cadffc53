"""What the OpenAPI document says of the routes that are plain ASGI."""

from typing import Any, Final

from admission.limits import MAX_ACTION_CHARS, MAX_EVENTS, MAX_ID_CHARS

_ID: Final = {
    "type": ["string", "number", "null"],
    "maxLength": MAX_ID_CHARS,
}
_OBJECT: Final = {"type": ["object", "null"], "additionalProperties": True}
_TIME: Final = {
    "type": ["string", "number", "null"],
    "description": "ISO 8601 with Z or an offset, or Unix seconds or milliseconds.",
    "examples": ["2026-11-22T09:30:00Z"],
}
EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What somebody did. `action` is required for `track`; null means missing; fields that are not "
    "listed are kept in `context.extra`, unless they look like a misspelt field.",
    "properties": {
        "user": {**_ID, "description": "Who, in your own ids.", "examples": ["ada@acme.example"]},
        "action": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": MAX_ACTION_CHARS,
            "description": "What they did.",
            "examples": ["opened report"],
        },
        "account": {**_ID, "description": "The customer they belong to.", "examples": ["acme"]},
        "time": {**_TIME, "description": f"When; now when missing. {_TIME['description']}"},
        "id": {**_ID, "description": "The same id of the same user counts once, however often it is sent."},
        "type": {
            "enum": ["track", "identify", "group", "page", "screen", "alias", None],
            "description": "`track` when missing.",
        },
        "properties": {**_OBJECT, "description": "What belongs to this event."},
        "traits": {**_OBJECT, "description": "What is known of the user or, in `group`, of the account."},
        "context": {**_OBJECT, "description": "Where it happened: page, device, campaign."},
        "anonymous_id": {**_ID, "description": "Who, before they are known."},
        "previous_id": {**_ID, "description": "In `alias`: the id that becomes part of `user`."},
        "sent_at": {**_TIME, "description": "Your clock when sending; corrects `time` when it is wrong."},
    },
    "additionalProperties": True,
}
_ERROR: Final = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "field": {"type": "string"},
        "hint": {"type": "string"},
        "docs": {"type": "string"},
    },
}
_REJECTION: Final = {
    **_ERROR,
    "required": ["index", "code", "message"],
    "properties": {"index": {"type": "integer", "minimum": 0}, **_ERROR["properties"]},  # type: ignore[dict-item]  # a literal above
}
_ANSWER: Final = {
    "type": "object",
    "required": ["accepted", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "description": "Events that are stored durably."},
        "rejected": {"type": "array", "items": {"$ref": "#/components/schemas/Rejection"}},
    },
}
_ONE: Final = {
    "user": "ada@acme.example",
    "action": "opened report",
    "account": "acme",
    "time": "2026-11-22T09:30:00Z",
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "properties": {"report": "churn"},
}


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """The document with the hot paths added to it."""
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(
        {"Event": EVENT, "Error": _ERROR, "Rejection": _REJECTION, "Answer": _ANSWER}
    )
    components.setdefault("securitySchemes", {}).update(
        {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A write key or a secret key."},
            "basic": {"type": "http", "scheme": "basic", "description": "The key as user name."},
            "query": {"type": "apiKey", "in": "query", "name": "key", "description": "For beacon and pixel."},
        }
    )
    schema.setdefault("paths", {}).update({"/v1/events": {"post": _events()}, "/t.gif": {"get": _pixel()}})
    return schema


def _events() -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    return {
        "summary": "Send events",
        "description": f"One object, an array or NDJSON, at most {MAX_EVENTS:,} events and 20 MiB. The first byte "
        "decides, not the Content-Type. gzip, deflate, zstd and br are accepted. A 200 means that every accepted "
        "event survives a crash.",
        "operationId": "send_events",
        "security": [{"bearer": []}, {"basic": []}, {"query": []}],
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 255},
                "description": "Derives the ids that the events lack, so that a repeated request counts once.",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [event, {"type": "array", "items": event, "maxItems": MAX_EVENTS}]},
                    "examples": {
                        "one": {"summary": "One event", "value": _ONE},
                        "several": {
                            "summary": "Several events",
                            "value": [_ONE, {"user": "bob", "action": "invited a colleague"}],
                        },
                    },
                },
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": _answer(
                "Stored durably, apart from what is listed in `rejected`.",
                {
                    "accepted": 1,
                    "rejected": [
                        {
                            "index": 1,
                            "code": "missing_action",
                            "message": "The event has no `action`.",
                            "field": "action",
                            "hint": 'You sent "event": call it "action".',
                        }
                    ],
                },
            ),
            "400": _error("Every event was rejected, or the body is not JSON."),
            "401": _error("No key, or an unknown one."),
            "403": _error("A stream token, which may only read."),
            "413": _error("The body is too large, decoded or not, or holds too many events."),
            "415": _error("The Content-Encoding is not known."),
            "429": _error("The project sends more than it may; Retry-After says when to go on."),
            "503": _error(
                "Not stored in time; after Retry-After send the same request again: the same ids count once."
            ),
        },
    }


def _pixel() -> dict[str, Any]:
    names = ["key", "user", "action", "account", "anonymous_id", "id", "time", "type", "data"]
    return {
        "summary": "Send one event with an image",
        "description": "`p.<name>` are properties, `t.<name>` traits; `data` holds the whole event instead, as JSON "
        "or base64 of JSON. Always an image.",
        "operationId": "send_pixel",
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "The image.", "content": {"image/gif": {}}}},
    }


def _answer(description: str, example: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Answer"}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _error(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
