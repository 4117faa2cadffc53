"""One line and one measurement per request, and the id that joins a client's report to our logs."""

import logging
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry.catalog import HTTP_REQUEST_SECONDS
from telemetry.logs import get_logger, request_id
from telemetry.metrics import Histogram, Metrics

_log = get_logger("telemetry.requests")
_levels = logging.getLogger("telemetry.requests")
_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = "unmatched"
# At thousands a second these lines would cost more than the requests; failures are still written.
_BUSY = frozenset({("POST", "/v1/events")})


class RequestLog:
    """Pure ASGI middleware, the outermost of a service's app.

    Takes a safe X-Request-Id, else the trace id of a traceparent, else makes one; binds it to the logs and
    answers it in the response header. Measures until the response begins, by method, route template and
    status. Writes one line when the request has ended: never the query string, never a header's value.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._series: dict[tuple[str, str, int], Histogram] = {}
        self._candidates: dict[object, list[tuple[str, re.Pattern[str]]]] = {}

    @property
    def writes_each(self) -> bool:
        """Whether every request is to have its line."""
        return _levels.isEnabledFor(logging.DEBUG)

    def note(self, asked: Mapping[str, Any], route: str, status: int, each_s: Sequence[float]) -> None:
        """As for requests that came through here, of one status; `asked` has their `method` and `path`.

        `each_s` is what each took. Their lines have the id that is bound now.
        """
        histogram = self._histogram(asked["method"], route, status)
        for seconds in each_s:
            histogram.observe(seconds)
        level = _level(asked, status)
        if _levels.isEnabledFor(level):
            for seconds in each_s:
                _write(level, asked, route, status, seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        identity = _identity(scope)
        header = (b"x-request-id", identity.encode())
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
                histogram = self._histogram(scope["method"], self._route(scope), status)
                histogram.observe(perf_counter() - began)
            await send(message)

        token = request_id.set(identity)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            level = _level(scope, status)
            if _levels.isEnabledFor(level):
                _write(level, scope, self._route(scope), status, perf_counter() - began)
            request_id.reset(token)

    def _histogram(self, method: str, route: str, status: int) -> Histogram:
        series = (method if method in _METHODS else "other", route, status)
        histogram = self._series.get(series)
        if histogram is None:
            histogram = self._metrics.histogram(HTTP_REQUEST_SECONDS, series[0], series[1], str(status))
            self._series[series] = histogram
        return histogram

    def _route(self, scope: Mapping[str, Any]) -> str:
        """The route's template, so that the label's values stay few."""
        route = scope.get("route")
        path = getattr(route, "path", None)
        if isinstance(path, str):
            return path if isinstance(route, Mount) else scope.get("root_path", "") + path
        # FastAPI names only its own routes; a plain one is known by what it calls.
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return _UNMATCHED
        candidates = self._candidates.get(endpoint)
        if candidates is None:
            candidates = list(_calling(endpoint, getattr(scope.get("router"), "routes", ()), ""))
            self._candidates[endpoint] = candidates
        if len(candidates) == 1:
            return candidates[0][0]
        inner = scope["path"].removeprefix(scope.get("root_path", ""))
        return next((template for template, regex in candidates if regex.match(inner)), _UNMATCHED)


def _level(scope: Mapping[str, Any], status: int) -> int:
    busy = 200 <= status < 300 and (scope["method"], scope["path"]) in _BUSY
    return logging.DEBUG if busy else logging.INFO


def _write(level: int, scope: Mapping[str, Any], route: str, status: int, seconds: float) -> None:
    _log.log(
        level,
        "request" if status else "request without an answer",
        method=scope["method"],
        path=scope["path"],
        route=route,
        status=status,
        duration_s=round(seconds, 6),
    )


def _calling(
    endpoint: object, routes: Sequence[BaseRoute], prefix: str
) -> Iterator[tuple[str, re.Pattern[str]]]:
    for route in routes:
        if isinstance(route, Route) and route.endpoint is endpoint:
            yield prefix + route.path, route.path_regex
        elif isinstance(route, Mount):
            if route.app is endpoint:
                yield prefix + route.path, route.path_regex
            yield from _calling(endpoint, route.routes, prefix + route.path)


def _identity(scope: Scope) -> str:
    trace = None
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SAFE_ID.fullmatch(value):
            return str(value, "ascii")
        if name == b"traceparent":
            trace = _TRACEPARENT.fullmatch(value)
    return str(trace[1], "ascii") if trace else new_request_id()


def new_request_id() -> str:
    """For a request that came with none."""
    return f"{random.getrandbits(96):024x}"
