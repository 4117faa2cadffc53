"""Segment's HTTP tracking API, and what speaks it: RudderStack, Jitsu. docs/migrating/segment.md says the rules."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from admission import BodyRefused, Fault
from ingest_api.protocols.exchange import Decoded, Item, Outcome, Reply, Request
from ingest_api.protocols.payload import (
    id_of,
    object_of,
    objects_in,
    present,
    read_base64,
    read_json,
    text_of,
    time_of,
    with_extra,
)
from lifecycle.errors import Problem

PIXEL_KINDS: Final = ("identify", "track", "page", "screen", "group", "alias")
JSON: Final = "application/json"
_SUCCESS: Final = b'{"success":true}'
_KINDS: Final[Mapping[str, str]] = {
    "i": "identify",
    "t": "track",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
}
_BATCHES: Final = frozenset({"b", "batch", "import"})
# What becomes a field of the event, and what is the sender's bookkeeping; the rest is kept in context.extra.
_TAKEN: Final = frozenset(
    {
        *("type", "event", "name", "category", "userId", "anonymousId", "previousId", "groupId", "messageId"),
        *("timestamp", "originalTimestamp", "sentAt", "receivedAt", "properties", "traits", "context"),
        *("integrations", "_metadata", "writeKey"),
    }
)
_MAX_DOTS: Final = 8
_CACHED: Final = {"cache-control": "public, max-age=3600"}


def decode(request: Request) -> Decoded:
    """The events of `/v1/<type>` and `/v1/batch`; each keeps its own time and id. Raises BodyRefused."""
    body = read_json(request.body)
    kind, messages = messages_in(request, body)
    enclosing = object_of(body)
    return Decoded(text_of(enclosing.get("writeKey")), items_of(messages, kind, enclosing))


def messages_in(request: Request, body: Any) -> tuple[str | None, Sequence[Any]]:
    """The messages of a body, and the kind that its path gives them all; None for a batch. Raises BodyRefused."""
    last = request.path.rpartition("/")[2]
    if last in _BATCHES:
        return None, _batch(body)
    return _KINDS.get(last, last), objects_in(body)


def decode_pixel(request: Request) -> Decoded:
    """The event of an image's address: `data`, base64 of its JSON, or its fields under dotted names."""
    data = request.query.get("data")
    if data:
        message = object_of(read_json(data.encode() if data.lstrip()[:1] == "{" else read_base64(data)))
    else:
        message = _undotted(request.query)
    kind = request.path.rpartition("/")[2]
    return Decoded(text_of(message.get("writeKey")), items_of([message], kind, {}))


def items_of(messages: Sequence[Any], kind: str | None, enclosing: Mapping[str, Any]) -> list[Item]:
    """An item a message. `kind` is the path's, None where each message says its `type`.

    `enclosing` is the object around a batch, whose context and sending time its messages share.
    """
    shared = object_of(enclosing.get("context"))
    sent_at = enclosing.get("sentAt")
    return [
        Item(index, event_of(message, kind, shared, sent_at), message)
        for index, message in enumerate(messages)
    ]


def event_of(
    message: object, kind: str | None, shared: Mapping[str, Any], sent_at: object
) -> Mapping[str, Any] | Fault:
    """The native event of one message; `shared` is the context and `sent_at` the time it lacks itself."""
    if not isinstance(message, dict):
        return Fault("not_an_object", "The event is not a JSON object.")
    get = message.get
    kind = kind or get("type")
    context = object_of(get("context"))
    if shared:
        context = {**shared, **context}
    properties, traits = get("properties"), get("traits")
    if kind == "identify":
        if context.get("traits"):
            traits = {**object_of(context["traits"]), **object_of(traits)}
            context = {name: value for name, value in context.items() if name != "traits"}
    elif kind in ("page", "screen"):
        named = present({"category": get("category"), "name": get("name")})
        if named:
            properties = {**named, **object_of(properties)}
    if not _TAKEN.issuperset(message):
        context = with_extra(context, {name: value for name, value in message.items() if name not in _TAKEN})
    return present(
        {
            "type": kind,
            "action": get("event") if kind == "track" or kind is None else get("name") or None,
            "user": id_of(get("userId")),
            "anonymous_id": id_of(get("anonymousId")),
            "previous_id": id_of(get("previousId")),
            "account": id_of(get("groupId")) or id_of(context.get("groupId")),
            "id": id_of(get("messageId")),
            "time": time_of(get("timestamp") or get("originalTimestamp")),
            "sent_at": time_of(get("sentAt") or sent_at),
            "properties": properties or None,
            "traits": traits or None,
            "context": context or None,
        }
    )


def answer(request: Request, outcome: Outcome) -> Reply:
    """200 as soon as one event was taken: SDKs do not read what became of each."""
    problem = outcome.refusal()
    return Reply(200, _SUCCESS, JSON) if problem is None else answer_problem(problem)


def answer_problem(problem: Problem) -> Reply:
    """The problem as Segment's SDKs read it: an object with a code and a message."""
    said = present(
        {"code": problem.code, "message": problem.message, "field": problem.field, "hint": problem.hint}
    )
    return Reply(problem.status, msgspec.json.encode(said), JSON, problem.headers)


def forget(_: Request) -> Reply:
    """What the browser SDK measures of itself is of no use here, and it stops asking once it has an answer."""
    return Reply(200, _SUCCESS, JSON)


def settings(request: Request) -> Reply:
    """What the browser SDK loads before it sends anything: where to send, with which key, and no other vendor."""
    scheme, _, host = request.origin.partition("://")
    api_host = f"{host}/v1"
    segment = {
        "apiKey": request.parameters["writeKey"],
        "apiHost": api_host,
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
        "httpConfig": {
            "backoffConfig": {"maxRetryCount": 10, "maxBackoffInterval": 60},
            "rateLimitConfig": {"maxRetryInterval": 300},
        },
    }
    if scheme == "http":
        segment["protocol"] = "http"
    allowed = {"__default": {"enabled": True}}
    said = {
        # A second integration would make the SDK load its script from the vendor.
        "integrations": {"Segment.io": segment},
        "plan": {"track": allowed, "identify": allowed, "group": allowed},
        # Without a host the SDK reports to its vendor.
        "metrics": {"sampleRate": 0, "host": api_host},
        "enabledMiddleware": {},
        "remotePlugins": [],
        "analyticsNextEnabled": True,
    }
    return Reply(200, msgspec.json.encode(said), JSON, _CACHED)


def script(request: Request) -> Reply:
    """The browser SDK itself is not ours to serve."""
    problem = Problem(
        404,
        "script_not_served",
        "Footfall does not serve Segment's script.",
        hint="Bundle @segment/analytics-next, or serve its dist/umd yourself, and load it with "
        f'cdnURL: "{request.origin}" and writeKey: "{quote(request.parameters["writeKey"])}".',
    )
    return answer_problem(problem)


def _batch(body: Any) -> Sequence[Any]:
    messages = body if isinstance(body, list) else object_of(body).get("batch")
    if not isinstance(messages, list):
        raise BodyRefused(
            "malformed",
            "missing_batch",
            "The body has no `batch`.",
            'Send {"batch": [{"type": "track", …}]}.',
        )
    return objects_in(messages)


def _undotted(fields: Mapping[str, str]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for name, value in fields.items():
        *outer, last = name.split(".", _MAX_DOTS)
        place = message
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place[last] = value
    return message
