"""`/v1/pulse`: the whole service in a few numbers, and by day."""

from collections.abc import Mapping
from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.model import Principal, Project
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from stream_gateway.answers import answer, not_found, text_of
from stream_gateway.channel import Channel
from stream_gateway.principals import Readers, require_account, require_whole_project
from stream_gateway.projector import NOW_WINDOW
from stream_gateway.read_model import ReadModel, Today

_MAX_DAYS = 732


def pulse_routes(
    reads: ReadModel, readers: Readers, access: Access, activity: Channel, clock: Clock
) -> APIRouter:
    """The routes, reading `reads`; `activity` is the channel whose cursor the snapshot carries."""
    routes = APIRouter()

    @routes.get("/v1/pulse")
    async def pulse(request: Request) -> Response:
        """Active users, new trial sign-ups and top activities, and the cursor at which the stream goes on."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        project = _project(access, principal)
        now = clock.now()
        seen = await reads.pulse(project, now, activity.topic.name)
        positions = tuple(seen.positions.get(part, 0) for part in range(activity.topic.partitions))
        return answer(
            {
                "active_users": {"now": seen.active_now, "today": seen.active_today},
                "trial_signups_today": seen.trial_signups_today,
                "top_activities": seen.top_activities,
                "now_window_s": int(NOW_WINDOW.total_seconds()),
                "today": Today.of(project, now).day,
                "time_zone": project.settings.time_zone,
                "as_of": now,
                "cursor": activity.cursor_at(positions),
            }
        )

    @routes.get("/v1/pulse/days")
    async def days(request: Request) -> Response:
        """Activities by day and action, and distinct people by day, in the project's time zone."""
        principal = await readers.reader(request)
        account = text_of(request, "account")
        if account is None:
            require_whole_project(principal)
        else:
            require_account(principal, account)
        project = _project(access, principal)
        today = Today.of(project, clock.now()).day
        last = _day(request, "to") or today
        first = _day(request, "from") or date.fromordinal(max(1, last.toordinal() - 29))
        if not 0 <= (last - first).days < _MAX_DAYS:
            raise Problem(
                400,
                "invalid_range",
                f"from= to to= spans 1 to {_MAX_DAYS} days.",
                field="from",
                hint="Ask in parts.",
            )
        counts = await reads.days(project, first, last, account, text_of(request, "action"))
        people: Mapping[date, int] = {}
        if account is None:
            people = await reads.active_days(project, first, last)
        return answer(
            {
                "items": counts,
                "active_users": {day.isoformat(): people[day] for day in sorted(people)},
                "from": first,
                "to": last,
                "time_zone": project.settings.time_zone,
            }
        )

    return routes


def _project(access: Access, principal: Principal) -> Project:
    project = access.project(principal.project)
    if project is None:
        raise not_found("project")
    return project


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Problem(400, "invalid_day", f"{name} is a day such as 2026-11-22.", field=name) from error
