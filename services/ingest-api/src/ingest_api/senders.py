"""Who may send events: a project's write key or secret key, never a cookie; and what a browser tells of itself."""

from typing import Final

from starlette.types import Scope

from access.cache import Access
from access.credentials import credential
from access.keys import kind_of
from access.model import Principal
from admission import is_browser
from ingest_api.bodies import header
from lifecycle.errors import Problem
from policy import Client

_HINT: Final = (
    "Send a write key: Authorization: Bearer ffw_…, HTTP Basic with the key as user name, or ?key=ffw_…"
)


async def find_sender(access: Access, scope: Scope) -> Principal:
    """The request's project and key; raises Problem (401, 403) and AccessUnavailable."""
    text = credential(scope["headers"], scope["query_string"])
    known = None if text is None else access.asked_before(text)
    return await find_sender_by(access, text) if known is None else known


async def find_sender_by(access: Access, *texts: str | None) -> Principal:
    """As `find_sender`, for what stood in the places a protocol puts keys: the first that is a key counts.

    A text that is none may stand before it: an OAuth token, or another service's user name.
    """
    given = [text for text in texts if text is not None]
    text = next((text for text in given if kind_of(text)), given[0] if given else None)
    if text is None:
        raise _unauthenticated("Sending events needs a key, and the request carries none.")
    if kind_of(text) is None:
        if await access.by_token(text) is not None:
            raise Problem(403, "token_cannot_send", "A stream token may only read.", hint=_HINT)
        raise _unauthenticated("This is not a key of Footfall's.")
    principal = await access.by_key(text)
    if principal is None:
        raise _unauthenticated("This key is unknown or was revoked.")
    return principal


def client_of(principal: Principal, scope: Scope) -> Client | None:
    """The browser that sent the request with a write key, its address as `FOOTFALL_TRUSTED_PROXIES` say it.

    None for anything else: what a server's request tells is the server's.
    """
    if principal.kind != "write":
        return None
    user_agent = header(scope, b"user-agent")
    if not is_browser(user_agent):
        return None
    peer = scope.get("client")
    opted_out = header(scope, b"sec-gpc") == "1" or header(scope, b"dnt") == "1"
    return Client(peer[0] if peer else None, user_agent, opted_out)


def _unauthenticated(message: str) -> Problem:
    return Problem(
        401,
        "unauthenticated",
        message,
        hint=_HINT,
        headers={"www-authenticate": 'Bearer realm="footfall"'},
    )
