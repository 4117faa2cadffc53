"""KISSmetrics' tracking API: events, properties of people and aliases, each in one address or form."""

from collections.abc import Mapping
from typing import Any, Final

from eventmodel import derived_event_id
from ingest_api.protocols.exchange import Decoded, Item, Request
from ingest_api.protocols.payload import present, time_of

_KEY: Final = "_k"


def is_meant(request: Request) -> bool:
    """Whether the request is for KISSmetrics, which alone names its key so."""
    return _KEY in request.query or _KEY in request.form


def decode(request: Request) -> Decoded:
    """The one event of `/e`, `/s` or `/a`."""
    fields = {**request.query, **request.form}
    key = fields.pop(_KEY, None)
    return Decoded(key, [Item(0, _event(request.path, fields), fields)])


def _event(path: str, fields: Mapping[str, str]) -> Mapping[str, Any]:
    person, name = fields.get("_p") or None, fields.get("_n") or None
    # What they reserve and we do not know says nothing about the event.
    own = {field: value for field, value in fields.items() if not field.startswith("_")}
    match path:
        case "/a":
            told: dict[str, Any] = {"type": "alias", "user": person, "previous_id": name}
        case "/s":
            told = {"type": "identify", "user": person, "traits": own}
        case _:
            told = {"user": person, "action": name, "properties": own}
    if fields.get("_d") == "1" and fields.get("_t"):
        told["time"] = time_of(fields["_t"])
        # Without a time of its own, a second event cannot be told from the first sent again.
        told["id"] = derived_event_id(
            "kissmetrics", path, *(part for pair in sorted(fields.items()) for part in pair)
        )
    return present(told)
