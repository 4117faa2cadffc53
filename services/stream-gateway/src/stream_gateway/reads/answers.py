"""How answers are written: JSON by msgspec, never cached, and lists with their bound."""

import msgspec
from fastapi import Request
from starlette.responses import Response

from lifecycle.errors import Problem

_encode = msgspec.json.encode
MAX_LIMIT = 1000


def answer(body: object, status: int = 200) -> Response:
    """The body as JSON; times in RFC 3339, UTC."""
    return Response(_encode(body), status, {"cache-control": "no-store"}, "application/json")


def limit_of(request: Request, default: int = 50) -> int:
    """The `limit` of the query, 1 to 1,000; raises Problem."""
    text = request.query_params.get("limit")
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise Problem(400, "invalid_limit", f"limit is a whole number from 1 to {MAX_LIMIT:,}.", field="limit")


def text_of(request: Request, name: str) -> str | None:
    """A parameter of the query that may hold any text PostgreSQL can; raises Problem."""
    text = request.query_params.get(name)
    if text is not None and "\0" in text:
        raise Problem(
            400, "invalid_parameter", f"{name} holds a NUL character, which no id does.", field=name
        )
    return text


def subject_of(request: Request) -> str | None:
    """The subject that `user` or `anonymous_id` of the query names; raises Problem."""
    user, anonymous_id = text_of(request, "user"), text_of(request, "anonymous_id")
    if user is not None and anonymous_id is not None:
        raise Problem(
            400, "two_subjects", "Ask for user= or for anonymous_id=, not both.", field="anonymous_id"
        )
    if anonymous_id is not None:
        return f"a:{anonymous_id}"
    return None if user is None else f"u:{user}"


def days_of(request: Request, most: int) -> int | None:
    """The `days` of the query, 1 to `most`; raises Problem."""
    text = request.query_params.get("days")
    if text is None:
        return None
    if number := _number(text, most):
        return number
    raise Problem(400, "invalid_days", f"days is a whole number from 1 to {most}.", field="days")


def hours_of(request: Request, most: int) -> int | None:
    """The `hours` of the query, 1 to `most`; raises Problem."""
    text = request.query_params.get("hours")
    if text is None:
        return None
    if number := _number(text, most):
        return number
    raise Problem(400, "invalid_hours", f"hours is a whole number from 1 to {most}.", field="hours")


def _number(text: str, most: int) -> int | None:
    found = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return found if 1 <= found <= most else None


def not_found(what: str) -> Problem:
    """The same answer for what does not exist and for what is another project's."""
    return Problem(404, "not_found", f"There is no such {what} in this project.")
