"""`/v1/plan`: the tracking plan of a project."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.errors import AccessUnavailable
from access.model import StoredPlan
from access.plans import Plans
from access.requests import admit_administrator
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from policy import Plan, PlanInvalid, PlanProblem, read_plan
from stream_gateway.plans.learning import learn_plan
from stream_gateway.plans.traffic import MAX_EVENTS, RecentTraffic, Traffic, read_set_aside, read_traffic
from stream_gateway.plans.trial import ViolationCount, try_plan
from stream_gateway.plans.unplanned import UnplannedAction, find_unplanned
from stream_gateway.principals import as_problems
from stream_gateway.reads.answers import answer

TRIED_EVENTS: Final = 5_000

_NONE: Final = Plan()
_PROBLEM: Final = "invalid_plan"


class Learn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From how many of the newest events."""

    events: int = 10_000


class _Trial(NamedTuple):
    traffic: Traffic
    violations: Sequence[ViolationCount]


def plan_routes(plans: Plans, traffic: RecentTraffic, access: Access, clock: Clock) -> APIRouter:
    """The routes; for secret keys, and for logged-in people with `?project=`."""
    routes = APIRouter()

    @routes.get("/v1/plan")
    async def get_plan(request: Request) -> Response:
        """The plan in force, or the one of `version`."""
        principal = await admit_administrator(access, request)
        version = _version_of(request)
        with as_problems():
            stored = await plans.get(principal.project, version)
        if stored is None and version is not None:
            raise Problem(404, "not_found", f"The project has no plan {version}.", field="version")
        return answer(_shown(stored))

    @routes.put("/v1/plan")
    async def put_plan(request: Request) -> Response:
        """Puts a plan in force: in every process within a second."""
        principal = await admit_administrator(access, request)
        try:
            plan = await _read(request)
        except PlanInvalid as error:
            return _refused(error)
        with as_problems():
            stored = await plans.apply(principal.project, plan)
        # The change holds already; without the database this process follows like the others.
        with suppress(AccessUnavailable):
            await access.refresh()
        return answer(_shown(stored))

    @routes.get("/v1/plan/versions")
    async def list_versions(request: Request) -> Response:
        """What was applied when, newest first."""
        principal = await admit_administrator(access, request)
        with as_problems():
            found = await plans.history(principal.project)
        items = [
            {
                "version": stored.version,
                "applied_at": stored.applied_at,
                "mode": stored.plan.mode,
                "unplanned": stored.plan.unplanned or stored.plan.mode,
                "actions": len(stored.plan.actions),
            }
            for stored in found
        ]
        return answer({"items": items})

    @routes.post("/v1/plan/check")
    async def check_plan(request: Request) -> Response:
        """What is wrong with a plan, and what it would have said about the newest events; changes nothing."""
        principal = await admit_administrator(access, request)
        try:
            plan = await _read(request)
        except PlanInvalid as error:
            return answer({"errors": _told(error), "events": 0, "since": None, "violations": []})
        rows = await traffic.newest(principal.project, TRIED_EVENTS)
        tried = await asyncio.to_thread(_tried, plan, rows)
        return answer(
            {
                "errors": [],
                "events": len(tried.traffic.events),
                "since": tried.traffic.since,
                "violations": tried.violations,
            }
        )

    @routes.post("/v1/plan/learn")
    async def learn(request: Request) -> Response:
        """A draft of a plan from the newest events; nothing is applied."""
        principal = await admit_administrator(access, request)
        rows = await traffic.newest(principal.project, await _wanted(request))
        found = await asyncio.to_thread(read_traffic, rows)
        plan = await asyncio.to_thread(learn_plan, found.events)
        return answer({"plan": _document(plan), "events": len(found.events), "since": found.since})

    @routes.get("/v1/plan/unplanned")
    async def list_unplanned(request: Request) -> Response:
        """Actions that arrive and are not in the plan, most frequent first."""
        principal = await admit_administrator(access, request)
        with as_problems():
            stored = await plans.get(principal.project)
        plan = _NONE if stored is None else stored.plan
        rows = await traffic.newest(principal.project, MAX_EVENTS)
        refused = await traffic.unplanned(principal.project)
        found, items = await asyncio.to_thread(_unplanned, plan, rows, refused)
        return answer(
            {"items": items, "events": len(found.events), "since": found.since, "as_of": clock.now()}
        )

    return routes


def _tried(plan: Plan, rows: Sequence[str]) -> _Trial:
    found = read_traffic(rows)
    return _Trial(found, try_plan(plan, found))


def _unplanned(
    plan: Plan, rows: Sequence[str], refused: Sequence[str]
) -> tuple[Traffic, Sequence[UnplannedAction]]:
    found = read_traffic(rows)
    return found, find_unplanned(plan, found, read_set_aside(refused))


async def _read(request: Request) -> Plan:
    try:
        document = msgspec.json.decode(await request.body())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_json", f"The body is not JSON: {error}.") from error
    return await asyncio.to_thread(read_plan, document)


async def _wanted(request: Request) -> int:
    try:
        wanted = msgspec.json.decode(await request.body() or b"{}", type=Learn).events
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(422, "invalid_body", f"{error}.") from error
    if not 1 <= wanted <= MAX_EVENTS:
        raise Problem(
            422, "invalid_body", f"events is a whole number from 1 to {MAX_EVENTS:,}.", field="events"
        )
    return wanted


def _version_of(request: Request) -> int | None:
    text = request.query_params.get("version")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    raise Problem(400, "invalid_parameter", "version is a number of /v1/plan/versions.", field="version")


def _shown(stored: StoredPlan | None) -> dict[str, Any]:
    if stored is None:
        return {"version": 0, "applied_at": None, "plan": _document(_NONE)}
    return {"version": stored.version, "applied_at": stored.applied_at, "plan": _document(stored.plan)}


def _document(plan: Plan) -> dict[str, Any]:
    """The plan as people write it, with the versions of its actions."""
    written: dict[str, Any] = msgspec.to_builtins(plan)
    actions = {
        name: {**written["actions"][name], "version": action.version} for name, action in plan.actions.items()
    }
    unplanned = {} if plan.unplanned is None else {"unplanned": plan.unplanned}
    return {"mode": plan.mode, **unplanned, "actions": actions}


def _told(error: PlanInvalid) -> list[dict[str, str]]:
    return [_problem(problem) for problem in error.problems]


def _problem(problem: PlanProblem) -> dict[str, str]:
    return {name: text for name, text in problem._asdict().items() if text is not None}


def _refused(error: PlanInvalid) -> Response:
    problems = _told(error)
    number = len(problems)
    return answer(
        {
            "code": _PROBLEM,
            "message": f"The plan has {number} mistake{'s' if number > 1 else ''}; nothing was changed. The first: "
            f"{problems[0]['message']}",
            "field": problems[0]["path"],
            "errors": problems,
        },
        422,
    )
