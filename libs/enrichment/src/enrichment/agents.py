"""A User-Agent's browser, system and kind of device, and whether it is a program without a person."""

from functools import lru_cache
from typing import Any, Final

from crawleruseragents import is_crawler
from ua_parser import parse

MAX_CHARS: Final = 512
"""Of a longer User-Agent the rest is not looked at."""

_DESKTOPS: Final = frozenset(
    {"Windows", "Mac OS X", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD"}
)
_MOBILES: Final = frozenset({"iOS", "Android", "Windows Phone", "BlackBerry OS", "KaiOS"})


@lru_cache(maxsize=20_000)
def agent_facts(user_agent: str) -> dict[str, Any]:
    """`browser`, `os`, `device` and `bot`, each where it is known; shared, so nobody may change it."""
    text = user_agent[:MAX_CHARS]
    if not text.strip():
        return {}
    found = parse(text)
    device = found.device.family if found.device else None
    bot = device == "Spider" or bool(is_crawler(text))
    facts: dict[str, Any] = {"bot": bot}
    if found.user_agent and not bot:
        facts["browser"] = _named(found.user_agent.family, found.user_agent.major)
    if found.os:
        facts["os"] = _named(found.os.family, found.os.major)
    kind = _device_type(text, device, found.os.family if found.os else None)
    if kind and not bot:
        facts["device"] = {"type": kind}
    return facts


def _named(name: str, version: str | None) -> dict[str, str]:
    return {"name": name, "version": version} if version else {"name": name}


def _device_type(text: str, device: str | None, system: str | None) -> str | None:
    if device == "iPad" or "Tablet" in text or (system == "Android" and "Mobile" not in text):
        return "tablet"
    if system in _MOBILES:
        return "mobile"
    return "desktop" if system in _DESKTOPS else None
