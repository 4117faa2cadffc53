"""The pages: one HTML shell for all of them, in which a script shows what the address means."""

import gzip
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from access.cache import Access
from access.errors import AccessUnavailable
from access.model import Session
from access.requests import SESSION_COOKIE
from eventmodel import ProjectId
from stream_gateway.pages.assets import Assets
from stream_gateway.pages.notices import Notices
from stream_gateway.pages.sessions import Sessions

PAGES: Final[Mapping[str, str]] = {
    "/pulse": "places/pulse.js",
    "/accounts": "places/accounts.js",
    "/accounts/{account:path}": "places/account.js",
    "/users": "places/users.js",
    "/users/{user:path}": "places/user.js",
    "/visitors/{anonymous_id:path}": "places/user.js",
    "/activity/{event_id:path}": "places/event.js",
    "/sources": "places/sources.js",
    "/rejected": "places/rejected.js",
    "/actions": "places/actions.js",
}
"""By route, the module that shows it; `app.js` comes before each."""

_SOON: Final[Mapping[str, tuple[str, ...]]] = {
    "places/pulse.js": ("places/pulse_stream.js", "charts/charts.js"),
}
"""By a page's module, those it imports once its numbers are there: fetched with the rest, but after it."""

_OURS = re.compile(
    r"/(?:pulse|accounts|users|sources|rejected|actions|(?:accounts|users|visitors|activity)/[^/?#\\]+)(?:\?[^#\\]*)?"
)
MAX_PATH_CHARS = 2_048
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not no-referrer: with it browsers send `Origin: null` with the form that logs out.
    "referrer-policy": "same-origin",
    "vary": "Accept-Encoding",
    "x-content-type-options": "nosniff",
}


def page_path(text: str | None) -> str | None:
    """The text, if it is path and query of one of our pages; None for anything a browser might take elsewhere."""
    if text is None or len(text) > MAX_PATH_CHARS or not _OURS.fullmatch(text):
        return None
    # Browsers leave out tabs and line ends before they look at what remains.
    return text if text.isascii() and text.isprintable() else None


def page_routes(access: Access, sessions: Sessions, assets: Assets, notices: Notices) -> APIRouter:
    """The routes. Nothing of a project stands in what they answer: the script asks for it, with the login."""
    routes = APIRouter(include_in_schema=False)
    for route, module in PAGES.items():
        answer = _answering(access, sessions, notices, _Shell(assets, module))
        routes.add_api_route(route, answer, methods=["GET", "HEAD"])
    routes.add_api_route("/", _to_pulse, methods=["GET", "HEAD"])
    return routes


class _Shell:
    """The HTML of one page, plain and packed."""

    def __init__(self, assets: Assets, module: str) -> None:
        self._plain = _html(assets, module).encode()
        self._packed = gzip.compress(self._plain, 9, mtime=0)

    def response(self, request: Request, status: int) -> Response:
        headers = {**_HEADERS, "content-type": "text/html; charset=utf-8"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._packed, status, {**headers, "content-encoding": "gzip"})
        return Response(self._plain, status, headers)


def _html(assets: Assets, module: str) -> str:
    links = []
    if "inter.woff2" in assets:
        # Fonts are fetched without credentials, and a preload that differs in that is fetched twice.
        links.append(
            f'<link rel="preload" href="{assets.address("inter.woff2")}" as="font" type="font/woff2" crossorigin>'
        )
    links += [f'<link rel="stylesheet" href="{assets.address(path)}">' for path in assets.stylesheets()]
    first = assets.modules("app.js", module)
    soon = [path for path in assets.modules(*_SOON.get(module, ())) if path not in first]
    links += [
        f'<link rel="modulepreload" href="{assets.address(path)}">' for path in first if path != "app.js"
    ]
    links += [
        f'<link rel="modulepreload" href="{assets.address(path)}" fetchpriority="low">' for path in soon
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Footfall</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="{assets.address("favicon.svg")}" type="image/svg+xml">'
        f"{''.join(links)}"
        f'<script type="module" src="{assets.address("app.js")}" blocking="render"></script></head>'
        '<body><div id="app"></div><noscript>Footfall’s pages are drawn by a script. Allow scripts for this '
        "address, then reload the page.</noscript></body></html>"
    )


def _answering(
    access: Access, sessions: Sessions, notices: Notices, shell: _Shell
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            session = await access.by_session(request.cookies.get(SESSION_COOKIE, ""))
            if session is None:
                return _see(f"/login?next={quote(_address(request), safe='')}")
            asked = request.query_params.getlist("project")
            if any(asked):
                seen = all(_shows(access, session, project) for project in asked)
                return shell.response(request, 200 if seen else 404)
            first = await sessions.first(session)
        except AccessUnavailable as error:
            return notices.away(error)
        return shell.response(request, 404) if first is None else _see(_with_project(request, first))

    return answer


async def _to_pulse(request: Request) -> Response:
    query = _quoted(request.scope["query_string"])
    return _see(f"/pulse?{query}" if query else "/pulse")


def _shows(access: Access, session: Session, project: str) -> bool:
    return session.may_see(ProjectId(project)) and access.project(ProjectId(project)) is not None


def _with_project(request: Request, project: ProjectId) -> str:
    """The request's own address, with the project in its query."""
    path, _, query = _address(request).partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != "project"]
    return f"{path}?{'&'.join([f'project={quote(project)}', *kept])}"


def _address(request: Request) -> str:
    """Path and query as they were sent: a slash within an id stays encoded."""
    query = _quoted(request.scope["query_string"])
    return _quoted(request.scope.get("raw_path") or request.scope["path"].encode()) + (
        f"?{query}" if query else ""
    )


def _quoted(sent: bytes) -> str:
    return quote(sent, safe="!#$%&'()*+,/:;=?@[]~")


def _see(path: str) -> Response:
    return RedirectResponse(path, 303, {"cache-control": "no-store"})
