"""One request and its answer on a connection: uvicorn's cycle, with an answer that costs less to write.

uvicorn looks at each header twice with a regular expression, and writes head and body one after the other. A write
to a socket costs more than making the answer of an accepted event does.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

_WITHOUT_BODY = (204, 304)
# What may stand in a head but for its line ends: HTTP allows no other control character than the tab.
_PLAIN = bytes([9, *range(32, 127), *range(128, 256)])


class Outlet(Protocol):
    """What an answer is written to."""

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool: ...

    def close(self) -> None: ...


class Exchange(RequestResponseCycle):
    """A request under way. The head of an answer leaves with the first bytes of its body.

    Only where the answer says its length: a stream says none, and its head leaves at once. `on_last_answer` is
    called after an answer that the connection is not to outlive.
    """

    on_last_answer: Callable[[], None]

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started and kind == "http.response.start":
            self._begin(message)  # type: ignore[arg-type]  # its type says which it is
        elif self.response_started and not self.response_complete and kind == "http.response.body":
            self._go_on(message)  # type: ignore[arg-type]  # its type says which it is
        else:
            raise RuntimeError(f"Unexpected ASGI message {kind!r}.")

    def _begin(self, message: HTTPResponseStartEvent) -> None:
        status = message["status"]
        bodiless = self.scope["method"] == "HEAD" or status in _WITHOUT_BODY
        length: int | None = None
        chunked = False
        lines = [STATUS_LINE[status]]
        for given, value in (*self.default_headers, *message.get("headers", ())):
            name = _checked(given)
            if name == b"content-length: ":
                length = int(value)
            elif name == b"transfer-encoding: ":
                chunked = value.lower() == b"chunked"
            elif name == b"connection: " and b"close" in value.lower():
                self.keep_alive = False
                continue
            lines.append(b"%b%b\r\n" % (name, value))
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if length is None and not chunked and not bodiless:
            chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines) + b"\r\n"
        if head.translate(None, _PLAIN) != b"\r\n" * (len(lines) + 1):
            raise RuntimeError("A header's value holds a control character.")
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = chunked
        self.expected_content_length = 0 if chunked or bodiless else length or 0
        if self.expected_content_length > 0:
            self.transport = _Unsent(self.transport, head)  # type: ignore[assignment]  # a cycle needs no more
        else:
            self.transport.write(head)

    def _go_on(self, message: HTTPResponseBodyEvent) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body = b""
        elif self.chunked_encoding:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("The body is not as long as its Content-Length says.")
        outlet: object = self.transport
        if isinstance(outlet, _Unsent):
            body = outlet.head + body
            self.transport = outlet.outlet  # type: ignore[assignment]  # as it was
        if body:
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.on_last_answer()
            self.on_response()


class _Unsent:
    """Stands in for the outlet while a head waits for its body."""

    __slots__ = ("head", "outlet")

    def __init__(self, outlet: Outlet, head: bytes) -> None:
        self.outlet = outlet
        self.head = head

    def write(self, data: bytes) -> None:
        self.outlet.write(data)

    def is_closing(self) -> bool:
        return self.outlet.is_closing()

    def close(self) -> None:
        """The app fell over its answer: the client is to see that one began, and that it has no end."""
        self.outlet.write(self.head)
        self.outlet.close()


@lru_cache(maxsize=1_000)
def _checked(name: bytes) -> bytes:
    """The name as it stands in a head, up to its value."""
    if HEADER_RE.search(name):
        raise RuntimeError(f"{name!r} is no name of a header.")
    return name.lower() + b": "
