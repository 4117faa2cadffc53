"""The one form of every error an HTTP caller sees: {"code", "message", "field"?, "hint"?, "docs"?}.

Problem                          what a route raises; carries its status
any error with `retry_after_s`   something we depend on is away: 503 with Retry-After
any other exception              a bug: 500 that names the request, the traceback in the log
"""

import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry.logs import get_logger, request_id

_log = get_logger(__name__)
_encode = msgspec.json.encode
_CODES = {404: "not_found", 405: "method_not_allowed"}


class Problem(Exception):
    """An answer that is not the one asked for: its status, a stable code and a sentence that says what to do.

    `field` is the dotted path in the caller's own names, `hint` what to try, `docs` an address or page.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        docs: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint
        self.docs = docs
        self.headers = dict(headers or {})


def problem_response(problem: Problem) -> Response:
    """The problem as a response, for routes that are plain ASGI."""
    optional = {"field": problem.field, "hint": problem.hint, "docs": problem.docs}
    content = {"code": problem.code, "message": problem.message}
    content.update({name: value for name, value in optional.items() if value is not None})
    # A text of the caller's may hold half a surrogate pair, which no UTF-8 does.
    content = {name: text.encode(errors="replace").decode() for name, text in content.items()}
    return Response(_encode(content), problem.status, problem.headers, "application/json")


def problem_of(error: Exception) -> Problem:
    """What the caller is told of any exception; an unexpected one says nothing of its cause."""
    if isinstance(error, Problem):
        return error
    retry_after_s = getattr(error, "retry_after_s", None)
    if isinstance(retry_after_s, int | float):
        after = str(max(1, math.ceil(retry_after_s)))
        return Problem(
            503,
            "unavailable",
            str(error) or "The service cannot store or read anything at the moment.",
            hint=f"Send the same request again in {after} s; events keep their ids and count once.",
            headers={"retry-after": after},
        )
    return Problem(
        500,
        "internal",
        f"Something failed here; it is not your fault. The log has it as request {request_id.get() or '-'}.",
        hint="Send the request again; if it fails again, give this request's id to whoever runs Footfall.",
    )


def report(error: Exception, scope: Scope) -> Problem:
    """As `problem_of`; what is unexpected goes to the log, with its traceback."""
    problem = problem_of(error)
    if problem.code == "internal":
        _log.error("request failed", method=scope["method"], path=scope["path"], exc_info=error)
    return problem


def install_errors(app: FastAPI) -> None:
    """Make every error of the app an answer in the contract.

    Call before adding other middleware: what is added later wraps the error answers too (CORS must).
    """
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_middleware(ErrorBoundary)


class ErrorBoundary:
    """Answers what no handler knows; an answer that already began is cut off, lest it be taken for whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watching_send(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watching_send)
        except Exception as error:
            if began:
                raise
            await problem_response(report(error, scope))(scope, receive, send)


async def _answer_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    code = _CODES.get(error.status_code) or _code_of(error.status_code)
    message = str(error.detail)
    hint = None
    if error.status_code == 404 and message == "Not Found":
        message = f"There is nothing at {request.url.path}."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow") or (error.headers or {}).get("Allow")
        message = f"{request.url.path} does not take {request.method}."
        hint = f"It takes: {allowed}" if allowed else None
    return problem_response(Problem(error.status_code, code, message, hint=hint, headers=error.headers))


def _code_of(status: int) -> str:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "error"
    return re.sub(r"\W+", "_", phrase.lower().replace("'", ""))


async def _answer_invalid(_: Request, error: Exception) -> Response:
    """422 for a body of the wrong shape; 400 for one that is not JSON, and for parameters."""
    assert isinstance(error, RequestValidationError)
    errors: Sequence[Mapping[str, object]] = error.errors()
    first = errors[0]
    location = first["loc"]
    assert isinstance(location, tuple)
    place, *path = (str(step) for step in location)
    said = str(first["msg"])
    if first["type"] == "json_invalid":
        return problem_response(
            Problem(400, "invalid_json", f"The body is not JSON: {said} at byte {path[-1]}.")
        )
    field = ".".join(path) or None
    where = {"query": "The parameter", "path": "The path's", "header": "The header"}.get(place, "The body's")
    message = f"{where} {field}: {said}." if field else f"The body is missing or of the wrong shape: {said}."
    if len(errors) > 1:
        message += f" {len(errors) - 1} more {'is' if len(errors) == 2 else 'are'} wrong."
    if place == "body":
        return problem_response(Problem(422, "invalid_body", message, field=field))
    return problem_response(Problem(400, "invalid_parameter", message, field=field))
