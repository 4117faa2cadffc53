"""Keeps credentials out of whatever is written down."""

import re
from collections.abc import Mapping

HIDDEN = "[redacted]"
_SECRET_NAMES = frozenset({"authorization", "cookie", "key", "password", "secret", "token"})
_MAX_DEPTH = 6

# Footfall's keys and link tokens, signed tokens, Authorization values, `?key=`, passwords in URLs.
_SECRETS = re.compile(
    r"(?P<kind>\bff[a-z]_)[A-Za-z0-9_-]{16,}"
    r"|(?P<jwt>\beyJ)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
    r"|(?P<scheme>\b(?:[Bb]earer|[Bb]asic) +)[A-Za-z0-9+/=._~-]{8,}"
    r"|(?P<parameter>[?&](?:key|token|secret|password)=)[^&\s\"'\\]+"
    r"|(?P<user>://[^\s:/@\"']*:)[^\s@\"']+(?=@)"
)


def redact(text: str) -> str:
    """The text without anything that looks like a credential of ours, a token or a password in a URL."""
    return _SECRETS.sub(lambda found: (found[found.lastgroup or 0] or "") + HIDDEN, text)


def names_secret(name: str) -> bool:
    """Whether a value under this name is one by its name alone: `key`, `write_key`, `Authorization`."""
    return name.replace("-", "_").rpartition("_")[2].lower() in _SECRET_NAMES


def redact_fields(fields: Mapping[str, object], depth: int = 0) -> dict[str, object]:
    """The fields with every value hidden whose name says that it is secret, at any depth."""
    return {
        name: HIDDEN if value is not None and names_secret(str(name)) else _redact_value(value, depth)
        for name, value in fields.items()
    }


def _redact_value(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return redact_fields(value, depth + 1) if depth < _MAX_DEPTH else HIDDEN
    if isinstance(value, list | tuple):
        return [_redact_value(item, depth + 1) for item in value] if depth < _MAX_DEPTH else HIDDEN
    return value
