"""Totango's SDR pixel: what a user of an account did, and what is known of both."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from eventmodel import derived_event_id
from ingest_api.protocols.exchange import Decoded, Item, Request
from ingest_api.protocols.payload import present, time_of

_KEY: Final = "sdr_s"
_ACCOUNT: Final = "sdr_o."
_USER: Final = "sdr_u."
_HEARTBEAT: Final = "sdr_heartbeat"
_PREFIXES: Final = (_ACCOUNT, _USER, _HEARTBEAT)
# Differs each time, against caches.
_RANDOM: Final = "r"
# Totango's names for what the pages here show by another name.
_ACCOUNT_TRAITS: Final[Mapping[str, str]] = {"account_name": "name"}
_OLDER_ACCOUNT_TRAITS: Final[Mapping[str, str]] = {"sdr_odn": "name", "sdr_ofid": "foreign_id"}
_READ: Final = frozenset({"sdr_o", "sdr_u", "sdr_a", "sdr_m", "sdr_t", *_OLDER_ACCOUNT_TRAITS})


def decode(request: Request) -> Decoded:
    """Up to three events of one pixel: the account, the user, and the activity if there is one."""
    fields = {**request.query, **request.form}
    key = fields.pop(_KEY, None)
    return Decoded(key, [Item(0, given, fields) for given in _events(fields)])


def _events(fields: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    account, user = fields.get("sdr_o") or None, fields.get("sdr_u") or None
    of_account = _attributes(fields, _ACCOUNT, _ACCOUNT_TRAITS)
    of_account |= {trait: fields[name] for name, trait in _OLDER_ACCOUNT_TRAITS.items() if fields.get(name)}
    of_user = _attributes(fields, _USER, {})
    group = {"type": "group", "account": account, "traits": of_account}
    identify = {"type": "identify", "user": user, "account": account, "traits": of_user}
    events: list[Mapping[str, Any]] = []
    if of_account:
        events.append(group)
    if of_user:
        events.append(identify)
    # Whether somebody still has the page open is no activity, and nothing here keeps it.
    if not any(name.startswith(_HEARTBEAT) for name in fields):
        action, module = fields.get("sdr_a") or None, fields.get("sdr_m") or None
        if action:
            properties = present({"module": module})
            events.append({"user": user, "account": account, "action": action, "properties": properties})
        if not events:
            events.append(identify if user else group)
    return [_with_shared(event, number, fields) for number, event in enumerate(events)]


def _attributes(fields: Mapping[str, str], prefix: str, renamed: Mapping[str, str]) -> dict[str, str]:
    plain = {name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)}
    return {renamed.get(name, name): value for name, value in plain.items() if name}


def _with_shared(event: Mapping[str, Any], number: int, fields: Mapping[str, str]) -> Mapping[str, Any]:
    """The event with what all of its pixel's say: where, when, and an id if the same can be sent again."""
    url, at = fields.get("sdrurl"), fields.get("sdr_t") or None
    kept = {
        name: value
        for name, value in fields.items()
        if name.startswith("sdr_") and name not in _READ and not name.startswith(_PREFIXES)
    }
    parts = [part for name in sorted(fields) if name != _RANDOM for part in (name, fields[name])]
    return present(
        {
            **event,
            "time": time_of(at),
            "id": None if at is None else derived_event_id("totango", number, *parts),
            "context": present({"page": {"url": url} if url else None, "totango": kept or None}),
        }
    )
