"""The forms of events, answers and errors, as the OpenAPI document shows them."""

from typing import Any, Final

from admission.limits import MAX_ACTION_CHARS, MAX_ID_CHARS

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
_EVENT: Final[dict[str, Any]] = {
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
_ALL_REJECTED: Final = {
    "type": "object",
    "required": ["accepted", "rejected", "code", "message"],
    "properties": {**_ANSWER["properties"], **_ERROR["properties"]},  # type: ignore[dict-item]  # literals above
}
SCHEMAS: Final[dict[str, Any]] = {
    "Event": _EVENT,
    "Error": _ERROR,
    "Rejection": _REJECTION,
    "Answer": _ANSWER,
    "AllRejected": _ALL_REJECTED,
}
