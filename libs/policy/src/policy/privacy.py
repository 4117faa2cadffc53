"""Takes out of an event what its project does not want kept."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from eventmodel import Event
from eventmodel.event import Mark
from policy.addresses import NO_ADDRESS, kept_address, kept_if_address, masked
from policy.client import MAX_USER_AGENT_CHARS, Client
from policy.erasure import Erasure
from policy.rules import ROOTS, PrivacyRules

MAX_SEARCHED_BYTES: Final = 1024 * 1024

_ABSENT: Final = object()
# The event's own fields, which no rule reaches.
_OWN: Final = frozenset(
    {"account", "action", "anonymous_id", "id", "previous_id", "sent_at", "time", "type", "user"}
)
# A key that ends in ip, however it is escaped.
_NAMED_IP: Final = re.compile(rb'(?:i|\\u0069)(?:p|\\u0070)"\s*:')
_GRANTED: Final = frozenset({"granted", "true", "yes"})

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Privacy:
    """A project's rules, compiled.

    `active` says that every event must be shown to them; else only those with a client or a context.
    """

    def __init__(self, rules: PrivacyRules, hash_key: bytes) -> None:
        self._rules = rules
        self._erasure = Erasure(rules.redact, rules.hash, hash_key) if rules.redact or rules.hash else None
        self.active = self._erasure is not None or rules.consent == "required"

    def consents(self, context: Mapping[str, Any], client: Client | None) -> bool:
        """Whether whoever an event with this context is about lets it be kept."""
        rules = self._rules
        if rules.opt_out_signals and client is not None and client.opted_out:
            return False
        return rules.consent == "off" or _granted(context.get("consent"), rules.consent_categories)

    def applied(self, event: Event, client: Client | None) -> Event:
        """The event as it may be kept, with what `client` tells of itself; the same one where nothing changes."""
        context = self._with_client(event.context, client)
        erasure = self._erasure
        if erasure is None:
            return event if context is event.context else msgspec.structs.replace(event, context=context)
        marks: set[Mark] = set()
        properties = erasure.of_root("properties", event.properties, marks)
        traits = erasure.of_root("traits", event.traits, marks)
        context = erasure.of_root("context", context, marks)
        if not marks and context is event.context:
            return event
        return msgspec.structs.replace(
            event, properties=properties, traits=traits, context=context, marks=[*event.marks, *sorted(marks)]
        )

    def of_address(self, text: str) -> str | None:
        """The text, an address or none, as it may be kept; what is no address is kept as it is."""
        return kept_if_address(text, self._rules.ip)

    def of_native(self, given: Mapping[str, Any], client: Client | None) -> dict[str, Any] | None:
        """A refused object of the native API as it may be kept, whatever is wrong with it; None: not at all."""
        kept = dict(given)
        context = kept.get("context")
        if not self.consents(context if isinstance(context, dict) else {}, client):
            return None
        if isinstance(context, dict):
            kept["context"] = self._with_client(context, None)
        erasure = self._erasure
        if erasure is None:
            return kept
        for name, value in given.items():
            if name in ROOTS and isinstance(value, dict):
                kept[name] = erasure.of_root(name, kept[name], set())
            elif name in ROOTS and value is not None:
                # It may hold anything, and no path leads into it.
                del kept[name]
            elif name not in _OWN or isinstance(value, dict | list):
                del kept[name]
                kept |= erasure.of_names({name: value})
        return kept

    def of_body(self, body: bytes, client: Client | None) -> bytes | None:
        """The bytes of a refused event of the native API as they may be kept; None: not at all.

        Empty where there is something to erase and they are no object of at most a megabyte to find it in.
        """
        if not self._touches(body) and self._lets_all(client):
            return body
        value = _decoded(body)
        if not isinstance(value, dict):
            return self.of_unknown(body, client)
        kept = self.of_native(value, client)
        # Always written anew: of a repeated key only the last value was looked at.
        return None if kept is None else _encode(kept)

    def of_unknown(self, body: bytes, client: Client | None) -> bytes | None:
        """As `of_body`, for what could not be read as an event: nobody can have consented to it."""
        return self.of_source(body) if self._lets_all(client) else None

    def of_source(self, body: bytes) -> bytes:
        """The bytes of an event in another vendor's form as they may be kept beside its native form.

        Paths lead nowhere there, so nothing of it is kept where the project has any.
        """
        if not self._touches(body):
            return body
        value = None if self._erasure is not None else _decoded(body)
        return b"" if value is None else _encode(masked(value, self._rules.ip))

    def _lets_all(self, client: Client | None) -> bool:
        return self._rules.consent == "off" and self.consents({}, client)

    def _touches(self, body: bytes) -> bool:
        if self._erasure is not None:
            return True
        return self._rules.ip != "keep" and _NAMED_IP.search(body) is not None

    def _with_client(self, context: dict[str, Any], client: Client | None) -> dict[str, Any]:
        given = context.get("ip", _ABSENT)
        if client is None:
            if given is _ABSENT:
                return context
            address = given
        else:
            address = client.ip if given is _ABSENT else given
        kept = None if address in NO_ADDRESS else kept_address(address, self._rules.ip)
        added = {} if client is None else _agent_of(context, client)
        if not added and kept == (None if given is _ABSENT else given):
            return context
        changed = {**context, **added}
        changed.pop("ip", None)
        if kept is not None:
            changed["ip"] = kept
        return changed


def _agent_of(context: Mapping[str, Any], client: Client) -> dict[str, Any]:
    if client.user_agent is None or "user_agent" in context or "userAgent" in context:
        return {}
    return {"user_agent": client.user_agent[:MAX_USER_AGENT_CHARS]}


def _granted(consent: object, categories: tuple[str, ...]) -> bool:
    match consent:
        case True:
            return True
        case str():
            return consent.casefold() in _GRANTED
        case dict():
            given = consent.get("categoryPreferences", consent)
            return isinstance(given, dict) and all(
                _granted(value, ()) for value in (_plain(given.get(name)) for name in categories)
            )
        case _:
            return False


def _plain(value: object) -> object:
    return value if isinstance(value, bool | str) else None


def _decoded(body: bytes) -> object:
    try:
        return _decode(body) if len(body) <= MAX_SEARCHED_BYTES else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
