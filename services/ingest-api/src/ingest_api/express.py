"""POST /v1/events for requests whose head was seen before: what `events` does, without a request to take apart."""

from collections.abc import Awaitable
from functools import partial
from time import perf_counter
from typing import Final

from starlette.types import Scope

from access.cache import Access
from access.credentials import credential
from access.errors import AccessUnavailable
from access.model import Principal
from admission import sender_of
from eventmodel import Sender
from ingest_api.bodies import header
from ingest_api.cors import allowing
from ingest_api.events import PATH, answer_of
from ingest_api.inflight import Inflight
from ingest_api.intake import Intake, Taken
from ingest_api.senders import client_of
from lifecycle.errors import problem_response, report
from lifecycle.express import Answer, Answering, lines_of
from telemetry.catalog import INGEST_BODY_BYTES, INGEST_REFUSED
from telemetry.logs import request_id
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog, new_request_id

_JSON: Final = b"content-type: application/json\r\n"
_ASKED: Final = {"method": "POST", "path": PATH}


class ExpressEvents:
    """Takes bodies of keys that are known; refusals before a body is read are the ordinary way's to make."""

    def __init__(
        self, access: Access, intake: Intake, inflight: Inflight, requests: RequestLog, metrics: Metrics
    ) -> None:
        self._access = access
        self._intake = intake
        self._inflight = inflight
        self._requests = requests
        self._metrics = metrics
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

    def _take(self, key: str, sender: Sender | None, allowed: bytes, body: bytes) -> Awaitable[Answer] | None:
        principal = self._known(key)
        if principal is None or not self._inflight.has_room(len(body)):
            return None
        project = principal.project
        storing = self._intake.take_at_once(
            project, body, place=PATH, sender=sender, policy=self._access.policy(project)
        )
        return None if storing is None else self._answer(storing, len(body), allowed)

    def _known(self, key: str) -> Principal | None:
        try:
            return self._access.asked_before(key)
        except AccessUnavailable:
            return None

    async def _answer(self, storing: Awaitable[Taken], body_bytes: int, allowed: bytes) -> Answer:
        began_s = perf_counter()
        identity = new_request_id()
        request_id.set(identity)
        self._received.inc(body_bytes)
        self._decoded.inc(body_bytes)
        try:
            with self._inflight.reserve() as reservation:
                reservation.add(body_bytes)
                taken = await storing
        except Exception as error:
            problem = report(error, _ASKED)
            self._metrics.counter(INGEST_REFUSED, problem.code).inc()
            response = problem_response(problem)
            status, body, told = problem.status, bytes(response.body), lines_of(response.raw_headers)
        else:
            status, body = answer_of(taken.admitted)
            told = _JSON + b"content-length: %d\r\n" % len(body) + lines_of(taken.headers)
        self._requests.note(_ASKED, PATH, status, perf_counter() - began_s)
        return Answer(status, b"%b%bx-request-id: %b\r\n" % (told, allowed, identity.encode()), body)
