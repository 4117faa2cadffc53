"""PostHog's events as ours: who, which account, what, and where the rest is kept."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from admission import Fault
from ingest_api.protocols.exchange import Item
from ingest_api.protocols.payload import id_of, object_of, present, time_of

ACCOUNT_GROUPS: Final = (
    "company",
    "account",
    "organization",
    "organisation",
    "customer",
    "workspace",
    "team",
)
"""Group types that name the account, the most telling first; without any the first of an event's groups does."""
# All visitors without a cookie share this id, so it is nobody's.
_COOKIELESS: Final = "$posthog_cookieless"
_KINDS: Final[Mapping[str, str]] = {
    "$pageview": "page",
    "$screen": "screen",
    "$identify": "identify",
    "$set": "identify",
    "$create_alias": "alias",
    "$groupidentify": "group",
}
_PAGE: Final[Mapping[str, str]] = {
    "$current_url": "url",
    "$pathname": "path",
    "$referrer": "referrer",
    "title": "title",
}
_PLACED: Final = frozenset(
    {
        *("token", "distinct_id", "$distinct_id", "$insert_id", "$set", "$lib", "$lib_version"),
        *(
            "$ip",
            "$raw_user_agent",
            "$browser_language",
            "$timezone",
            "$device_id",
            *(_PAGE.keys() - {"title"}),
        ),
    }
)
_SETTERS: Final = frozenset({"$set", "$set_once"})
_BOOKKEEPING: Final = ("$sdk_debug_", "$lib_")
_IDENTITY: Final = frozenset({"alias", "$anon_distinct_id", "$group_type", "$group_key", "$group_set"})
_TAKEN: Final = frozenset(
    {
        *(
            "event",
            "properties",
            "distinct_id",
            "$distinct_id",
            "uuid",
            "timestamp",
            "offset",
            "$set",
            "$set_once",
        ),
        *("api_key", "token", "$token", "options", "sent_at", "type", "library", "library_version"),
    }
)


def items_of(
    index: int, message: object, sent_at: object, library: Mapping[str, str] | None
) -> Iterator[Item]:
    """The event of one message, and the identify event that its `$set` stands for."""
    if not isinstance(message, dict):
        yield Item(index, Fault("not_an_object", "The event is not a JSON object."), message)
        return
    event = _event(message, sent_at, library)
    yield Item(index, event, message)
    traits = _traits(message)
    if traits and event["type"] != "identify":
        who = {name: event.get(name) for name in ("user", "anonymous_id", "time", "sent_at")}
        known = present({**who, "id": event.get("id") and f"{event['id']}:set"})
        yield Item(
            index, {"type": "identify", **known, "traits": traits, "context": event["context"]}, message
        )


def _event(message: Mapping[str, Any], sent_at: object, library: Mapping[str, str] | None) -> dict[str, Any]:
    get = message.get
    properties, options = object_of(get("properties")), object_of(get("options"))
    name = get("event")
    kind = _KINDS.get(name, "track") if isinstance(name, str) else "track"
    account = _account(properties)
    if kind == "group":
        kind, account = _group(properties, account)
    user, anonymous_id = _who(message, properties, options)
    own = {key: value for key, value in properties.items() if key[:1] != "$" and key not in _PLACED}
    event: dict[str, Any] = {
        "type": kind,
        "action": name if kind == "track" else None,
        "user": user,
        "anonymous_id": anonymous_id,
        "account": account,
        "id": id_of(get("uuid") or properties.get("$insert_id")),
        "time": _time(message, sent_at),
        "sent_at": None if _keeps_its_time(properties, options) else sent_at,
        "properties": own,
        "context": _context(message, properties, library),
    }
    match kind:
        case "page":
            event["properties"] = _page(properties) | own
        case "screen":
            event["action"] = id_of(properties.get("$screen_name"))
        case "identify":
            event["traits"] = _traits(message)
            event["anonymous_id"] = id_of(properties.get("$anon_distinct_id")) or anonymous_id
        case "group":
            if "$device_id" not in properties:
                # Server SDKs fill in a random id where no person was meant.
                event["user"] = event["anonymous_id"] = None
            event["traits"] = _own(properties.get("$group_set"))
        case "alias":
            # Every SDK names the lasting id `alias`, and the one that was used so far `distinct_id`.
            event["user"] = id_of(properties.get("alias"))
            event["previous_id"] = id_of(properties.get("distinct_id")) or _distinct_id(message, properties)
            event["anonymous_id"] = None
            own.pop("alias", None)
    return present(event)


def _distinct_id(message: Mapping[str, Any], properties: Mapping[str, Any]) -> object:
    given = message.get("distinct_id")
    if type(given) is str and given:
        return given
    places = ((fields, name) for fields in (message, properties) for name in ("distinct_id", "$distinct_id"))
    return next((found for fields, name in places if (found := id_of(fields.get(name))) is not None), None)


def _who(
    message: Mapping[str, Any], properties: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[object, object]:
    """User and anonymous id: the distinct id is one of the two, as far as the event says."""
    distinct_id = _distinct_id(message, properties)
    if distinct_id is None or distinct_id == _COOKIELESS:
        return None, None
    if message.get("event") == "$identify":
        return distinct_id, None
    identified = properties.get("$is_identified")
    profile = options.get("process_person_profile", properties.get("$process_person_profile"))
    if identified is False or (profile is False and identified is None):
        return None, distinct_id
    if identified is None and distinct_id == properties.get("$device_id"):
        return None, distinct_id
    return distinct_id, None


def _account(properties: Mapping[str, Any]) -> object:
    groups = object_of(properties.get("$groups"))
    if not groups:
        return None
    named = next((name for name in ACCOUNT_GROUPS if id_of(groups.get(name)) is not None), None)
    return id_of(groups.get(named) if named else next(iter(groups.values()), None))


def _group(properties: Mapping[str, Any], account: object) -> tuple[str, object]:
    """A group's traits are an account's, unless its event names the account otherwise."""
    key = id_of(properties.get("$group_key"))
    if properties.get("$group_type") in ACCOUNT_GROUPS or account in (None, key):
        return "group", key
    return "track", account


def _time(message: Mapping[str, Any], sent_at: object) -> object:
    time = time_of(message.get("timestamp"))
    offset_ms = message.get("offset")
    if time is not None or isinstance(offset_ms, bool) or not isinstance(offset_ms, int | float):
        return time
    try:
        before = timedelta(milliseconds=offset_ms)
        if isinstance(sent_at, int | float):
            return sent_at - offset_ms
        sent = datetime.now(UTC) if sent_at is None else datetime.fromisoformat(str(sent_at))
        return (sent - before).isoformat()
    except (ValueError, OverflowError):
        return None


def _keeps_its_time(properties: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    return options.get("disable_skew_correction") is True or properties.get("$ignore_sent_at") is True


def _page(properties: Mapping[str, Any]) -> dict[str, Any]:
    return present({ours: properties.get(theirs) for theirs, ours in _PAGE.items()})


def _own(fields: object) -> dict[str, Any]:
    return {name: value for name, value in object_of(fields).items() if name[:1] != "$" and value is not None}


def _traits(message: Mapping[str, Any]) -> dict[str, Any]:
    """What the sender says of the person; on `$set` and `$identify` also what counts only the first time there."""
    properties = object_of(message.get("properties"))
    if not _SETTERS.isdisjoint(properties) or not _SETTERS.isdisjoint(message):
        return _said(message, properties)
    return {}


def _said(message: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    said = {**object_of(properties.get("$set")), **object_of(message.get("$set"))}
    if message.get("event") in ("$set", "$identify"):
        once = {**object_of(properties.get("$set_once")), **object_of(message.get("$set_once"))}
        said = {**once, **said}
    return _own(said)


def _context(
    message: Mapping[str, Any], properties: Mapping[str, Any], library: Mapping[str, str] | None
) -> dict[str, Any]:
    get = properties.get
    name = "posthog-js" if get("$lib") == "web" else get("$lib")
    named = library or (present({"name": name, "version": get("$lib_version")}) if name else None)
    rest: dict[str, Any] = {
        name: value
        for name, value in properties.items()
        if name[:1] == "$"
        and name not in _PLACED
        and name not in _IDENTITY
        and value not in (None, {})
        and not name.startswith(_BOOKKEEPING)
    }
    rest |= {name: value for name, value in message.items() if name not in _TAKEN and value is not None}
    once = message.get("$set_once")
    if once:
        rest.setdefault("$set_once", once)
    device = get("$device_id")
    return {
        name: value
        for name, value in (
            ("library", named),
            ("page", _page(properties)),
            ("device", {"id": device} if device else None),
            ("ip", get("$ip")),
            ("userAgent", get("$raw_user_agent")),
            ("locale", get("$browser_language")),
            ("timezone", get("$timezone")),
            ("posthog", rest),
        )
        if value
    }
