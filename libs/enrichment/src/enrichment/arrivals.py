"""Where somebody came from: the referring domain, and the campaign that the page's address names."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

MAX_URL_CHARS: Final = 2_048
MAX_VALUE_CHARS: Final = 200
_PARAMETERS: Final = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
}
_MAX_FIELDS: Final = 100


def referrer_domain(referrer: object, page: object) -> str | None:
    """The host the visitor came from, without `www.`; None for the page's own host and for what is no address."""
    host = _host(referrer)
    return None if host is None or host == _host(page) else host


def campaign(context: Mapping[str, Any], properties: Mapping[str, Any], page: object) -> dict[str, str]:
    """The campaign: what the sender says of it, else `utm_…` properties, else those of the page's address."""
    given = context.get("campaign")
    if isinstance(given, dict):
        said = {name: given.get(name) for name in _PARAMETERS.values()}
    elif any(name in properties for name in _PARAMETERS):
        said = {field: properties.get(name) for name, field in _PARAMETERS.items()}
    else:
        said = dict(_of_address(page)) if type(page) is str and "utm_" in page else {}
    return {name: text[:MAX_VALUE_CHARS] for name, text in said.items() if type(text) is str and text}


@lru_cache(maxsize=4_096)
def _of_address(page: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(urlsplit(page[:MAX_URL_CHARS]).query, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return ()
    return tuple((_PARAMETERS[name], value) for name, value in reversed(pairs) if name in _PARAMETERS)


def _host(address: object) -> str | None:
    return _host_of(address) if type(address) is str and address else None


@lru_cache(maxsize=4_096)
def _host_of(address: str) -> str | None:
    try:
        host = urlsplit(address[:MAX_URL_CHARS]).hostname
    except ValueError:
        return None
    return host.lower().removeprefix("www.") if host else None
