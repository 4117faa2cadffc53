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


def not_found(what: str) -> Problem:
    """The same answer for what does not exist and for what is another project's."""
    return Problem(404, "not_found", f"There is no such {what} in this project.")
