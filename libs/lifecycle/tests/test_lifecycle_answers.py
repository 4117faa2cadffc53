"""How an answer is handed to the socket: whole where its length is known, at once where it is a stream."""

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

from lifecycle.connections import GuardedProtocol
from lifecycle.limits import Limits
from lifecycle.server import Server
from telemetry.metrics import Metrics

LENGTH_5 = [(b"content-length", b"5")]


class _Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.protocol: weakref.ref[GuardedProtocol] | None = None

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


def _sending(*messages: Message) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def _start(headers: Sequence[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _body(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _written(app: ASGIApp, method: str = "GET", count: int = 1) -> _Socket:
    server = Server(app, Metrics("probe"), Limits())
    server.config.load()
    protocol = GuardedProtocol(server.config, ServerState(), {})  # type: ignore[arg-type]  # as Server makes it
    written = _Socket()
    protocol.connection_made(written)
    for _ in range(count):
        protocol.data_received(f"{method} / HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        async with asyncio.timeout(10):
            while protocol.tasks:
                await asyncio.sleep(0)
    protocol.connection_lost(None)
    written.protocol = weakref.ref(protocol)
    return written


async def test_an_answered_request_is_gone_with_the_next_one() -> None:
    """Nothing is left to the garbage collector, which looks rarely."""
    requests: list[weakref.ref[object]] = []
    answer = _sending(_start(LENGTH_5), _body(b"hello"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        requests.append(weakref.ref(receive.__self__))  # type: ignore[attr-defined]  # a request's own method
        await answer(scope, receive, send)

    gc.disable()
    try:
        await _written(app, count=3)
        assert len(requests) == 3
        assert [request() for request in requests[:2]] == [None, None]
    finally:
        gc.enable()


async def test_a_closed_connection_is_gone_at_once() -> None:
    answers = {"answered": [_start(LENGTH_5), _body(b"hello")], "cut off": [_start(LENGTH_5)]}
    gc.disable()
    try:
        for messages in answers.values():
            written = await _written(_sending(*messages))
            assert written.protocol is not None
            assert written.protocol() is None
    finally:
        gc.enable()


async def test_an_answer_of_known_length_leaves_in_one_write() -> None:
    written = (await _written(_sending(_start(LENGTH_5), _body(b"hello")))).written
    assert len(written) == 1
    assert written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert written[0].endswith(b"\r\n\r\nhello")


async def test_an_answer_in_several_pieces_keeps_their_order() -> None:
    pieces = _sending(_start(LENGTH_5), _body(b"he", more=True), _body(b"l", more=True), _body(b"lo"))
    written = (await _written(pieces)).written
    assert len(written) == 3
    assert b"".join(written).endswith(b"\r\n\r\nhello")


async def test_the_head_of_a_stream_does_not_wait_for_its_first_event() -> None:
    written = (await _written(_sending(_start([]), _body(b"", more=True), _body(b"later")))).written
    assert written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"later" not in written[0]


async def test_an_answer_without_a_body_is_sent() -> None:
    for headers, method in (([(b"content-length", b"0")], "GET"), (LENGTH_5, "HEAD")):
        written = (await _written(_sending(_start(headers), _body(b"")), method)).written
        assert b"".join(written).endswith(b"\r\n\r\n")


async def test_an_answer_of_unknown_length_is_chunked_and_its_end_is_seen() -> None:
    written = (await _written(_sending(_start([]), _body(b"he", more=True), _body(b"llo")))).written
    assert b"transfer-encoding: chunked\r\n" in written[0]
    assert b"".join(written[1:]) == b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "header",
    [(b"x", b"a\r\nset-cookie: b"), (b"x", b"a\nb"), (b"x", b"a\0b"), (b"x: y\r\nz", b"a"), (b"x y", b"a")],
)
async def test_no_header_smuggles_another_into_the_answer(header: tuple[bytes, bytes]) -> None:
    written = await _written(_sending(_start([header, *LENGTH_5]), _body(b"hello")))
    assert b"".join(written.written).startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in b"".join(written.written)


@pytest.mark.parametrize("body", [b"hell", b"hello!"])
async def test_a_body_of_another_length_than_announced_ends_the_connection(body: bytes) -> None:
    written = await _written(_sending(_start(LENGTH_5), _body(body)))
    assert written.closed
    assert body not in b"".join(written.written)


async def test_an_answer_that_breaks_off_is_seen_to_have_begun() -> None:
    written = await _written(_sending(_start(LENGTH_5)))
    assert b"".join(written.written).startswith(b"HTTP/1.1 200 OK\r\n")
    assert written.closed
