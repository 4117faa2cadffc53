"""Which service answers which path when all of them share one port."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "ingest-api": (
        "/*/event/*",
        "/*/hit/*",
        "/a",
        "/analytics.js",
        "/api/px",
        "/api/s",
        "/api/v1",
        "/array",
        "/batch",
        "/beacon",
        "/capture",
        "/compat",
        "/decide",
        "/e",
        "/engage",
        "/flags",
        "/groups",
        "/i",
        "/import",
        "/js",
        "/pixel",
        "/pixel.gif",
        "/record",
        "/s",
        "/settings",
        "/sourceConfig",
        "/t.gif",
        "/track",
        "/v1/a",
        "/v1/alias",
        "/v1/b",
        "/v1/batch",
        "/v1/cloudevents",
        "/v1/events",
        "/v1/g",
        "/v1/group",
        "/v1/i",
        "/v1/identify",
        "/v1/import",
        "/v1/m",
        "/v1/merge",
        "/v1/p",
        "/v1/page",
        "/v1/pixel",
        "/v1/projects/*/settings",
        "/v1/projects/projects/*/settings",
        "/v1/s",
        "/v1/screen",
        "/v1/t",
        "/v1/track",
    ),
    "stream-gateway": ("/", "/v1/projects"),
    "rule-engine": (
        "/v1/actions",
        "/v1/features",
        "/v1/in-app",
        "/v1/journeys",
        "/v1/rules",
        "/v1/scores",
        "/v1/segments",
    ),
    "importer": ("/v1/hooks", "/v1/imports"),
}
"""By service, the paths it answers with what lies below them; `*` is any segment but an empty one, `/` all else."""


class _Node:
    def __init__(self) -> None:
        self.service: str | None = None
        self.below: dict[bytes, _Node] = {}


class Router:
    """One ASGI app in front of the services' own.

    Compares whole path segments as they were sent, so that an id with an encoded slash stays one segment; a
    longer match wins over a shorter one, a named segment over `*`.
    """

    def __init__(self, apps: Mapping[str, ASGIApp], routes: Mapping[str, tuple[str, ...]] = ROUTES) -> None:
        self._apps = apps
        self._root = _Node()
        for service, paths in routes.items():
            for path in paths:
                self._add(path, service)
        self._whole = {
            path.encode(): service for service, paths in routes.items() for path in paths if "*" not in path
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope.get("raw_path") or scope["path"].encode()
        await self._apps[self.service_for(raw_path)](scope, receive, send)

    def service_for(self, raw_path: bytes) -> str:
        """The name of the service that answers this path."""
        whole = self._whole.get(raw_path)
        if whole is not None:
            return whole
        found = _longest(self._root, raw_path.split(b"/")[1:])
        assert found is not None, "a service owns /"
        return found[1]

    def _add(self, path: str, service: str) -> None:
        node = self._root
        for segment in filter(None, path.encode().split(b"/")):
            node = node.below.setdefault(segment, _Node())
        if node.service is not None:
            raise ValueError(f"{path} is answered by {node.service} and by {service}.")
        node.service = service


def _longest(node: _Node, segments: list[bytes], depth: int = 0) -> tuple[int, str] | None:
    best = None if node.service is None else (depth, node.service)
    if depth < len(segments):
        for name in (segments[depth], b"*") if segments[depth] else ():
            below = node.below.get(name)
            found = None if below is None else _longest(below, segments, depth + 1)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
    return best
