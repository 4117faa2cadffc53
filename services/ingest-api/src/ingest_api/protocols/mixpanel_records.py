"""Mixpanel's events, people and groups as events in the native API's fields."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from admission import Fault
from eventmodel import derived_event_id
from ingest_api.protocols.accounts import GROUP_KEYS, account_of, is_account
from ingest_api.protocols.payload import object_of, present, text_of, time_of

Given: TypeAlias = Mapping[str, Any] | Fault

CHARGED: Final = "charged"
"""The action of a charge, which Mixpanel keeps in a person's profile."""

_DEVICE: Final = "$device:"
_SETTING: Final = ("$set_once", "$set")
_CHANGING: Final = ("$add", "$append", "$union", "$remove", "$unset", "$delete")
_OPERATORS: Final = (*_SETTING, *_CHANGING)
# ISO 8601 without a zone, which Mixpanel reads as UTC.
_ZONELESS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")
_CONTEXT: Final[Mapping[str, tuple[str, str]]] = {
    "$app_build_number": ("app", "build"),
    "$app_version_string": ("app", "version"),
    "$brand": ("device", "brand"),
    "$browser": ("browser", "name"),
    "$browser_version": ("browser", "version"),
    "$carrier": ("network", "carrier"),
    "$city": ("location", "city"),
    "$current_url": ("page", "url"),
    "$device": ("device", "name"),
    "$initial_referrer": ("page", "initial_referrer"),
    "$initial_referring_domain": ("page", "initial_referring_domain"),
    "$manufacturer": ("device", "manufacturer"),
    "$model": ("device", "model"),
    "$os": ("os", "name"),
    "$os_version": ("os", "version"),
    "$referrer": ("page", "referrer"),
    "$referring_domain": ("page", "referring_domain"),
    "$region": ("location", "region"),
    "$screen_height": ("screen", "height"),
    "$screen_width": ("screen", "width"),
    "$wifi": ("network", "wifi"),
    "mp_country_code": ("location", "country"),
    "utm_campaign": ("campaign", "name"),
    "utm_content": ("campaign", "content"),
    "utm_medium": ("campaign", "medium"),
    "utm_source": ("campaign", "source"),
    "utm_term": ("campaign", "term"),
}
_WHOLE: Final[Mapping[str, str]] = {
    "ip": "ip",
    "$locale": "locale",
    "$timezone": "timezone",
    "$user_agent": "userAgent",
}


def event_of(record: dict[str, Any], sent_at: float | None) -> Sequence[Given]:
    """What an item of /track or /import says."""
    properties = record.get("properties") or {}
    if not isinstance(properties, dict):
        return [Fault("wrong_type", "`properties` must be an object.", "properties")]
    left = dict(properties)
    told = {
        **_subject(record.get("event"), left),
        "account": account_of(object_of(left.get("$groups"))) or account_of(left),
        "id": text_of(left.pop("$insert_id", None)),
        "time": _moment(left.pop("time", None)),
        "sent_at": sent_at,
    }
    kept = {name: value for name, value in record.items() if name not in ("event", "properties")}
    told["context"] = _context(left, kept)
    told["properties"] = left
    return [present(told)]


def person_of(record: dict[str, Any], sent_at: float | None) -> Sequence[Given]:
    """What an item of /engage says: who somebody is, and what they were charged."""
    shared = {
        **_who(record.get("$distinct_id"), record.get("$device_id"), record.get("$user_id")),
        "sent_at": sent_at,
    }
    append = object_of(record.get("$append"))
    charge = append.get("$transactions")
    if not isinstance(charge, dict):
        return [_profile(record, shared)]
    charged = _charge(charge, record, shared)
    rest = {**record, "$append": {name: value for name, value in append.items() if name != "$transactions"}}
    if not rest["$append"]:
        del rest["$append"]
    return [_profile(rest, shared), charged] if any(name in rest for name in _OPERATORS) else [charged]


def group_of(record: dict[str, Any], sent_at: float | None) -> Sequence[Given]:
    """What an item of /groups says of an account."""
    key = text_of(record.get("$group_key")) or ""
    if not is_account(key):
        return [
            Fault(
                "unknown_group_key",
                f'Groups of the key "{key[:60]}" are no accounts here.',
                "$group_key",
                f"Keys of accounts are {', '.join(GROUP_KEYS)}, with or without `_id`.",
            )
        ]
    shared = {"type": "group", "account": text_of(record.get("$group_id")), "sent_at": sent_at}
    return [_profile(record, shared)]


def _subject(name: object, left: dict[str, Any]) -> dict[str, Any]:
    """Kind, action and ids; takes out of `left` what they are made of."""
    distinct, device, user = (left.pop(key, None) for key in ("distinct_id", "$device_id", "$user_id"))
    match name:
        case "$identify":
            known = text_of(left.pop("$identified_id", None)) or user
            before = (left.pop(key, None) for key in ("$anon_distinct_id", "$anon_id"))
            anonymous = next((found for value in before if (found := text_of(value))), device)
            return {"type": "identify", **_who(distinct, anonymous, known)}
        case "$create_alias":
            return {
                "type": "alias",
                "user": text_of(left.pop("alias", None)),
                "previous_id": _plain_id(distinct),
            }
        case "$merge":
            ids = left.pop("$distinct_ids", None)
            first, second = ids if isinstance(ids, list) and len(ids) == 2 else (None, None)
            if isinstance(first, str) and first.startswith(_DEVICE):
                first, second = second, first
            return {"type": "alias", "user": _plain_id(first), "previous_id": _plain_id(second)}
        case "$mp_web_page_view":
            return {"type": "page", **_who(distinct, device, user)}
        case _:
            return {"action": name or None, **_who(distinct, device, user)}


def _who(distinct: object, device: object, user: object) -> dict[str, Any]:
    """`$device:` and what equals the device's id are nobody known yet."""
    known, anonymous = text_of(distinct), _plain_id(device)
    if known is not None and (known.startswith(_DEVICE) or known == anonymous):
        anonymous, known = anonymous or _plain_id(known), None
    return {"user": text_of(user) or known, "anonymous_id": anonymous}


def _plain_id(given: object) -> str | None:
    return (text_of(given) or "").removeprefix(_DEVICE) or None


def _context(left: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Where, with what and how; takes it out of `left`, where what the sender thought of stays."""
    context: dict[str, Any] = {}
    library, version = text_of(left.pop("mp_lib", None)), text_of(left.pop("$lib_version", None))
    if library is not None:
        context["library"] = present({"name": f"mixpanel-{library}", "version": version})
    for name in [
        name for name in left if name in _CONTEXT or name in _WHOLE or name.startswith(("$", "mp_"))
    ]:
        if name == "$groups":
            continue
        value = left.pop(name)
        if name in _CONTEXT:
            section, field = _CONTEXT[name]
            context.setdefault(section, {})[field] = value
        elif name in _WHOLE:
            context[_WHOLE[name]] = value
        else:
            kept[name] = value
    if kept:
        context["mixpanel"] = kept
    return context


def _profile(record: Mapping[str, Any], shared: Mapping[str, Any]) -> Given:
    """Traits are what can be set at once; how else the profile should change is kept as it was said."""
    set_once, set_now = (object_of(record.get(name)) for name in _SETTING)
    changes = {name: record[name] for name in _CHANGING if name in record}
    told = {
        "type": "identify",
        **shared,
        "time": _moment(record.get("$time")),
        "traits": {_plain_name(name): value for name, value in {**set_once, **set_now}.items()},
        "context": present({"ip": _address(record), "mixpanel": changes or None}),
    }
    return present(told)


def _charge(charge: dict[str, Any], record: Mapping[str, Any], shared: Mapping[str, Any]) -> Given:
    at = charge.get("$time")
    plain = sorted((name, value) for name, value in charge.items() if isinstance(value, str | int | float))
    told = {
        **shared,
        "action": CHARGED,
        # Only its own time tells a charge that is sent again from a second one.
        "id": None if at is None else derived_event_id("mixpanel charge", repr(plain)),
        "time": _moment(at if at is not None else record.get("$time")),
        "properties": {_plain_name(name): value for name, value in charge.items() if name != "$time"},
        "context": present({"ip": _address(record)}),
    }
    return present(told)


def _plain_name(name: str) -> str:
    return name.removeprefix("$") or name


def _address(record: Mapping[str, Any]) -> object:
    """The person's address; 0 says that the request's is not theirs."""
    given = record.get("$ip")
    return "0.0.0.0" if given in (0, "0", "") else given  # noqa: S104  # what says that there is none


def _moment(value: object) -> object:
    if type(value) is str and _ZONELESS.fullmatch(value):
        return value + "Z"
    return time_of(value)
