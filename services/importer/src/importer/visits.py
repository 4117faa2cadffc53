"""An access log's request as a native event: who it was, and what is kept of it."""

import hashlib
from typing import Any, Final

from importer.access_log import Request, Visit

_ANONYMOUS_BYTES: Final = 16


def anonymous_id(salt: bytes, visit: Visit) -> str:
    """Who visited, as far as address and agent tell: 32 hex digits that lead back to neither without the salt."""
    visitor = f"{visit.host.lower()}\0{visit.agent or ''}".encode()
    return hashlib.blake2b(visitor, digest_size=_ANONYMOUS_BYTES, key=salt).hexdigest()


def visit_event(
    visit: Visit, request: Request, *, event_id: str, account: str | None, salt: bytes
) -> dict[str, Any]:
    """The native event: a GET is a page view, any other method something that was sent.

    The address is not kept. docs/importing.md lists the fields.
    """
    properties = {
        "path": request.path,
        "search": request.search,
        "method": request.method,
        "status": visit.status,
        "bytes": visit.size_bytes,
        "referrer": visit.referrer,
    }
    subject = {"user": visit.user} if visit.user else {"anonymous_id": anonymous_id(salt, visit)}
    kind = {"type": "page"} if request.method == "GET" else {"type": "track", "action": "sent request"}
    return {
        "id": event_id,
        **kind,
        **subject,
        **({"account": account} if account else {}),
        "time": visit.at,
        "properties": {name: value for name, value in properties.items() if value is not None},
        **({"context": {"user_agent": visit.agent}} if visit.agent else {}),
    }
