"""HTTP: /v1/rules and /v1/actions."""

import asyncio
from typing import Annotated, Any, Final, Literal, TypedDict, cast

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from access import Access
from access.requests import admit_administrator
from eventmodel import ProjectId
from lifecycle.errors import Problem
from rule_engine.action_history import Filters, InvalidPlace, format_place, parse_place, read_page
from rule_engine.database import Pool
from rule_engine.declarations import Rule
from rule_engine.language import Reading, read
from rule_engine.rule_store import RuleStore, TooManyRules
from rule_engine.rulebook import RuleBook

MAX_BODY_BYTES: Final = 2 * 1024 * 1024

router = APIRouter()


class Resources(TypedDict):
    """What the routes work with."""

    access: Access
    pool: Pool
    store: RuleStore
    book: RuleBook


def _resources(request: Request) -> Resources:
    return cast(Resources, request.app.state.resources)


Given = Annotated[Resources, Depends(_resources)]


async def _project(request: Request) -> ProjectId:
    """Of a secret key, or of a login with `?project=`. Raises Problem: 401, 403, 404."""
    return (await admit_administrator(_resources(request)["access"], request)).project


Project = Annotated[ProjectId, Depends(_project)]


class RuleText(BaseModel):
    """The body of a request with rules in it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


async def _rule_text(request: Request) -> str:
    """The `text` of the body. Raises Problem: 413 beyond MAX_BODY_BYTES, 400 for what is not JSON, 422."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, "body_too_large", f"The body has more than {MAX_BODY_BYTES:,} bytes.")
    try:
        return RuleText.model_validate_json(bytes(body)).text
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "invalid_json", f"The body is not JSON: {first['msg']}.") from error
        field = ".".join(map(str, first["loc"])) or "text"
        raise Problem(
            422,
            "invalid_body",
            f"The body's {field}: {first['msg']}.",
            field=field,
            hint='Send {"text": "rule \\"…\\" { … }"}.',
        ) from error


Text = Annotated[str, Depends(_rule_text)]


@router.post("/v1/rules")
async def put_rules(project: Project, text: Text, resources: Given) -> Response:
    """Create the rules of the text, or replace those of the same titles: all, or on any mistake none."""
    reading = await asyncio.to_thread(read, text)
    if reading.errors:
        number = len(reading.errors)
        return _json(
            {
                "code": "invalid_rule",
                "message": "Nothing was changed: "
                + ("the text has a mistake." if number == 1 else f"the text has {number} mistakes."),
                "errors": reading.errors,
            },
            422,
        )
    if not reading.rules:
        raise Problem(422, "no_rule", "The text has no rule.", field="text", hint='Write: rule "title" { … }')
    try:
        done = await resources["store"].put(project, reading.rules)
    except TooManyRules as error:
        raise Problem(
            409,
            "too_many_rules",
            str(error),
            hint="Delete rules that are no longer needed.",
        ) from error
    # This process asks the new rules of the very next event; the others within a second.
    await resources["book"].refresh()
    return _json({"rules": done})


@router.get("/v1/rules")
async def list_rules(project: Project, resources: Given) -> Response:
    """The active rules, by name."""
    return _json({"items": await resources["store"].list(project), "next": None})


@router.post("/v1/rules/check")
async def check_rules(project: Project, text: Text) -> Response:
    """What is wrong with the text, and what it would mean; changes nothing."""
    reading = await asyncio.to_thread(read, text)
    return _json(_verdict(reading))


@router.get("/v1/rules/{name:path}")
async def get_rule(project: Project, name: str, resources: Given) -> Response:
    """One active rule."""
    rule = await resources["store"].get(project, name) if "\0" not in name else None
    if rule is None:
        raise _no_such_rule(name)
    return _json(rule)


@router.delete("/v1/rules/{name:path}")
async def delete_rule(project: Project, name: str, resources: Given) -> Response:
    """Retire a rule; what it did stays."""
    if "\0" in name or not await resources["store"].remove(project, name):
        raise _no_such_rule(name)
    await resources["book"].refresh()
    return Response(status_code=204)


@router.get("/v1/actions")
async def list_actions(
    project: Project,
    resources: Given,
    user: str | None = None,
    account: str | None = None,
    rule: str | None = None,
    status: Literal["sent", "suppressed"] | None = None,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """What the rules did and would have done, newest first; `next` of a page is `before` of the following one."""
    try:
        place = parse_place(before) if before is not None else None
    except InvalidPlace as error:
        raise Problem(
            400,
            "invalid_place",
            "before is no place in the list.",
            field="before",
            hint="Send `next` of the page before, or leave it out.",
        ) from error
    if any("\0" in given for given in (user, account, rule) if given is not None):
        return _json({"items": [], "next": None})
    page = await read_page(resources["pool"], project, Filters(user, account, rule, status), place, limit)
    return _json({"items": page.actions, "next": format_place(page.next) if page.next else None})


def _verdict(reading: Reading) -> dict[str, Any]:
    return {
        "ok": not reading.errors,
        "errors": reading.errors,
        "rules": [_summary(rule) for rule in reading.rules],
    }


def _summary(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.title,
        "mode": rule.mode,
        "on": rule.action if rule.action is not None else "any",
        "any": rule.action is None,
        "actions": ["dashboard" for _ in rule.notes],
    }


def _no_such_rule(name: str) -> Problem:
    return Problem(404, "unknown_rule", f'There is no rule "{name[:200]}".', hint="GET /v1/rules lists them.")


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
