"""`/v1/activity`: the events themselves, newest first."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.model import Principal
from lifecycle.errors import Problem
from stream_gateway.answers import answer, limit_of, not_found, text_of
from stream_gateway.keyset import format_before, parse_before
from stream_gateway.principals import Readers, narrow, require_whole_project
from stream_gateway.read_model import HistoryFilter, ReadModel


def activity_routes(reads: ReadModel, readers: Readers) -> APIRouter:
    """The routes, reading `reads`."""
    routes = APIRouter()

    @routes.get("/v1/activity")
    async def activity(request: Request) -> Response:
        """Events newest first, each as on the stream; `next` goes into `before` for the next page."""
        principal = await readers.reader(request)
        limit = limit_of(request)
        text = text_of(request, "before")
        before = None if text is None else parse_before(text)
        found = await reads.history(principal.project, _filter(request, principal), before, limit)
        following = format_before(found[-1].before) if len(found) == limit else None
        return answer({"items": [row.event for row in found], "next": following})

    @routes.get("/v1/activity/{event_id:path}")
    async def event(request: Request, event_id: str) -> Response:
        """One event by its id; the newest, where two users sent the same id."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        found = [] if "\0" in event_id else await reads.event(principal.project, event_id)
        if not found:
            raise not_found("event")
        return answer(found[0])

    return routes


def _filter(request: Request, principal: Principal) -> HistoryFilter:
    account, user = text_of(request, "account"), text_of(request, "user")
    anonymous_id = text_of(request, "anonymous_id")
    if user is not None and anonymous_id is not None:
        raise Problem(
            400, "two_subjects", "Ask for user= or for anonymous_id=, not both.", field="anonymous_id"
        )
    if anonymous_id is not None:
        # Nobody's token names an anonymous visitor.
        require_whole_project(principal)
    account, user = narrow(principal, account=account, user=user)
    origin = text_of(request, "origin")
    if origin not in (None, "live", "import", "replay"):
        raise Problem(400, "invalid_origin", "origin is live, import or replay.", field="origin")
    subject = f"u:{user}" if user is not None else None if anonymous_id is None else f"a:{anonymous_id}"
    return HistoryFilter(account=account, subject=subject, action=text_of(request, "action"), origin=origin)
