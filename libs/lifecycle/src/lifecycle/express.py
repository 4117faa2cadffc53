"""Requests whose head was seen before and which arrive in one piece: answered without being taken apart again.

A client's requests on a connection differ in their bodies and hardly in their heads. What the parser made of a head
holds for the same bytes, so that an app may be handed the body alone.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from lifecycle.connections import GuardedConfig, GuardedProtocol
from telemetry.logs import get_logger

MAX_HEADS: Final = 4_096
"""Heads remembered, of all connections; one more and all are forgotten."""
MAX_HEAD_BYTES: Final = 2_048
_END: Final = b"\r\n\r\n"
# What differs from request to request, or asks for more than to be answered.
_APART: Final = frozenset(
    {
        *(b"content-encoding", b"expect", b"idempotency-key", b"traceparent", b"transfer-encoding"),
        *(b"upgrade", b"x-request-id"),
    }
)

_log = get_logger(__name__)


class Answer(NamedTuple):
    """`lines` are all headers as they go out, Content-Length among them, each with its line end."""

    status: int
    lines: bytes
    body: bytes


Answering: TypeAlias = Callable[[bytes], "asyncio.Future[Answer] | None"]
"""A body to the coming answer; None when the request is to go the ordinary way after all.

It may say None only before it has done anything. An exception instead of an answer cuts the connection off. Whoever
sets the answer asks first whether the future is done: the server cancels what it cannot wait for.
"""


class Express(Protocol):
    """What an app offers beside itself, for what it answers thousands of times a second."""

    def answering(self, scope: Scope) -> Answering | None:
        """Who answers requests with this head; None when they go the ordinary way. Asked after one was answered."""


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as an Answer has them; whoever makes them sees to it that they hold no line end."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Heads:
    """The heads that are known, with whoever answers them and the length of the body they announce."""

    def __init__(self, express: Express) -> None:
        self._express = express
        self._known: dict[bytes, tuple[int, Answering]] = {}
        self._ours: tuple[list[tuple[bytes, bytes]], bytes] = [], b""

    def find(self, data: bytes) -> tuple[Answering, bytes] | None:
        """Who answers the request that `data` is from its first byte to its last, and its body."""
        end = data.find(_END, 0, MAX_HEAD_BYTES) + 4
        if end < 4:
            return None
        found = self._known.get(data[:end])
        if found is None or len(data) - end != found[0]:
            return None
        return found[1], data[end:]

    def ours(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The lines of what the server adds to every answer; it makes a new list when one of them changes."""
        if self._ours[0] is not headers:
            self._ours = headers, lines_of(headers)
        return self._ours[1]

    def learn(self, data: bytes, scope: Scope) -> None:
        """Remember the head of a request that was answered, if it is all of `data`.

        `data` begins where a request begins; `scope` is what the parser made of the last one in it. Whoever sends the
        same head is answered as its sender was, so the two must belong together: they do when the body that `scope`
        announces is all that follows the first head.
        """
        end = data.find(_END, 0, MAX_HEAD_BYTES) + 4
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if end < 4 or scope["http_version"] != "1.1":
            return
        if any(
            name in _APART or (name == b"connection" and value.lower() != b"keep-alive")
            for name, value in headers
        ):
            return
        if [value for name, value in headers if name == b"content-length"] != [b"%d" % (len(data) - end)]:
            return
        answering = self._express.answering(scope)
        if answering is None:
            return
        if len(self._known) >= MAX_HEADS:
            self._known.clear()
        self._known[data[:end]] = len(data) - end, answering


class ExpressConfig(GuardedConfig):
    """With the heads that all connections of a server share."""

    heads: Heads


class ExpressProtocol(GuardedProtocol):
    """As its parent, and takes what it has seen before a shorter way: one request at a time, in their order."""

    def __init__(
        self,
        config: ExpressConfig,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._heads = config.heads
        self._busy = False
        self._last = False
        self._held = b""
        self._answered_at_s = float("-inf")
        self._learning: tuple[bytes, Scope] | None = None

    def data_received(self, data: bytes) -> None:
        if self._busy:
            # At most what one read brings: the rest waits in the kernel.
            self._held += data
            self.transport.pause_reading()
            return
        between = self.is_between() and self._is_idle()
        if between and not self.flow.write_paused:
            found = self._heads.find(data)
            if found is not None and (coming := found[0](found[1])) is not None:
                self._disarm()
                self._busy = True
                self.tasks.add(coming)  # type: ignore[arg-type]  # the server waits for it or cancels it
                coming.add_done_callback(self._answer)
                return
        super().data_received(data)
        if between and self.is_between() and not self.transport.is_closing():
            scope: Any = self.cycle.scope
            self._learning = data, scope

    def on_response_complete(self) -> None:
        learning, self._learning = self._learning, None
        if learning is not None:
            self._heads.learn(*learning)
        super().on_response_complete()

    def _answer(self, coming: "asyncio.Future[Answer]") -> None:
        self.tasks.discard(coming)
        self._busy = False
        try:
            status, lines, body = coming.result()
        except asyncio.CancelledError:
            self.transport.abort()
            return
        except Exception:
            _log.exception("a request was not answered")
            self.transport.abort()
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        ours = self._heads.ours(self.server_state.default_headers)
        last = b"connection: close\r\n" if self._last else b""
        self.transport.write(b"%b%b%b%b\r\n%b" % (STATUS_LINE[status], ours, lines, last, body))
        if self._last:
            self.transport.close()
            return
        self._answered_at_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive_for(self.timeout_keep_alive)
        if self._held:
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self.data_received(held)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._held, self._learning = b"", None

    def shutdown(self) -> None:
        if self._busy:
            self._last = True
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        # Setting a timer costs more than looking at the clock, so one is not set anew for each answer.
        left_s = self._answered_at_s + self.timeout_keep_alive - self.loop.time()
        if self._busy or left_s > 0:
            self._keep_alive_for(max(1.0, left_s))
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
