"""Segment's HTTP tracking API and what speaks it: RudderStack, Jitsu."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from admission import Fault
from ingest_api.protocols.exchange import Decoded, Item, Outcome, Reply, Request
from ingest_api.protocols.payload import object_of, objects_in, present, read_json, text_of
from lifecycle.errors import Problem

_JSON: Final = "application/json"
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


def decode(request: Request) -> Decoded:
    """The events of `/v1/<type>` and `/v1/batch`; each keeps its own time and id."""
    body = read_json(request.body)
    enclosing = object_of(body)
    last = request.path.rpartition("/")[2]
    if last in _BATCHES:
        kind, messages = None, objects_in(enclosing.get("batch"))
    else:
        kind, messages = _KINDS.get(last, last), objects_in(body)
    items = [Item(index, _event(message, kind, enclosing), message) for index, message in enumerate(messages)]
    return Decoded(text_of(enclosing.get("writeKey")), items)


def answer(request: Request, outcome: Outcome) -> Reply:
    """200 as soon as one event was taken: SDKs do not read what became of each."""
    problem = outcome.problem
    if problem is None:
        admitted = outcome.admitted
        assert admitted is not None
        if admitted.messages or not admitted.rejections:
            return Reply(200, _SUCCESS, _JSON)
        first = admitted.rejections[0]
        problem = Problem(400, first.code, first.message, field=first.field, hint=first.hint)
    said = present({"code": problem.code, "message": problem.message, "hint": problem.hint})
    return Reply(problem.status, msgspec.json.encode(said), _JSON, problem.headers)


def _event(message: object, kind: str | None, enclosing: Mapping[str, Any]) -> Mapping[str, Any] | Fault:
    if not isinstance(message, dict):
        return Fault("not_an_object", "The event is not a JSON object.")
    get = message.get
    kind = kind or get("type")
    context = {**object_of(enclosing.get("context")), **object_of(get("context"))}
    traits = {**object_of(context.get("traits")), **object_of(get("traits"))}
    properties = object_of(get("properties"))
    named = get("event") if kind == "track" else get("name")
    return present(
        {
            "type": kind,
            "action": named or None,
            "user": text_of(get("userId")),
            "anonymous_id": text_of(get("anonymousId")),
            "previous_id": text_of(get("previousId")),
            "account": text_of(get("groupId")) or text_of(context.get("groupId")),
            "id": text_of(get("messageId")),
            "time": get("timestamp") or get("originalTimestamp"),
            "sent_at": get("sentAt") or enclosing.get("sentAt"),
            "properties": properties,
            "traits": traits,
            "context": context,
        }
    )
