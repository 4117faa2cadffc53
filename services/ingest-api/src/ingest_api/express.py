"""POST /v1/events for requests whose head was seen before: what `events` does, without a request to take apart."""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple

from starlette.types import Scope

from access.cache import Access
from access.credentials import credential
from access.errors import AccessUnavailable
from access.model import Principal
from admission import sender_of
from eventmodel import ProjectId, Sender
from ingest_api.bodies import header
from ingest_api.cors import allowing
from ingest_api.events import PATH, answer_of
from ingest_api.inflight import Inflight
from ingest_api.intake import Intake, Received
from ingest_api.senders import client_of
from lifecycle.errors import problem_response, report
from lifecycle.express import Answer, Answering, lines_of
from telemetry.catalog import INGEST_BODY_BYTES, INGEST_REFUSED
from telemetry.logs import request_id
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog, new_request_id

_JSON: Final = b"content-type: application/json\r\ncontent-length: %d\r\n"
# After a failure each request stands alone for so long, lest one partition that is down fail what goes to others.
_APART_S: Final = 5.0
_ASKED: Final = {"method": "POST", "path": PATH}


class _Asked(NamedTuple):
    """A request on its way: its body's bytes are held until its answer comes."""

    received: Received
    body_bytes: int
    allowed: bytes
    began_s: float
    coming: "asyncio.Future[Answer]"


class ExpressEvents:
    """Takes bodies of keys that are known; refusals before a body is read are the ordinary way's to make.

    What comes within one turn of the event loop is stored together, for appending costs more than admitting.
    """

    def __init__(
        self, access: Access, intake: Intake, inflight: Inflight, requests: RequestLog, metrics: Metrics
    ) -> None:
        self._access = access
        self._intake = intake
        self._inflight = inflight
        self._requests = requests
        self._metrics = metrics
        self._turn: dict[ProjectId, list[_Asked]] = {}
        self._apart_until_s = float("-inf")
        self._storing: set[asyncio.Task[None]] = set()
        self._received = metrics.counter(INGEST_BODY_BYTES, "received")
        self._decoded = metrics.counter(INGEST_BODY_BYTES, "decoded")

    def answering(self, scope: Scope) -> Answering | None:
        """Who answers requests with this head: those of servers, with a key that was found."""
        if scope["method"] != "POST" or scope["path"] != PATH or self._requests.writes_each:
            return None
        text = credential(scope["headers"], scope["query_string"])
        principal = None if text is None else self._known(text)
        if text is None or principal is None or client_of(principal, scope) is not None:
            return None
        sender = sender_of(principal.key_id, header(scope, b"user-agent"))
        return partial(self._take, text, sender, lines_of(allowing(scope)))

    def _take(
        self, key: str, sender: Sender | None, allowed: bytes, body: bytes
    ) -> "asyncio.Future[Answer] | None":
        began_s = perf_counter()
        principal = self._known(key)
        if principal is None or not self._inflight.has_room(len(body)):
            return None
        project = principal.project
        received = self._intake.receive_at_once(
            project, body, place=PATH, sender=sender, policy=self._access.policy(project)
        )
        if received is None:
            return None
        self._inflight.take(len(body))
        loop = asyncio.get_running_loop()
        asked = _Asked(received, len(body), allowed, began_s, loop.create_future())
        if received.plain and began_s >= self._apart_until_s:
            if not self._turn:
                loop.call_soon(self._end_turn)
            self._turn.setdefault(project, []).append(asked)
        else:
            self._begin([asked])
        return asked.coming

    def _known(self, key: str) -> Principal | None:
        try:
            return self._access.asked_before(key)
        except AccessUnavailable:
            return None

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, {}
        for asked in turn.values():
            self._begin(asked)

    def _begin(self, asked: Sequence[_Asked]) -> None:
        task = asyncio.create_task(self._store(asked))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def _store(self, asked: Sequence[_Asked]) -> None:
        held_bytes = sum([one.body_bytes for one in asked])
        self._received.inc(held_bytes)
        self._decoded.inc(held_bytes)
        try:
            headers = await self._intake.store([one.received for one in asked])
        except Exception as error:
            self._apart_until_s = perf_counter() + _APART_S
            for one in asked:
                self._refuse(one, error)
        else:
            lines, now_s = lines_of(headers), perf_counter()
            for one in asked:
                identity = _identify()
                status, body = answer_of(one.received.admitted)
                _answer(one, identity, status, _JSON % len(body) + lines, body)
            # Plain ones have one answer and are alone otherwise.
            self._requests.note(_ASKED, PATH, status, [now_s - one.began_s for one in asked])
        finally:
            self._inflight.give_back(held_bytes)
            for one in asked:
                # Nobody is left waiting for an answer that does not come, whatever went wrong.
                one.coming.cancel()

    def _refuse(self, asked: _Asked, error: Exception) -> None:
        identity = _identify()
        problem = report(error, _ASKED)
        self._metrics.counter(INGEST_REFUSED, problem.code).inc()
        response = problem_response(problem)
        _answer(asked, identity, problem.status, lines_of(response.raw_headers), bytes(response.body))
        self._requests.note(_ASKED, PATH, problem.status, [perf_counter() - asked.began_s])


def _identify() -> str:
    """The id that a request's lines in the log and its answer share."""
    identity = new_request_id()
    request_id.set(identity)
    return identity


def _answer(asked: _Asked, identity: str, status: int, lines: bytes, body: bytes) -> None:
    if not asked.coming.done():
        told = b"%b%bx-request-id: %b\r\n" % (lines, asked.allowed, identity.encode())
        asked.coming.set_result(Answer(status, told, body))
