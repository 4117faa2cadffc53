"""Finds the credential in a request's raw headers and query; never raises, whatever they hold."""

import binascii
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from access.keys import kind_of

MAX_CREDENTIAL_CHARS = 4_096


def credential(headers: Iterable[tuple[bytes, bytes]], query: bytes) -> str | None:
    """The key or token the request carries: Bearer, Basic, else `?key=`. None when it carries none.

    `headers` as ASGI gives them: lower-case names. Of Basic, the key is the user name, or the password where
    the user name is no key (`curl -u :KEY`, `curl -u anything:KEY`).
    """
    return authorization(headers) or query_value(query, b"key")


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """As `credential`, from the Authorization header alone."""
    for name, value in headers:
        if name == b"authorization":
            return _of_header(value)
    return None


def query_value(query: bytes, name: bytes) -> str | None:
    """The first `name=` of a query string, percent-decoded; None when absent, empty, long or not UTF-8."""
    if name not in query:
        return None
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name and value:
            return _text(unquote_to_bytes(value))
    return None


def _of_header(value: bytes) -> str | None:
    scheme, _, rest = value.strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            return _text(rest.strip())
        case b"basic":
            return _of_basic(rest.strip())
        case _:
            return None


def _of_basic(encoded: bytes) -> str | None:
    if len(encoded) > 2 * MAX_CREDENTIAL_CHARS:
        return None
    try:
        # Some SDKs leave the padding out, and surplus padding does no harm.
        decoded = binascii.a2b_base64(encoded + b"==")
    except binascii.Error:
        return None
    user, _, password = decoded.partition(b":")
    user_text, password_text = _text(user), _text(password)
    if user_text is not None and kind_of(user_text):
        return user_text
    if password_text is not None and kind_of(password_text):
        return password_text
    return user_text or password_text


def _text(raw: bytes) -> str | None:
    if not raw or len(raw) > MAX_CREDENTIAL_CHARS:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
