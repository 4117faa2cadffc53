"""/v1/imports: upload, list, progress, bad lines, cancel. The contract stands in docs/importing.md."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final, cast, get_args

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import ClientDisconnect

from access.cache import Access
from access.model import Principal
from access.requests import admit_administrator
from importer.answers import BadLineList, RunAnswer, RunList, bad_line_answer, run_answer
from importer.frames import Source
from importer.planning import Planner
from importer.runs import FINISHED, Run, Runs, RunsUnavailable
from importer.uploads import MAX_NAME_CHARS, Uploads, file_too_large
from importer.worker import Worker
from lifecycle.clock import Clock
from lifecycle.errors import Problem

MAX_STREAMS: Final = 200
_POLL_S: Final = 0.5
_PING_S: Final = 15
_MAX_ACCOUNT_CHARS: Final = 1_024
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip"})


class ImportRoutes:
    """The routes with what they work on; `drain` ends the progress streams."""

    def __init__(
        self, access: Access, runs: Runs, uploads: Uploads, planner: Planner, worker: Worker, clock: Clock
    ) -> None:
        self._access = access
        self._runs = runs
        self._uploads = uploads
        self._planner = planner
        self._worker = worker
        self._clock = clock
        self._draining = asyncio.Event()
        self._streams = 0

    def drain(self) -> None:
        """Say `bye` on every progress stream."""
        self._draining.set()

    def router(self) -> APIRouter:
        caller = Annotated[Principal, Depends(self._caller)]
        text = Annotated[str | None, Query()]
        router = APIRouter(prefix="/v1/imports", redirect_slashes=False)

        @router.post("", status_code=202)
        async def upload(
            request: Request,
            response: Response,
            principal: caller,
            source: str = "",
            name: str = "upload",
            account: text = None,
            again: bool = False,
        ) -> RunAnswer:
            of, chunks = _source(source), _body(request)
            length = request.headers.get("content-length", "")
            if length.isdecimal() and int(length) > self._uploads.max_bytes:
                raise file_too_large(self._uploads.max_bytes)
            run, new = await self._uploads.take(
                principal.project, of, _shown(name), _account(account), chunks, again=again
            )
            self._worker.wake()
            response.status_code = 202 if new else 200
            return await self._answer(run)

        @router.post("/plan")
        async def plan(
            request: Request, principal: caller, source: str = "", account: text = None
        ) -> Response:
            found = await self._planner.plan(
                principal.project, _source(source), _account(account), _body(request)
            )
            return Response(msgspec.json.encode(found), media_type="application/json")

        @router.get("")
        async def runs(
            principal: caller, limit: Annotated[int, Query(ge=1, le=200)] = 50, before: text = None
        ) -> RunList:
            if before is not None and "\0" in before:
                raise Problem(
                    400, "invalid_parameter", "before is `next` of the page before.", field="before"
                )
            found = await self._runs.newest(principal.project, before, limit + 1)
            items = [run_answer(run, ()) for run in found[:limit]]
            return RunList(items=items, next=items[-1].run if len(found) > limit else None)

        @router.get("/{run}")
        async def status(principal: caller, run: str) -> RunAnswer:
            return await self._answer(await self._run(principal, run))

        @router.get("/{run}/events")
        async def events(principal: caller, run: str) -> Response:
            found = await self._run(principal, run)
            if self._streams >= MAX_STREAMS:
                raise Problem(
                    503,
                    "too_many_streams",
                    "Too many progress streams are open. Ask for the run every few seconds instead.",
                    headers={"retry-after": "10"},
                )
            return EventSourceResponse(self._progress(principal, found), ping=_PING_S, sep="\n")

        @router.get("/{run}/rejected")
        async def rejected(
            principal: caller,
            run: str,
            limit: Annotated[int, Query(ge=1, le=1000)] = 100,
            after: Annotated[int | None, Query(ge=-1, lt=1 << 63)] = None,
        ) -> BadLineList:
            found = await self._run(principal, run)
            lines = await self._runs.bad_lines(principal.project, found.id, after=after, limit=limit + 1)
            items = [bad_line_answer(line) for line in lines[:limit]]
            return BadLineList(items=items, next=items[-1].byte_offset if len(lines) > limit else None)

        @router.post("/{run}/cancel")
        async def cancel(principal: caller, run: str) -> RunAnswer:
            found = await self._run(principal, run)
            cancelled = await self._runs.cancel(principal.project, found.id, self._clock.now())
            if cancelled is None:
                raise Problem(409, "run_finished", "The import is already over; nothing is left to cancel.")
            return await self._answer(cancelled)

        return router

    async def _caller(self, request: Request) -> Principal:
        return await admit_administrator(self._access, request)

    async def _run(self, principal: Principal, run: str) -> Run:
        found = None if "\0" in run else await self._runs.get(principal.project, run)
        if found is None:
            raise Problem(404, "unknown_run", f"The project has no import {run[:64]!r}.")
        return found

    async def _answer(self, run: Run) -> RunAnswer:
        return run_answer(run, await self._runs.last_bad_lines(run.project, run.id) if run.rejected else ())

    async def _progress(self, principal: Principal, run: Run) -> AsyncIterator[ServerSentEvent]:
        self._streams += 1
        try:
            said = ""
            while True:
                answer = (await self._answer(run)).model_dump_json()
                over = run.state in FINISHED
                if over or answer != said:
                    yield _event("end" if over else "progress", answer)
                    said = answer
                if over:
                    return
                if self._draining.is_set() or not self._access.still_valid(principal):
                    yield _event("bye", "{}")
                    return
                await self._pause()
                run = await self._run(principal, run.id)
        except (Problem, RunsUnavailable):
            # Deleted, or the database is away: the client asks again and hears which.
            yield _event("bye", "{}")
        finally:
            self._streams -= 1

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._draining.wait()
        except TimeoutError:
            return


def _event(name: str, data: str) -> ServerSentEvent:
    return ServerSentEvent(data, event=name, sep="\n")


def _source(given: str) -> Source:
    if given not in get_args(Source):
        raise Problem(
            400,
            "unknown_source",
            f"?source={given[:64]} is not something that can be imported.",
            field="source",
            hint="Sources: access-log (Apache combined or common), ndjson (one event a line).",
        )
    return cast(Source, given)


def _shown(name: str) -> str:
    """The file's name as people see it: without directories and control characters."""
    plain = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    return plain[:MAX_NAME_CHARS] or "upload"


def _account(given: str | None) -> str | None:
    if given is not None and (not given or len(given) > _MAX_ACCOUNT_CHARS or not given.isprintable()):
        raise Problem(
            400, "invalid_account", "The account must have 1 to 1,024 printable characters.", field="account"
        )
    return given


def _body(request: Request) -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise Problem(
            415,
            "unsupported_encoding",
            f"Content-Encoding {encoding[:32]} is not taken here.",
            hint="Use gzip or none.",
        )
    return _chunks(request)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise Problem(400, "upload_cut_off", "The connection closed before the file was complete.") from error
