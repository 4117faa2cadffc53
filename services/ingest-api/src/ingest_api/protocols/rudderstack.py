"""RudderStack, where it differs from Segment: `merge`, what stands in headers, its settings call."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from admission import BodyRefused
from ingest_api.protocols import segment
from ingest_api.protocols.exchange import Decoded, Item, Reply, Request
from ingest_api.protocols.payload import object_of, present, read_base64, read_json

_OFF: Final = {"enabled": False}


def is_meant(request: Request) -> bool:
    """Whether the browser SDK sent it: its headers stand on no other vendor's requests."""
    return bool(request.header(b"anonymousid") or request.header(b"sentat"))


def decode(request: Request) -> Decoded:
    """As Segment's; a `merge` is an alias, and the headers say what an event leaves out. Raises BodyRefused."""
    body = read_json(request.body)
    kind, messages = segment.messages_in(request, body)
    enclosing = present({"sentAt": request.header(b"sentat") or None}) | object_of(body)
    if kind in (None, "merge"):
        messages = [_alias(message, kind) for message in messages]
        kind = kind and "alias"
    items = segment.items_of(messages, kind, enclosing)
    anonymous_id = _anonymous_id(request)
    return Decoded(None, [_named(item, anonymous_id) for item in items] if anonymous_id else items)


def source_config(_: Request) -> Reply:
    """What the browser SDK loads before it sends anything: no destination, and nothing to report to its vendor."""
    said = {
        "source": {
            "id": "footfall",
            "enabled": True,
            "config": {"statsCollection": {"errors": _OFF, "metrics": _OFF}},
            "destinations": [],
        }
    }
    return Reply(200, msgspec.json.encode(said), segment.JSON)


def _alias(message: Any, kind: str | None) -> Any:
    """A merge as the alias it means: the second of its two ids becomes part of the first."""
    if not isinstance(message, dict) or (kind or message.get("type")) != "merge":
        return message
    merged = message.get("mergeProperties")
    ids: Sequence[Any] = (
        [object_of(named).get("value") for named in merged] if isinstance(merged, list) else []
    )
    if len(ids) != 2:
        return {**message, "type": "alias"}
    rest = {name: value for name, value in message.items() if name != "mergeProperties"}
    return {**rest, "type": "alias", "userId": ids[0], "previousId": ids[1]}


def _anonymous_id(request: Request) -> str | None:
    given = request.header(b"anonymousid")
    if not given:
        return None
    try:
        return read_base64(given).decode()
    except (BodyRefused, UnicodeDecodeError):
        return given


def _named(item: Item, anonymous_id: str) -> Item:
    given = item.given
    if isinstance(given, dict) and "user" not in given and "anonymous_id" not in given:
        return item._replace(given={**given, "anonymous_id": anonymous_id})
    return item
