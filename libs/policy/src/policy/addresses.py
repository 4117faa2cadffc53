"""What is kept of an internet address."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from policy.rules import IpRule

NO_ADDRESS: Final = (None, "", "0", "0.0.0.0", "::", 0, False)  # noqa: S104  # what SDKs send to say: record none
_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 48
_NAMES: Final = frozenset({"ip", "$ip"})


def kept_address(address: object, rule: IpRule) -> object:
    """The address as the rule lets it be kept, None for not at all.

    Truncated, IPv4 keeps its first 24 bits and IPv6 its first 48. What is no address is only kept with `keep`.
    """
    if rule == "keep":
        return address
    return _truncated(address) if rule == "truncate" and type(address) is str else None


def kept_if_address(text: str, rule: IpRule) -> str | None:
    """As `kept_address`, for a text that need not be an address and is kept then."""
    truncated = _truncated(text)
    if truncated is None or rule == "keep":
        return text
    return truncated if rule == "truncate" else None


def masked(value: Any, rule: IpRule) -> Any:
    """The value with what stands under `ip` or `$ip`, at any depth, as the rule lets it be kept."""
    match value:
        case dict():
            kept = {
                name: kept_address(item, rule) if name in _NAMES else masked(item, rule)
                for name, item in value.items()
            }
            return {name: item for name, item in kept.items() if item is not None or name not in _NAMES}
        case list():
            return [masked(item, rule) for item in value]
        case _:
            return value


@lru_cache(maxsize=8_192)
def _truncated(address: str) -> str | None:
    try:
        found = ip_address(address.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return str(IPv6Network((int(found), _IPV6_BITS), strict=False).network_address)
        found = found.ipv4_mapped
    return str(IPv4Network((int(found), _IPV4_BITS), strict=False).network_address)
