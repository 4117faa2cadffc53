"""One POST, without following redirects: the key goes to the address it was given for, and nowhere else."""

import encodings.idna  # noqa: F401  # connecting imports it; a child forked in the middle of that could not connect
import gzip
import http.client
import ssl
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from footfall_client.answers import Answer

USER_AGENT: Final = "footfall-python/0.1.0"
_PATH: Final = "/v1/events"
_GZIP_FROM_BYTES: Final = 1_400
_MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024


class Unreachable(Exception):
    """No answer came; whether the events were stored is not known."""


class Endpoint:
    """Where bodies go. Proxies are those of the environment, such as HTTPS_PROXY.

    `timeout_s` bounds connecting and each wait for bytes. Raises ValueError for an address or key that cannot
    be one; its text does not hold the key.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float, ssl_context: ssl.SSLContext | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"`url` is {url!r}; it must be like https://footfall.example.")
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("`key` is empty, or holds a space or line break. Give a write key: ffw_….")
        self._address = url.rstrip("/") + _PATH
        self._authorization = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(
            _NoRedirect, urllib.request.HTTPSHandler(context=ssl_context)
        )

    def post(self, body: bytes) -> Answer:
        """The answer to this body of JSON; raises Unreachable."""
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        if len(body) >= _GZIP_FROM_BYTES:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=5)
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked when we are made
            self._address, data=body, headers=headers, method="POST"
        )
        try:
            try:
                with self._opener.open(request, timeout=self._timeout_s) as response:
                    return _answer(response)
            except urllib.error.HTTPError as error:
                with error:
                    return _answer(error)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(response: Any) -> Answer:
    headers = response.headers
    return Answer(
        status=response.status,
        body=response.read(_MAX_ANSWER_BYTES),
        retry_after=headers.get("Retry-After"),
        date=headers.get("Date"),
        location=headers.get("Location"),
    )
