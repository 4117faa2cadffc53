"""Answers browsers of any origin, also when the answer is an error: their SDKs drop what they cannot read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MAX_AGE_S = 86_400
_EXPOSED = (
    b"Retry-After, X-Request-Id, Footfall-Durability, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)
_METHODS = b"GET, POST, OPTIONS"
_VARY = (b"vary", b"Origin")
_OTHERS = frozenset({"/openapi.json", "/livez", "/readyz", "/metrics"})


class AnyOrigin:
    """Pure ASGI middleware for all that takes events: a key, never a cookie, says who sends.

    Echoes the origin and allows credentials, because some SDKs send their requests with cookies and browsers
    then refuse `*`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ingest(scope["path"]):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and await _preflight(scope, send):
            return
        allowed = allowing(scope)

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *allowed]
            await send(message)

        await self._app(scope, receive, send_allowed)


def allowing(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers with which the request's origin may read the answer."""
    for name, value in scope["headers"]:
        if name == b"origin":
            return [*_allowed(value), (b"access-control-expose-headers", _EXPOSED)]
    # A cache must not give this answer, which allows no origin, to a browser that names one.
    return [_VARY]


def _is_ingest(path: str) -> bool:
    return path not in _OTHERS


def _allowed(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        _VARY,
    ]


async def _preflight(scope: Scope, send: Send) -> bool:
    """Answer what a browser asks before it sends; False when the request is no such question."""
    asked = dict(scope["headers"])
    if b"origin" not in asked or b"access-control-request-method" not in asked:
        return False
    headers = [
        *_allowed(asked[b"origin"]),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        (b"content-length", b"0"),
    ]
    if requested := asked.get(b"access-control-request-headers"):
        headers.append((b"access-control-allow-headers", requested))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body"})
    return True
