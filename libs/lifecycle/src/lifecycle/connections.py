"""What one connection may do to the server: deadlines and bounds that uvicorn's protocol leaves out.

Without them a client that sends a byte now and then, or never reads, holds its connection for ever.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from urllib.parse import unquote

import msgspec
import uvicorn
from httptools import parse_url
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from lifecycle.exchanges import Exchange
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
        self._lingered_bytes = 0
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
        # A connection and its last request would keep each other until the garbage collector comes by.
        self.cycle = None  # type: ignore[assignment]  # as it starts

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
        before = self.cycle
        self.cycle = self._exchange()
        if before is None or before.response_complete:  # type: ignore[redundant-expr]  # starts as None
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _exchange(self) -> Exchange:
        version, address = self.parser.get_http_version(), parse_url(self.url)
        path = address.path.decode("ascii")
        self.scope["http_version"] = version
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = address.path
        self.scope["query_string"] = address.query or b""
        exchange = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        exchange.on_last_answer = self.close_when_read
        return exchange

    def on_message_complete(self) -> None:
        self._disarm()
        self._enter(_Phase.BETWEEN)
        super().on_message_complete()
        if self._close_when_read:
            self.transport.close()

    def close_when_read(self) -> None:
        """Close once the request's body has come; `linger_s` bounds the wait."""
        if self._phase is _Phase.BODY and self._is_idle():
            self._close_when_read = True
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase is _Phase.BODY and not self.transport.is_closing():
            # Time for the client to read the answer: closing at once over unread bytes would reset it away.
            self._disarm()
            self._lingered_bytes = self._phase_bytes
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

    def is_between(self) -> bool:
        """Whether the parser has read whole requests and nothing more."""
        return self._phase is _Phase.BETWEEN

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
        sends_on = self._phase_bytes > self._lingered_bytes
        if sends_on and self.loop.time() - self._phase_began_s < self._limits.body_s:
            # Most clients look for an answer only once all of their body has gone.
            self._lingered_bytes = self._phase_bytes
            self._arm(self._limits.linger_s, self._body_unread)
        else:
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


_PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
