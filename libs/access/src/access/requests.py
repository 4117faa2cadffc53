"""Who may do what over HTTP: 401 for no or an unknown credential, 403 for the wrong kind, 404 across projects.

Explicit credentials decide: a cookie counts only where a request carries neither key nor token.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from access.cache import Access
from access.credentials import authorization, query_value
from access.keys import kind_of
from access.model import Principal, Session
from eventmodel import ProjectId
from lifecycle.errors import Problem

SESSION_COOKIE = "footfall_session"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


async def admit_reader(access: Access, request: HTTPConnection) -> Principal:
    """Who may read a project: a secret key, a stream token (also as `?token=`), a session with `?project=`.

    Raises Problem and AccessUnavailable.
    """
    text = explicit_credential(request)
    if text is None:
        return _of_project(access, await admit_session(access, request), request)
    principal = await find_principal(access, text)
    if principal.kind == "write":
        raise Problem(
            403,
            "write_key_cannot_read",
            "A write key may only send events.",
            hint="Read with the project's secret key, or in a browser with a stream token: POST /v1/tokens.",
        )
    return _within(principal, request)


async def admit_administrator(access: Access, request: HTTPConnection) -> Principal:
    """Who may change a project: a secret key, or a session with `?project=` from a page of ours.

    Raises Problem and AccessUnavailable.
    """
    text = explicit_credential(request)
    if text is None:
        return _of_project(access, await admit_session(access, request), request)
    return _within(require_secret(await find_principal(access, text)), request)


async def admit_session(access: Access, request: HTTPConnection) -> Session:
    """The session of the request's cookie; what may change something must come from a page of ours."""
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie is None:
        raise unauthenticated("This needs a credential, and the request carries none.")
    session = await access.by_session(cookie)
    if session is None:
        raise unauthenticated("The login has ended.", hint="Run footfall login for a new link.")
    if request.scope["method"] not in _SAFE_METHODS:
        require_same_origin(request)
    return session


async def find_principal(access: Access, text: str) -> Principal:
    """Whose key or stream token this is; 401 when nobody's."""
    principal = await access.by_key(text) if kind_of(text) else await access.by_token(text)
    if principal is None:
        raise unauthenticated("This key or token is unknown, was revoked or has expired.")
    return principal


def explicit_credential(request: HTTPConnection) -> str | None:
    """The key or token in Authorization, or the token in `?token=`; None when there is neither.

    A header that is there but holds nothing usable is a credential too, an unknown one: a cookie does not
    stand in for it.
    """
    headers: Iterable[tuple[bytes, bytes]] = request.scope["headers"]
    if any(name == b"authorization" for name, _ in headers):
        return authorization(headers) or ""
    token = query_value(request.scope["query_string"], b"token")
    if token is not None and kind_of(token):
        raise unauthenticated(
            "A key does not belong in an address, where logs and histories keep it.",
            hint="Send it as Authorization: Bearer, or ask for a stream token: POST /v1/tokens.",
        )
    return token


def require_secret(principal: Principal) -> Principal:
    """The principal, when it may administer its project."""
    if principal.kind in ("write", "token"):
        raise Problem(
            403,
            "secret_key_needed",
            f"A {'write key' if principal.kind == 'write' else 'stream token'} may not do this.",
            hint="Use the project's secret key, from a server.",
        )
    return principal


def require_same_origin(request: HTTPConnection) -> None:
    """Refuse a change by cookie unless the request says that it comes from a page of ours.

    A browser says where a request comes from in Origin, most also in Sec-Fetch-Site; a request that says
    neither comes from no browser, and has a key to use.
    """
    if request.headers.get("origin") is None and request.headers.get("sec-fetch-site") is None:
        raise _cross_origin()
    refuse_other_origin(request)


def refuse_other_origin(request: HTTPConnection) -> None:
    """Refuse what another site made the browser send.

    The host is compared, not the scheme, which a proxy that ends TLS changes. X-Forwarded-Host may be
    believed here: another site cannot set it.
    """
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        raise _cross_origin()
    hosts = [request.headers.get("host"), request.headers.get("x-forwarded-host")]
    if origin is not None and not any(_same_host(origin, host) for host in hosts if host):
        raise _cross_origin()


def not_found(project: str) -> Problem:
    """The one answer for what is another project's and for what does not exist."""
    return Problem(404, "unknown_project", f"There is no project {project[:60]} here.", field="project")


def unauthenticated(message: str, hint: str | None = None) -> Problem:
    """401, with the scheme to use."""
    return Problem(
        401,
        "unauthenticated",
        message,
        hint=hint or "Send the project's secret key: Authorization: Bearer ffs_…",
        headers={"www-authenticate": 'Bearer realm="footfall"'},
    )


def _within(principal: Principal, request: HTTPConnection) -> Principal:
    for asked in request.query_params.getlist("project"):
        if asked != principal.project:
            raise not_found(asked)
    return principal


def _of_project(access: Access, session: Session, request: HTTPConnection) -> Principal:
    asked = request.query_params.getlist("project")
    if len(asked) != 1 or not asked[0]:
        raise Problem(
            400,
            "project_needed",
            "A login may show several projects, so the address must say which: add ?project=<project id>.",
            field="project",
        )
    project = ProjectId(asked[0])
    if not session.may_see(project) or access.project(project) is None:
        raise not_found(project)
    return Principal(project, "session", session.id, expires_at=session.expires_at)


def _cross_origin() -> Problem:
    return Problem(
        403,
        "cross_origin",
        "A change with the login's cookie must come from a page of this address.",
        hint="From a program, send the project's secret key instead of the cookie.",
    )


def _same_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if default_port is None:
        return False
    return parts.netloc.lower().removesuffix(default_port) == host.lower().removesuffix(default_port)
