"""GET or POST /t.gif: an event from an e-mail or a page without scripts, answered with an image of one pixel."""

import base64
import binascii
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from access.cache import Access
from admission import BodyRefused, sender_of
from ingest_api.bodies import header, read_body
from ingest_api.events import refused_problem
from ingest_api.inflight import Inflight
from ingest_api.intake import Intake, Taken
from ingest_api.senders import client_of, find_sender
from lifecycle.errors import Problem, problem_of
from telemetry.catalog import INGEST_REFUSED
from telemetry.metrics import Metrics

PATH: Final = "/t.gif"
MAX_FIELDS: Final = 500
GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
_HEADERS = {"cache-control": "no-store, private", "cross-origin-resource-policy": "cross-origin"}
# Not about the event: who sends it, and what keeps caches from answering.
_IGNORED = frozenset({"key", "_"})


class PixelRoute:
    """Always answers with the image: 200 once the event is durable or refused, 503 while the log is away."""

    def __init__(self, access: Access, intake: Intake, inflight: Inflight, metrics: Metrics) -> None:
        self._access = access
        self._intake = intake
        self._inflight = inflight
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, headers = 200, dict(_HEADERS)
        try:
            if scope["method"] != "HEAD":
                taken = await self._take(scope, receive)
                headers |= {name.decode(): value.decode() for name, value in taken.headers}
        except ClientDisconnect:
            return
        except Exception as error:
            problem = refused_problem(error) if isinstance(error, BodyRefused) else problem_of(error)
            if problem.code == "internal":
                raise
            self._metrics.counter(INGEST_REFUSED, problem.code).inc()
            if problem.status in (429, 503):
                status = problem.status
                headers |= problem.headers
        await Response(GIF, status, headers, "image/gif")(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive) -> Taken:
        principal = await find_sender(self._access, scope)
        sender = sender_of(principal.key_id, header(scope, b"user-agent"))
        self._intake.check_rate(principal.project, sender)
        with self._inflight.reserve() as reservation:
            query: bytes = scope["query_string"]
            try:
                body = b"" if scope["method"] == "GET" else (await read_body(scope, receive, reservation))[0]
                given = body.lstrip()
                if given[:1] not in (b"{", b"["):
                    given = event_of(query + b"&" + given if given else query)
            except (BodyRefused, Problem) as refusal:
                self._intake.refuse_unread(principal.project, sender, refusal)
                raise
            return await self._intake.take(
                principal.project,
                given,
                place=PATH,
                sender=sender,
                client=client_of(principal, scope),
                policy=self._access.policy(principal.project),
            )


def event_of(query: bytes) -> bytes:
    """The event of a query string or form, as a body of the native API.

    `p.<name>` are properties, `t.<name>` traits, other names fields. `data` holds the whole event instead, as
    JSON or base64 of JSON. Of a repeated name the last counts. Raises BodyRefused.
    """
    try:
        pairs = parse_qsl(query.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BodyRefused(
            "malformed", "too_many_fields", f"The address has more than {MAX_FIELDS} fields."
        ) from error
    event: dict[str, Any] = {}
    for name, value in pairs:
        if name == "data":
            return _decoded(value)
        if name in _IGNORED or not value:
            continue
        prefix, dot, rest = name.partition(".")
        if dot and rest and prefix in ("p", "t"):
            event.setdefault("properties" if prefix == "p" else "traits", {})[rest] = value
        else:
            event[name] = value
    return msgspec.json.encode(event)


def _decoded(data: str) -> bytes:
    raw = data.strip().encode()
    if raw[:1] in (b"{", b"["):
        return raw
    # A plus sign that nobody escaped reads as a space; padding is often left out.
    text = raw.replace(b" ", b"+").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        # Admission says what is wrong with it, and it is kept as it came.
        return raw
