"""`/login` and `/logout`: a one-time link opens a session, a cookie keeps it.

GET only shows a button: mail scanners and link previews follow links, and would use them up.
"""

import base64
import hashlib
from html import escape
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from access.cache import Access
from access.keys import is_secret
from access.logins import SESSION_S, Logins
from access.model import Session
from access.requests import SESSION_COOKIE, refuse_other_origin
from eventmodel import ProjectId
from lifecycle.errors import Problem

MAX_FORM_BYTES = 4_096

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:20vh auto 0;padding:0 1.5rem;"
    "color:#1b2430;background:#fbfaf7}h1{font-size:1.4rem;margin:0 0 .5rem}"
    "button,a.go{display:inline-block;font:inherit;font-weight:600;border:0;border-radius:6px;"
    "padding:.6rem 1.2rem;color:#fff;background:#0b5d4e;text-decoration:none;cursor:pointer}"
    "button:focus-visible,a.go:focus-visible{outline:3px solid #d98e04;outline-offset:2px}"
    "code{background:#ecebe5;padding:.1rem .3rem;border-radius:4px}"
    "@media(prefers-color-scheme:dark){body{color:#e8e6df;background:#15191e}"
    "code{background:#262c33}button,a.go{background:#14806b}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # Not no-referrer: with it browsers send `Origin: null` with the form.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_BUTTON = (
    "<h1>Log in to Footfall</h1><p>This link works once, and the login stays in this browser for "
    f"{SESSION_S // 86_400} days.</p>"
    '<form method="post" action="/login"><input type="hidden" name="token" value="{token}">'
    "<button autofocus>Log in</button></form>"
)
_USED_UP = (
    "<h1>This link no longer works</h1><p>It was used already, or its time is over. For a new one run "
    "<code>footfall login</code> where Footfall runs, and open the link it prints.</p>"
)
_NO_LINK = (
    "<h1>Log in to Footfall</h1><p>Run <code>footfall login</code> where Footfall runs, and open the link "
    "it prints.</p>"
)
_LOGGED_IN = '<p>You are logged in here already.</p><p><a class="go" href="{path}">Open Footfall</a></p>'


def router(logins: Logins, access: Access) -> APIRouter:
    """The pages; they need no script and load nothing."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    async def show_login(request: Request, token: str = "") -> Response:
        if await logins.is_usable(token):
            return _page(200, _BUTTON.format(token=escape(token)))
        session = await access.by_session(request.cookies.get(SESSION_COOKIE, ""))
        known = ""
        if session is not None:
            known = _LOGGED_IN.format(path=escape(_page_of(_first_project(access, session))))
        return _page(410, _USED_UP + known) if token else _page(200, _NO_LINK + known)

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        refuse_other_origin(request)
        token = parse_qs((await _form(request)).decode("latin-1")).get("token", [""])[0]
        opened = await logins.consume(token, request.cookies.get(SESSION_COOKIE))
        if opened is None:
            return _page(410, _USED_UP)
        response = RedirectResponse(_page_of(opened.project or _first_project(access, None)), 303)
        response.set_cookie(
            SESSION_COOKIE,
            opened.cookie,
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=_is_https(request),
        )
        response.headers["cache-control"] = "no-store"
        return response

    @routes.post("/logout")
    async def log_out(request: Request) -> Response:
        refuse_other_origin(request)
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if is_secret(cookie):
            await logins.end(cookie)
            await access.refresh()
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax", secure=_is_https(request))
        return response

    return routes


def _page(status: int, content: str) -> HTMLResponse:
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Footfall: log in</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{content}</main></body></html>",
        status,
        _HEADERS,
    )


def _page_of(project: ProjectId | None) -> str:
    return "/pulse" if project is None else f"/pulse?project={quote(project)}"


def _first_project(access: Access, session: Session | None) -> ProjectId | None:
    visible = (item.id for item in access.projects() if session is None or session.may_see(item.id))
    return next(visible, None)


async def _form(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise Problem(413, "body_too_large", f"This form has at most {MAX_FORM_BYTES:,} bytes.")
    return bytes(body)


def _is_https(request: Request) -> bool:
    # Whoever forges the header makes only their own cookie stricter.
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
