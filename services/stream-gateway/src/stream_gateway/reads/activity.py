"""`/v1/activity`: the events themselves, newest first."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.model import Principal
from lifecycle.errors import Problem
from stream_gateway.principals import Readers, narrow_subject, require_whole_project, sees_alone
from stream_gateway.reads.answers import answer, limit_of, not_found, subject_of, text_of
from stream_gateway.reads.keyset import format_before, parse_before
from stream_gateway.reads.read_model import HistoryFilter, ReadModel


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
    account, subject = narrow_subject(principal, text_of(request, "account"), subject_of(request))
    origin = text_of(request, "origin")
    if origin not in (None, "live", "import", "replay"):
        raise Problem(400, "invalid_origin", "origin is live, import or replay.", field="origin")
    return HistoryFilter(
        account=account,
        subject=subject,
        action=text_of(request, "action"),
        origin=origin,
        alone=sees_alone(principal),
    )
