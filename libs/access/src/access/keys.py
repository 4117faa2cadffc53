"""The texts of keys, one-time tokens and ids: made from the system's randomness, kept as SHA-256."""

import base64
import hashlib
import re
import secrets
from typing import Literal, TypeAlias

from access.model import KeyKind

IdKind: TypeAlias = Literal["project", "key", "session", "signing", "forget"]

_KEY = re.compile(r"ff[ws]_[A-Za-z0-9_-]{43}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_KEY_PREFIX: dict[KeyKind, str] = {"write": "ffw_", "secret": "ffs_"}
_ID_PREFIX: dict[IdKind, str] = {"project": "p", "key": "k", "session": "s", "signing": "t", "forget": "f"}
_ID = {kind: re.compile(prefix + "[a-z2-7]{11}") for kind, prefix in _ID_PREFIX.items()}


def new_key(kind: KeyKind) -> str:
    """A fresh key of 256 random bits."""
    return _KEY_PREFIX[kind] + new_secret()


def new_secret() -> str:
    """43 URL-safe characters that hold 256 random bits: a login link's token, a session's cookie."""
    return secrets.token_urlsafe(32)


def new_id(kind: IdKind) -> str:
    """A short public id: one letter for the kind, then 55 random bits in lower-case base32."""
    return _ID_PREFIX[kind] + base64.b32encode(secrets.token_bytes(7)).decode().lower()[:11]


def is_id(kind: IdKind, text: str) -> bool:
    """Whether the text is shaped like such an id; it need not exist."""
    return _ID[kind].fullmatch(text) is not None


def kind_of(key: str) -> KeyKind | None:
    """The kind a key's text claims; None when the text is not shaped like a key."""
    if _KEY.fullmatch(key) is None:
        return None
    return "write" if key.startswith("ffw_") else "secret"


def is_secret(text: str) -> bool:
    """Whether the text is shaped like what `new_secret` makes."""
    return _SECRET.fullmatch(text) is not None


def digest(text: str) -> bytes:
    """What is stored in the place of a key, a link's token or a cookie.

    One unsalted SHA-256 is enough: the texts hold 256 random bits, so nobody can try them through.
    """
    return hashlib.sha256(text.encode()).digest()
