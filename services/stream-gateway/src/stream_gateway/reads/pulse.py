"""`/v1/pulse`: the whole service in a few numbers, and activities by minute, day and hour."""

from collections.abc import Mapping
from datetime import date, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.model import Principal, Project
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from stream_gateway.live.channel import Channel
from stream_gateway.principals import (
    Readers,
    narrow_subject,
    require_account,
    require_whole_project,
    sees_alone,
)
from stream_gateway.projection.projector import NOW_WINDOW
from stream_gateway.reads.answers import answer, not_found, subject_of, text_of
from stream_gateway.reads.counts import Scope
from stream_gateway.reads.period import Days
from stream_gateway.reads.read_model import ReadModel

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
                "activities_today": seen.activities_today,
                "top_activities": seen.top_activities,
                "now_window_s": int(NOW_WINDOW.total_seconds()),
                "today": Days.until(now, project.settings.time_zone, 1).last,
                "time_zone": project.settings.time_zone,
                "as_of": now,
                "cursor": activity.cursor_at(positions),
            }
        )

    @routes.get("/v1/pulse/minutes")
    async def minutes(request: Request) -> Response:
        """Activities in each minute of the last hour."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        now = clock.now()
        return answer({"items": await reads.minutes(principal.project, now), "as_of": now})

    @routes.get("/v1/pulse/days")
    async def days(request: Request) -> Response:
        """Activities by day and action; of the whole project also distinct people and trial sign-ups by day."""
        principal = await readers.reader(request)
        scope = _scope(request, principal)
        project = _project(access, principal)
        days = _days(request, project, clock, 30)
        people: Mapping[date, int] = {}
        sign_ups: Mapping[date, int] = {}
        if scope.account is None and scope.subject is None:
            people = await reads.active_days(project.id, days)
            sign_ups = await reads.sign_up_days(project.id, days)
        return answer(
            {
                "items": await reads.days(project.id, days, scope),
                "active_users": {day.isoformat(): number for day, number in people.items()},
                "trial_signups": {day.isoformat(): number for day, number in sign_ups.items()},
                "from": days.first,
                "to": days.last,
                "time_zone": days.zone,
            }
        )

    @routes.get("/v1/pulse/hours")
    async def hours(request: Request) -> Response:
        """Activities by weekday and hour of the project's time zone."""
        principal = await readers.reader(request)
        scope = _scope(request, principal)
        project = _project(access, principal)
        days = _days(request, project, clock, 28)
        return answer(
            {
                "items": await reads.hours(project.id, days, scope),
                "from": days.first,
                "to": days.last,
                "time_zone": days.zone,
            }
        )

    return routes


def _scope(request: Request, principal: Principal) -> Scope:
    """Whose activities are asked for, within what the token may see."""
    account, subject = text_of(request, "account"), subject_of(request)
    if account is None and subject is None:
        require_whole_project(principal)
    elif account is not None and subject is None:
        require_account(principal, account)
    else:
        account, subject = narrow_subject(principal, account, subject)
    return Scope(account, subject, text_of(request, "action"), sees_alone(principal))


def _days(request: Request, project: Project, clock: Clock, by_default: int) -> Days:
    zone = project.settings.time_zone
    last = _day(request, "to") or Days.until(clock.now(), zone, 1).last
    first = _day(request, "from") or last - min(timedelta(by_default - 1), last - date.min)
    if not 0 <= (last - first).days < _MAX_DAYS:
        raise Problem(
            400,
            "invalid_range",
            f"from= to= spans 1 to {_MAX_DAYS} days.",
            field="from",
            hint="Ask in parts.",
        )
    return Days(zone, first, last)


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
