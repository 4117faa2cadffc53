"""With what an event was sent: the SDK it names, else the program that made the request, in a short plain name."""

import re
from functools import lru_cache
from typing import Any

import msgspec

from admission.limits import MAX_EVENT_BYTES, MAX_SDK_CHARS
from eventmodel import Sender

_UNSAFE = re.compile(r"[^A-Za-z0-9._:@/+~-]+")
_FIRST_PRODUCT = re.compile(r"[^\s(;,]+")
_BROWSERS = ("Mozilla/", "Opera/")
_MAX_LOOKED_AT_CHARS = 2 * MAX_SDK_CHARS


class _Context(msgspec.Struct):
    library: Any = None


class _Enclosing(msgspec.Struct):
    context: _Context


_decode_enclosing = msgspec.json.Decoder(_Enclosing).decode


def sender_of(key: str | None, user_agent: str) -> Sender | None:
    """The sender of a request: the public id of its key, and its User-Agent's first product; None of nothing.

    Every browser is `browser`.
    """
    return _requested(key, user_agent[:_MAX_LOOKED_AT_CHARS])


def is_browser(user_agent: str) -> bool:
    """Whether a browser made the request, by its User-Agent."""
    return user_agent.startswith(_BROWSERS)


def named_by(library: object, sender: Sender) -> Sender:
    """The sender with the SDK that an event's `context.library` names; as it was where that names none."""
    if type(library) is dict and type(name := library.get("name")) is str:
        version = library.get("version")
        text = version[:_MAX_LOOKED_AT_CHARS] if type(version) is str else ""
        return _named(sender.key, name[:_MAX_LOOKED_AT_CHARS], text) or sender
    return sender


def named_in(event: bytes, sender: Sender) -> Sender:
    """As `named_by`, for the bytes of an event that was refused, whatever they are."""
    if len(event) > MAX_EVENT_BYTES:
        return sender
    try:
        return named_by(_decode_enclosing(event).context.library, sender)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return sender


@lru_cache(maxsize=4_096)
def _requested(key: str | None, user_agent: str) -> Sender | None:
    if is_browser(user_agent):
        sdk: str | None = "browser"
    else:
        product = _FIRST_PRODUCT.match(user_agent.lstrip())
        sdk = _plain(product.group()) if product else None
    return None if key is None and sdk is None else Sender(key=key, sdk=sdk)


@lru_cache(maxsize=4_096)
def _named(key: str | None, name: str, version: str) -> Sender | None:
    plain = _plain(name)
    if plain is None:
        return None
    return Sender(key=key, sdk=_plain(f"{plain}/{version}") if version else plain)


def _plain(text: str) -> str | None:
    return _UNSAFE.sub("-", text).strip("-/")[:MAX_SDK_CHARS] or None
