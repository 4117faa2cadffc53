"""What the OpenAPI document says of the routes that are plain ASGI."""

from typing import Any, Final

from admission.limits import MAX_EVENTS
from ingest_api.openapi_schemas import SCHEMAS
from ingest_api.openapi_vendors import vendor_paths

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
    components.setdefault("schemas", {}).update(SCHEMAS)
    components.setdefault("securitySchemes", {}).update(
        {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A write key or a secret key."},
            "basic": {"type": "http", "scheme": "basic", "description": "The key as user name."},
            "query": {"type": "apiKey", "in": "query", "name": "key", "description": "For beacon and pixel."},
        }
    )
    schema.setdefault("paths", {}).update(
        {
            "/v1/events": {"post": _events()},
            "/v1/events/": {"post": {**_events(), "operationId": "send_events_slash"}},
            "/t.gif": {"get": _pixel(), "post": _pixel_body()},
            "/js/footfall.js": _file("The browser client as a script", "text/javascript"),
            "/js/footfall.mjs": _file("The browser client as an ES module", "text/javascript"),
            "/js/totango.js": _file("What stands in for Totango's script", "text/javascript"),
            "/js/footfall.d.mts": _file("The module's TypeScript declarations", "text/plain"),
            "/openapi.json": _file("This document", "application/json"),
            **vendor_paths(),
        }
    )
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
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "examples": {
                        "lines": {
                            "summary": "An event a line",
                            "value": '{"user": "ada", "action": "opened report"}\n{"user": "bob", "action": "left"}\n',
                        }
                    },
                },
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
            "400": _all_rejected(),
            **_KEY_ERRORS,
            "413": _error(
                "The body is too large, decoded or not, or holds too many events.",
                "body_too_large",
                "The body has more than 20,971,520 bytes.",
            ),
            "415": _error(
                "The Content-Encoding is not known.",
                "unsupported_encoding",
                "The Content-Encoding is `lzma`.",
            ),
            **_LATER_ERRORS,
        },
    }


def _pixel() -> dict[str, Any]:
    names = ["key", "user", "action", "account", "anonymous_id", "id", "time", "type", "data"]
    examples = {"user": "ada@acme.example", "action": "opened mail"}
    return {
        "summary": "Send one event with an image",
        "description": "`p.<name>` are properties, `t.<name>` traits; `data` holds the whole event instead, as JSON "
        "or base64 of JSON. Always an image: 200 also for what was refused.",
        "operationId": "send_pixel",
        "security": [{"query": []}, {"bearer": []}, {"basic": []}],
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            | ({"example": examples[name]} if name in examples else {})
            for name in names
        ],
        "responses": {
            "200": _image("The image."),
            "429": _image("The project sends more than it may; Retry-After says when to go on."),
            "503": _image("Not stored in time; send it again after Retry-After."),
        },
    }


def _pixel_body() -> dict[str, Any]:
    form = {"user": "ada@acme.example", "action": "opened mail", "p.campaign": "autumn"}
    return {
        **_pixel(),
        "summary": "Send one event and be answered with an image",
        "operationId": "post_pixel",
        "parameters": [],
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                    "examples": {"form": {"value": form}},
                },
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Event"},
                    "examples": {"one": {"value": _ONE}},
                },
            }
        },
    }


def _file(summary: str, media_type: str) -> dict[str, Any]:
    name = summary.lower().replace(" ", "_").replace("'", "")
    return {
        "get": {
            "summary": summary,
            "operationId": f"get_{name}",
            "security": [{}],
            "responses": {"200": {"description": f"{summary}.", "content": {media_type: {}}}},
        }
    }


def _image(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"image/gif": {}}}


def _all_rejected() -> dict[str, Any]:
    """Of the answer's two forms: every event was rejected, or there was nothing to tell events apart in."""
    rejection = {
        "index": 0,
        "code": "missing_action",
        "message": "The event has no `action`.",
        "field": "action",
    }
    told = {name: rejection[name] for name in ("code", "message", "field")}
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in ("AllRejected", "Error")]
    examples = {
        "all_rejected": {"value": {"accepted": 0, "rejected": [rejection], **told}},
        "invalid_json": {"value": {"code": "invalid_json", "message": "The body is not JSON."}},
    }
    return {
        "description": "Every event was rejected, or the body is not JSON.",
        "content": {"application/json": {"schema": {"anyOf": schemas}, "examples": examples}},
    }


def _answer(description: str, example: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Answer"}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _error(description: str, code: str, message: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    example = {"code": code, "message": message}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


_KEY_ERRORS: Final = {
    "401": _error("No key, or an unknown one.", "unauthenticated", "This key is unknown or was revoked."),
    "403": _error(
        "A stream token, which may only read.", "token_cannot_send", "A stream token may only read."
    ),
}
_LATER_ERRORS: Final = {
    "429": _error(
        "The project sends more than it may; Retry-After says when to go on.",
        "rate_limited",
        "The project sends more events than it may.",
    ),
    "503": _error(
        "Not stored in time; after Retry-After send the same request again: the same ids count once.",
        "log_unavailable",
        "The log does not answer.",
    ),
}
