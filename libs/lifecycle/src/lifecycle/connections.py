"""What one connection may do to the server: deadlines and bounds that uvicorn's protocol leaves out.

Without them a client that sends a byte now and then, or never reads, holds its connection for ever.
"""

import asyncio
from collections.abc import Callable
from enum import Enum

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from lifecycle.limits import Limits
from telemetry.catalog import CONNECTIONS_CLOSED
from telemetry.metrics import Metrics


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration with our limits in it; the protocol is handed nothing else."""

    limits: Limits
    metrics: Metrics


class _Phase(Enum):
    BETWEEN = 0
    HEADERS = 1
    BODY = 2
    REFUSED = 3


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with deadlines. A request that arrives in one piece arms no timer."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._metrics = config.metrics
        self._phase = _Phase.BETWEEN
        self._phase_began_s = 0.0
        self._phase_bytes = 0
        self._chunk_bytes = 0
        self._headers_too_large = False
        self._close_when_read = False
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._metrics.counter(CONNECTIONS_CLOSED, "too_many").inc()
            transport.abort()
            return
        self._arm(self._limits.header_s, self._headers_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._stop_write_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.REFUSED:
            return
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._phase is _Phase.BODY:
            self._phase_bytes += len(data)
            if self._deadline is None:
                self._arm(self._limits.body_s, self._body_late)
        elif self._phase is _Phase.HEADERS:
            self._phase_bytes += len(data)
            if self._phase_bytes > self._limits.header_bytes:
                self._headers_too_large = True
                self.send_400_response("")
            elif self._deadline is None:
                self._arm(self._limits.header_s, self._headers_late)
        elif self._deadline is None and self._is_idle() and self.timeout_keep_alive_task is None:
            # Line ends before a request line begin no message, yet end uvicorn's keep-alive timer.
            self._arm(self._limits.header_s, self._headers_late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._enter(_Phase.HEADERS)

    def on_headers_complete(self) -> None:
        if self._phase_bytes + self._chunk_bytes > self._limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._limits.header_bytes:
                self._headers_too_large = True
                raise ValueError("headers too large")
        self._disarm()
        self._enter(_Phase.BODY)
        super().on_headers_complete()
        self.cycle.transport = _Outlet(self, self.cycle)  # type: ignore[assignment]  # it only writes and closes

    def on_message_complete(self) -> None:
        self._disarm()
        self._enter(_Phase.BETWEEN)
        super().on_message_complete()
        if self._close_when_read:
            self.transport.close()

    def close_when_read(self) -> None:
        """Close once the request's body has come; `linger_s` bounds the wait."""
        if self._phase is _Phase.BODY and self.cycle.response_complete:
            self._close_when_read = True
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase is _Phase.BODY and not self.transport.is_closing():
            # Time for the client to read the answer: closing at once over unread bytes would reset it away.
            self._disarm()
            self._arm(self._limits.linger_s, self._body_unread)

    def send_400_response(self, msg: str) -> None:
        if self._headers_too_large:
            limit = self._limits.header_bytes
            self._refuse("header_bytes", 431, "headers_too_large", f"The headers exceed {limit:,} bytes.")
        else:
            self._refuse("malformed", 400, "malformed_request", "This is not a valid HTTP/1.1 request.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self._limits.write_s, self._write_late)

    def resume_writing(self) -> None:
        self._stop_write_deadline()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            # A close would wait for ever for a client that does not read.
            self._abort("write_deadline")
        else:
            super().timeout_keep_alive_handler()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._phase_began_s = self.loop.time()
        self._phase_bytes = 0

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # starts as None

    def _arm(self, after_s: float, handler: Callable[[], None]) -> None:
        self._deadline = self.loop.call_later(after_s, handler)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _headers_late(self) -> None:
        if not self._is_idle():
            # An answer is on its way, perhaps a long stream; what trickles behind it can wait.
            self._arm(self._limits.header_s, self._headers_late)
        elif self._phase is _Phase.HEADERS:
            self._refuse(
                "header_deadline",
                408,
                "request_timeout",
                f"The headers took over {self._limits.header_s:g} s.",
            )
        else:
            self._close("header_deadline")

    def _body_late(self) -> None:
        took_s = self.loop.time() - self._phase_began_s
        left_s = self._limits.body_s + self._phase_bytes / self._limits.body_bytes_per_s - took_s
        if self.flow.read_paused:
            left_s = max(left_s, self._limits.body_s)
        if left_s > 0:
            self._arm(left_s, self._body_late)
        elif self.cycle.response_started:
            self._close("body_deadline")
        else:
            self._refuse(
                "body_deadline", 408, "request_timeout", f"The body was not complete after {took_s:.0f} s."
            )

    def _body_unread(self) -> None:
        self._close("unread_body")

    def _write_late(self) -> None:
        self._abort("write_deadline")

    def _refuse(self, reason: str, status: int, code: str, message: str) -> None:
        body = msgspec.json.encode({"code": code, "message": message})
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._disarm()
        self._count(reason)
        self._enter(_Phase.REFUSED)
        self.transport.write(head.encode() + body)
        # Closing at once, over bytes of the client's still unread, would reset the answer away.
        self.transport.write_eof()
        self._arm(self._limits.linger_s, self.transport.close)

    def _close(self, reason: str) -> None:
        self._disarm()
        self._count(reason)
        self.transport.close()

    def _abort(self, reason: str) -> None:
        self._disarm()
        self._count(reason)
        self.transport.abort()

    def _count(self, reason: str) -> None:
        self._metrics.counter(CONNECTIONS_CLOSED, reason).inc()


class _Outlet:
    """The transport of one answer: its head leaves together with the first bytes of its body.

    uvicorn writes them one after the other, and a write to a socket costs more than making the answer. It also
    closes right after a connection's last answer; where bytes of the request are still unread, the client would
    be told that the connection was reset, and not what the answer says.
    """

    __slots__ = ("_cycle", "_held", "_protocol", "_transport")

    def __init__(self, protocol: GuardedProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._cycle: RequestResponseCycle | None = cycle
        self._held = b""

    def write(self, data: bytes) -> None:
        cycle = self._cycle
        if cycle is not None and cycle.response_started:
            # Each would keep the other alive until the garbage collector comes by.
            self._cycle = None
            if cycle.expected_content_length > 0 and cycle.scope["method"] != "HEAD":
                self._held = data
                return
        elif self._held:
            data = self._held + data
            self._held = b""
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._held:
            # The app fell over its answer: the client is to see that one began, and that it has no end.
            self._transport.write(self._held)
        self._protocol.close_when_read()


_PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
