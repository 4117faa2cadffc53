"""POST /v1/events: the native API, a plain ASGI route because every event passes through it."""

from functools import lru_cache
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from access.cache import Access
from admission import Admitted, BodyRefused, sender_of
from ingest_api.bodies import header, read_body
from ingest_api.cors import allowing
from ingest_api.inflight import Inflight
from ingest_api.intake import Intake, Taken
from ingest_api.senders import client_of, find_sender
from lifecycle.errors import Problem, problem_response, report
from telemetry.catalog import INGEST_BODY_BYTES, INGEST_REFUSED
from telemetry.metrics import Metrics

PATH = "/v1/events"
MAX_IDEMPOTENCY_KEY_CHARS = 255
STATUSES = {"malformed": 400, "too_large": 413, "unsupported": 415}
_JSON = (b"content-type", b"application/json")


_encode = msgspec.json.Encoder().encode


class EventsRoute:
    """Answers 200 with accepted and rejected events, 400 when all were rejected, an error otherwise.

    Errors and other origins are its own affair: no layer stands around it but the request log, since each would
    cost a request more than reading its event does.
    """

    def __init__(self, access: Access, intake: Intake, inflight: Inflight, metrics: Metrics) -> None:
        self._access = access
        self._intake = intake
        self._inflight = inflight
        self._metrics = metrics
        self._received = metrics.counter(INGEST_BODY_BYTES, "received")
        self._decoded = metrics.counter(INGEST_BODY_BYTES, "decoded")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            taken = await self._take(scope, receive)
            status, body = answer_of(taken.admitted)
        except ClientDisconnect:
            return
        except BodyRefused as refused:
            problem = refused_problem(refused)
        except Exception as error:
            problem = report(error, scope)
        else:
            await send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": [
                        _JSON,
                        (b"content-length", b"%d" % len(body)),
                        *taken.headers,
                        *allowing(scope),
                    ],
                }
            )
            await send({"type": "http.response.body", "body": body})
            return
        self._metrics.counter(INGEST_REFUSED, problem.code).inc()
        response = problem_response(problem)
        response.raw_headers += allowing(scope)
        await response(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive) -> Taken:
        principal = await find_sender(self._access, scope)
        sender = sender_of(principal.key_id, header(scope, b"user-agent"))
        self._intake.check_rate(principal.project, sender)
        with self._inflight.reserve() as reservation:
            try:
                idempotency_key = _idempotency_key(scope)
                body, received_bytes = await read_body(scope, receive, reservation)
            except (BodyRefused, Problem) as refusal:
                self._intake.refuse_unread(principal.project, sender, refusal)
                raise
            self._received.inc(received_bytes)
            self._decoded.inc(len(body))
            return await self._intake.take(
                principal.project,
                body,
                place=PATH,
                sender=sender,
                client=client_of(principal, scope),
                policy=self._access.policy(principal.project),
                idempotency_key=idempotency_key,
            )


def _idempotency_key(scope: Scope) -> str | None:
    key = header(scope, b"idempotency-key") or None
    if key is not None and len(key) > MAX_IDEMPOTENCY_KEY_CHARS:
        raise Problem(
            400,
            "invalid_idempotency_key",
            f"The Idempotency-Key has more than {MAX_IDEMPOTENCY_KEY_CHARS} characters.",
            hint="A UUID is enough.",
        )
    return key


def refused_problem(refused: BodyRefused) -> Problem:
    """What the sender of a refused body is told."""
    return Problem(STATUSES[refused.reason], refused.code, refused.message, hint=refused.hint)


@lru_cache(maxsize=1_024)
def _all_accepted(events: int) -> bytes:
    return _encode({"accepted": events, "rejected": []})


def answer_of(admitted: Admitted) -> tuple[int, bytes]:
    """The status and the body of the answer."""
    accepted, rejections = len(admitted.messages), admitted.rejections
    if not (rejections or admitted.quarantined or admitted.warnings):
        return 200, _all_accepted(accepted)
    answer: dict[str, Any] = {"accepted": accepted, "rejected": rejections}
    if admitted.quarantined:
        answer["quarantined"] = admitted.quarantined
    if admitted.warnings:
        answer["warnings"] = admitted.warnings
    if accepted or not rejections or admitted.quarantined:
        return 200, _encode(answer)
    first = rejections[0]
    if len(rejections) == 1:
        error = {"code": first.code, "message": first.message, "field": first.field, "hint": first.hint}
    else:
        error = {
            "code": first.code if all(r.code == first.code for r in rejections) else "all_rejected",
            "message": f"None of the {len(rejections):,} events was accepted. The first: {first.message}",
            "hint": "`rejected` says for each event, by its index, what is wrong.",
        }
    return 400, _encode(answer | {name: text for name, text in error.items() if text is not None})
