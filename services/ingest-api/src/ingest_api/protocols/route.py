"""The way of every vendor's request: match, read, decode, authenticate, admit, append, answer in their form."""

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from access.cache import Access
from access.credentials import authorization, query_value
from access.keys import kind_of
from access.model import Principal
from admission import BodyRefused, sender_of
from ingest_api.bodies import header, read_body
from ingest_api.events import refused_problem
from ingest_api.inflight import Inflight, Reservation
from ingest_api.intake import Intake
from ingest_api.protocols.exchange import Call, Decoded, EventProtocol, Outcome, Reply, Request
from ingest_api.protocols.table import Match, Row
from ingest_api.senders import client_of, find_sender_by
from lifecycle.errors import Problem, problem_of
from telemetry.catalog import INGEST_BODY_BYTES, INGEST_REFUSED
from telemetry.metrics import Metrics

# Above this, decoding would hold up every other request for milliseconds.
_IN_THREAD_BYTES: Final = 128 * 1024
_QUERY_KEYS: Final = (b"key", b"writeKey", b"writekey")


class VendorRoute:
    """Answers what a row of the table matches; a key counts wherever the vendor puts it, header first."""

    def __init__(self, access: Access, intake: Intake, inflight: Inflight, metrics: Metrics) -> None:
        self._access = access
        self._intake = intake
        self._inflight = inflight
        self._metrics = metrics
        self._received = metrics.counter(INGEST_BODY_BYTES, "received")
        self._decoded = metrics.counter(INGEST_BODY_BYTES, "decoded")

    async def __call__(self, match: Match, scope: Scope, receive: Receive, send: Send) -> None:
        # Metrics name a request by its route, which is the framework's to set.
        scope["route"] = Route(match.route, self._unused)
        try:
            reply = await self._reply(match, scope, receive)
        except ClientDisconnect:
            return
        await Response(reply.body, reply.status, dict(reply.headers), reply.media_type)(scope, receive, send)

    async def _reply(self, match: Match, scope: Scope, receive: Receive) -> Reply:
        with self._inflight.reserve() as reservation:
            vendor = match.rows[0].vendor
            request = Request(scope, vendor, match.path, match.parameters, b"")
            row = match.rows[0]
            try:
                # Whose form an answer takes while the body is not known.
                row = _fitting(match.rows, request) or row
                body, received_bytes = await self._read(scope, receive, reservation)
                self._received.inc(received_bytes)
                self._decoded.inc(len(body))
                request = Request(scope, vendor, match.path, match.parameters, body)
                row = _meant(match.rows, request)
                if isinstance(row.speaks, Call):
                    return row.speaks.answer(request)
                outcome = await self._take(row.speaks, request, scope)
            except ClientDisconnect:
                raise
            except Exception as error:
                problem = refused_problem(error) if isinstance(error, BodyRefused) else problem_of(error)
                if problem.code == "internal":
                    raise
                self._metrics.counter(INGEST_REFUSED, problem.code).inc()
                outcome = Outcome(None, problem)
            if isinstance(row.speaks, Call):
                return _plain(outcome.problem)
            reply = row.speaks.answer(request, outcome)
            added = {name.decode(): value.decode() for name, value in outcome.headers}
            return reply._replace(headers={**reply.headers, **added})

    async def _take(self, protocol: EventProtocol, request: Request, scope: Scope) -> Outcome:
        outside = _keys_outside(scope)
        # A key outside the body is asked first: whoever has none, or sends too much, costs no decoding.
        agent = header(scope, b"user-agent")
        principal = await self._sender(outside, agent) if any(map(kind_of, outside)) else None
        try:
            decoded = await _decode_off_loop(protocol, request)
        except BodyRefused as refused:
            if principal is not None:
                await self._intake.keep_refused(
                    principal.project,
                    refused,
                    request.body,
                    place=request.path,
                    sender=sender_of(principal.key_id, agent),
                    client=client_of(principal, scope),
                    policy=self._access.policy(principal.project),
                )
            raise
        if principal is None:
            principal = await self._sender([*outside, *filter(None, (decoded.key,))], agent)
        taken = await self._intake.take_items(
            principal.project,
            decoded.items,
            size_bytes=len(request.body),
            imported_from=request.vendor if decoded.imported else None,
            place=request.path,
            sender=sender_of(principal.key_id, agent),
            client=client_of(principal, scope),
            policy=self._access.policy(principal.project),
        )
        return Outcome(taken.admitted, items=decoded.items, headers=taken.headers)

    async def _read(self, scope: Scope, receive: Receive, reservation: Reservation) -> tuple[bytes, int]:
        try:
            return await read_body(scope, receive, reservation)
        except (BodyRefused, Problem) as refusal:
            # Whose key stands in the body alone cannot be told.
            if any(map(kind_of, outside := _keys_outside(scope))):
                principal = await find_sender_by(self._access, *outside)
                sender = sender_of(principal.key_id, header(scope, b"user-agent"))
                self._intake.refuse_unread(principal.project, sender, refusal)
            raise

    async def _sender(self, keys: Sequence[str], agent: str) -> Principal:
        principal = await find_sender_by(self._access, *keys)
        self._intake.check_rate(principal.project, sender_of(principal.key_id, agent))
        return principal

    async def _unused(self) -> None:
        raise AssertionError("the route is a name for metrics")


def _keys_outside(scope: Scope) -> list[str]:
    query = scope["query_string"]
    found = (authorization(scope["headers"]), *(query_value(query, name) for name in _QUERY_KEYS))
    return [text for text in found if text is not None]


async def _decode_off_loop(protocol: EventProtocol, request: Request) -> Decoded:
    if len(request.body) <= _IN_THREAD_BYTES:
        return protocol.decode(request)
    return await asyncio.to_thread(protocol.decode, request)


def _fitting(rows: Sequence[Row], request: Request) -> Row | None:
    return next(
        (row for row in rows if request.method in row.methods and (row.marks is None or row.marks(request))),
        None,
    )


def _meant(rows: Sequence[Row], request: Request) -> Row:
    row = _fitting(rows, request)
    if row is not None:
        return row
    allowed = ", ".join(sorted({method for row in rows for method in row.methods}))
    if request.method not in {method for row in rows for method in row.methods}:
        raise Problem(
            405,
            "method_not_allowed",
            f"{request.path} does not take {request.method}.",
            hint=f"It takes: {allowed}",
            headers={"allow": allowed},
        )
    raise Problem(
        400,
        "unknown_protocol",
        f"Several vendors' SDKs send to {request.path}, and nothing in this request says which.",
        hint="Send to /compat/<vendor>" + request.path + " instead.",
    )


def _plain(problem: Problem | None) -> Reply:
    assert problem is not None
    return Reply(problem.status, problem.message.encode(), "text/plain; charset=utf-8", problem.headers)
