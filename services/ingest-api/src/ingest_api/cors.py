"""Answers browsers of any origin, also when the answer is an error: their SDKs drop what they cannot read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MAX_AGE_S = 86_400
_EXPOSED = b"Retry-After, X-Request-Id, Footfall-Durability"
_METHODS = b"GET, POST, OPTIONS"
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
        origin = requested_headers = requested_method = None
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-headers":
                requested_headers = value
            elif name == b"access-control-request-method":
                requested_method = value
        if origin is None:
            await self._app(scope, receive, _varying(send))
            return
        allowed = [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
        if scope["method"] == "OPTIONS" and requested_method is not None:
            await _preflight(send, allowed, requested_headers)
            return
        allowed.append((b"access-control-expose-headers", _EXPOSED))

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *allowed]
            await send(message)

        await self._app(scope, receive, send_allowed)


def _is_ingest(path: str) -> bool:
    return path not in _OTHERS


def _varying(send: Send) -> Send:
    async def send_varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            # A cache must not give this answer, which allows no origin, to a browser that names one.
            message["headers"] = [*message.get("headers", ()), (b"vary", b"Origin")]
        await send(message)

    return send_varying


async def _preflight(send: Send, allowed: list[tuple[bytes, bytes]], requested_headers: bytes | None) -> None:
    headers = [
        *allowed,
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        (b"content-length", b"0"),
    ]
    if requested_headers:
        headers.append((b"access-control-allow-headers", requested_headers))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body"})
