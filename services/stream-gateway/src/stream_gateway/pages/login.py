"""`/login` and `/logout`: a one-time link opens a session, a cookie keeps it.

GET only shows a button: mail scanners and link previews follow links, and would use them up.
"""

from html import escape
from typing import Final
from urllib.parse import parse_qs, quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from access.cache import Access
from access.errors import AccessUnavailable
from access.keys import is_secret
from access.logins import DEFAULT_LINK_S, SESSION_S, Logins
from access.requests import SESSION_COOKIE, refuse_other_origin
from lifecycle.errors import Problem
from stream_gateway.pages.notices import DATABASE_AWAY, Notices
from stream_gateway.pages.shell import page_path

MAX_FORM_BYTES = 8_192
NEXT_COOKIE: Final = "footfall_next"
"""The page somebody asked for before they had a link; the link that is made for them does not know it."""

_TITLE = "Log in"
_BUTTON = (
    f"<p>This link works once. The login then stays in this browser for {SESSION_S // 86_400} days.</p>"
    '<form method="post" action="/login"><input type="hidden" name="token" value="{token}">'
    '<input type="hidden" name="next" value="{next}"><button class="primary" autofocus>Log in</button></form>'
)
_GET_LINK = (
    "<p>Run this where Footfall runs, and open the link it prints in this browser:</p>"
    "<pre>footfall login</pre>"
)
_OPEN = (
    '<p>This browser is logged in already.</p><a class="button primary go" href="{path}">Open Footfall</a>'
)
_PRESSED_TWICE = (
    '<p class="last">Was the button pressed twice? Then you are logged in: '
    '<a class="link" href="/pulse">open Footfall</a>.</p>'
)
_PRESS_AGAIN = "<p>{so} Go back, and press the button again in a few seconds.</p>"


def router(logins: Logins, access: Access, notices: Notices) -> APIRouter:
    """The pages; they need no script. `next` is followed where it is the address of one of our pages."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    async def show_login(request: Request) -> Response:
        token, wanted = request.query_params.get("token", ""), page_path(request.query_params.get("next"))
        try:
            if await logins.is_usable(token):
                button = _BUTTON.format(token=escape(token), next=escape(wanted or ""))
                return notices.page(200, _TITLE, button)
            session = await access.by_session(request.cookies.get(SESSION_COOKIE, ""))
        except AccessUnavailable as error:
            return notices.away(error)
        if session is not None:
            way_in = _OPEN.format(path=escape(wanted or "/pulse"))
            return _used_up(notices, way_in) if token else notices.page(200, "You are logged in", way_in)
        if token:
            return _used_up(notices, _GET_LINK)
        title = "You are logged out" if request.query_params.get("state") == "out" else _TITLE
        response = notices.page(200, title, _GET_LINK)
        if wanted is not None:
            _set_cookie(request, response, NEXT_COOKIE, quote(wanted, safe=""), DEFAULT_LINK_S, "/login")
        return response

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        refuse_other_origin(request)
        form = parse_qs((await _form(request)).decode("latin-1"))
        try:
            opened = await logins.consume(form.get("token", [""])[0], request.cookies.get(SESSION_COOKIE))
        except AccessUnavailable:
            return notices.page(503, DATABASE_AWAY, _PRESS_AGAIN.format(so="So you are not logged in yet."))
        if opened is None:
            return _used_up(notices, _GET_LINK + _PRESSED_TWICE)
        wanted = page_path(form.get("next", [""])[0]) or page_path(_kept_next(request))
        first = "/pulse" if opened.project is None else f"/pulse?project={quote(opened.project)}"
        response = RedirectResponse(wanted or first, 303, {"cache-control": "no-store"})
        _set_cookie(request, response, SESSION_COOKIE, opened.cookie, SESSION_S, "/")
        _set_cookie(request, response, NEXT_COOKIE, "", 0, "/login")
        return response

    @routes.post("/logout")
    async def log_out(request: Request) -> Response:
        refuse_other_origin(request)
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if is_secret(cookie):
            try:
                await logins.end(cookie)
                await access.refresh()
            except AccessUnavailable:
                so = "So it is not certain that you are logged out."
                return notices.page(503, DATABASE_AWAY, _PRESS_AGAIN.format(so=so))
        response = RedirectResponse("/login?state=out", 303, {"cache-control": "no-store"})
        _set_cookie(request, response, SESSION_COOKIE, "", 0, "/")
        return response

    return routes


def _used_up(notices: Notices, more: str) -> Response:
    said = "<p>It was used already, or its time is over.</p>"
    return notices.page(410, "This link no longer works", said + more)


def _kept_next(request: Request) -> str:
    return unquote(request.cookies.get(NEXT_COOKIE, ""))


def _set_cookie(
    request: Request, response: Response, name: str, value: str, max_age_s: int, path: str
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=path,
        httponly=True,
        samesite="lax",
        # Whoever forges the header makes only their own cookie stricter.
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
    )


async def _form(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise Problem(413, "body_too_large", f"This form has at most {MAX_FORM_BYTES:,} bytes.")
    return bytes(body)
