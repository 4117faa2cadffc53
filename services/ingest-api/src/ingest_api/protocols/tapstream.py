"""Tapstream's events of apps, and hits of links."""

from collections.abc import Mapping
from typing import Any, Final

from access.keys import kind_of
from eventmodel import derived_event_id
from ingest_api.protocols.exchange import Decoded, Item, Outcome, Reply, Request
from ingest_api.protocols.payload import present, time_of

_TEXT: Final = "text/plain; charset=utf-8"
_CUSTOM: Final = "custom-"
_PURCHASE: Final = "purchase-"
# Numbers of the device: personal data, which nothing here needs to know a visitor again.
_HARDWARE: Final = "hardware"
_CREDENTIALS: Final = frozenset({"secret", "key"})
_CONTEXT: Final[Mapping[str, tuple[str, str]]] = {
    "app-name": ("app", "name"),
    "app-version": ("app", "version"),
    "package-name": ("app", "namespace"),
    "model": ("device", "model"),
    "vendor": ("device", "manufacturer"),
    "os": ("os", "version"),
    "platform": ("os", "name"),
    "resolution": ("screen", "resolution"),
}
_READ: Final = frozenset({"uuid", "created-ms", "sdkversion", "locale", "__ts", *_CONTEXT})


def decode(request: Request) -> Decoded:
    """The one event of `/{account}/event/{event}`, without the numbers of its device."""
    fields, key = _fields(request)
    name = request.parameters["event"].strip()
    context, properties = _context(fields), _own(fields)
    context["library"] = present({"name": "tapstream", "version": fields.get("sdkversion") or None})
    created = fields.get("created-ms") or None
    told = {
        "action": name,
        "anonymous_id": fields.get("uuid") or None,
        "time": time_of(created),
        "id": None if created is None else _id(name, fields),
        "properties": properties,
        "context": context,
    }
    return Decoded(key, [Item(0, present(told), {"event": name, **fields})])


def decode_hit(request: Request) -> Decoded:
    """The one event of `/{account}/hit/{tracker}.gif`: somebody followed a link."""
    fields, key = _fields(request)
    tracker = request.parameters["tracker"].strip()
    tags = [tag for tag in fields.get("__ts", "").split(",") if tag]
    told = {"action": tracker, "properties": present({"tags": tags or None}), "context": _context(fields)}
    return Decoded(key, [Item(0, told, {"tracker": tracker, **fields})])


def answer(_: Request, outcome: Outcome) -> Reply:
    """200, or 404 for the name and 403 for the key as their SDK knows them; 503 for what it may send again."""
    problem = outcome.refusal()
    if problem is None:
        return Reply(200, b"", _TEXT)
    status = {401: 403, 429: 503}.get(problem.status, problem.status)
    if problem.field == "action":
        status = 404
    return Reply(status, problem.message.encode(), _TEXT, problem.headers)


def _fields(request: Request) -> tuple[Mapping[str, str], str | None]:
    given = {**request.query, **request.form}
    key = given.get("secret") or None
    if key is None or kind_of(key) is None:
        account = request.parameters["account"]
        key = account if kind_of(account) else key
    kept = {
        name: value
        for name, value in given.items()
        if name not in _CREDENTIALS and not name.startswith(_HARDWARE)
    }
    return kept, key


def _own(fields: Mapping[str, str]) -> dict[str, str]:
    """Custom parameters by their names, and what was bought."""
    bought = {name.replace("-", "_"): value for name, value in fields.items() if name.startswith(_PURCHASE)}
    return bought | {
        name.removeprefix(_CUSTOM): value
        for name, value in fields.items()
        if name.startswith(_CUSTOM) and name != _CUSTOM
    }


def _context(fields: Mapping[str, str]) -> dict[str, Any]:
    context: dict[str, Any] = present({"locale": fields.get("locale") or None})
    for name, (section, field) in _CONTEXT.items():
        if fields.get(name):
            context.setdefault(section, {})[field] = fields[name]
    kept = {
        name: value
        for name, value in fields.items()
        if name not in _READ and not name.startswith((_CUSTOM, _PURCHASE))
    }
    return {**context, "tapstream": kept} if kept else context


def _id(name: str, fields: Mapping[str, str]) -> str:
    return derived_event_id("tapstream", name, *(part for pair in sorted(fields.items()) for part in pair))
