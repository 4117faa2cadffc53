"""Requests whose head was seen before: answered in order, as their own sender's, or the ordinary way."""

import asyncio
from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from lifecycle.express import Answer, Answering, ExpressConfig, ExpressProtocol, Heads
from lifecycle.limits import Limits
from lifecycle.server import Server
from telemetry.metrics import Metrics

HELLO = b"hello"


class _Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_held(self) -> bool:
        """Whether nothing is read from it for now."""
        return not self.reading

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass
class _Echo:
    """Answers with the way a request went, its `x-who` and its body; `takes`, `fails` and `gate` say how."""

    takes: bool = True
    fails: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/wait":
            await self.gate.wait()
        said = b"ordinary %b %b;" % (_who(scope), body)
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    def answering(self, scope: Scope) -> Answering | None:
        who = _who(scope)

        def take(body: bytes) -> asyncio.Future[Answer] | None:
            return asyncio.ensure_future(self._answer(who, body)) if self.takes else None

        return take if scope["path"] == "/fast" else None

    async def _answer(self, who: bytes, body: bytes) -> Answer:
        await self.gate.wait()
        if self.fails:
            raise RuntimeError("broken")
        said = b"express %b %b;" % (who, body)
        return Answer(200, b"content-length: %d\r\n" % len(said), said)


def _who(scope: Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"x-who"), b"nobody")


@dataclass
class _Stand:
    echo: _Echo
    heads: Heads
    config: ExpressConfig
    protocols: list[ExpressProtocol] = field(default_factory=list)

    def connect(self) -> tuple[ExpressProtocol, _Socket]:
        protocol = ExpressProtocol(self.config, ServerState(), {})
        socket = _Socket()
        protocol.connection_made(socket)
        self.protocols.append(protocol)
        return protocol, socket


def _stand(limits: Limits | None = None) -> _Stand:
    echo = _Echo()
    echo.gate.set()
    server = Server(echo, Metrics("probe"), limits or Limits(), express=echo)
    server.config.load()
    assert isinstance(server.config, ExpressConfig)
    return _Stand(echo, server.config.heads, server.config)


def _request(body: bytes = HELLO, who: bytes = b"ada", path: bytes = b"/fast", more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: x\r\nx-who: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        path,
        who,
        more,
        len(body),
        body,
    )


async def _quiet(protocol: ExpressProtocol) -> None:
    async with asyncio.timeout(10):
        while protocol.tasks:
            await asyncio.sleep(0)


async def _sent(stand: _Stand, *pieces: bytes) -> bytes:
    """The bodies of one connection's answers to these pieces, each sent once nothing more comes of those before."""
    protocol, socket = stand.connect()
    for piece in pieces:
        protocol.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
    await _quiet(protocol)
    protocol.connection_lost(None)
    return _bodies(socket)


def _bodies(socket: _Socket) -> bytes:
    parts = socket.written.split(b"\r\n\r\n")[1:]
    return b"".join(part.partition(b"HTTP/1.1")[0] for part in parts)


async def test_a_head_is_known_after_its_first_answer_on_every_connection() -> None:
    stand = _stand()
    assert await _sent(stand, _request(), _request(b"again")) == b"ordinary ada hello;express ada again;"
    assert await _sent(stand, _request(b"third")) == b"express ada third;"


async def test_another_length_or_sender_is_another_head() -> None:
    stand = _stand()
    await _sent(stand, _request())
    assert await _sent(stand, _request(b"hello!")) == b"ordinary ada hello!;"
    assert await _sent(stand, _request(who=b"eve")) == b"ordinary eve hello;"


async def test_a_request_in_pieces_goes_the_ordinary_way() -> None:
    stand = _stand()
    await _sent(stand, _request())
    whole = _request()
    for at in range(1, len(whole)):
        assert await _sent(stand, whole[:at], whole[at:]) == b"ordinary ada hello;"


async def test_what_the_app_offers_nothing_for_is_never_learnt() -> None:
    stand = _stand()
    await _sent(stand, _request(path=b"/slow"))
    assert await _sent(stand, _request(path=b"/slow")) == b"ordinary ada hello;"


async def test_the_app_may_send_a_known_request_the_ordinary_way() -> None:
    stand = _stand()
    await _sent(stand, _request())
    stand.echo.takes = False
    assert await _sent(stand, _request()) == b"ordinary ada hello;"


@pytest.mark.parametrize(
    "more",
    [
        b"expect: 100-continue\r\n",
        b"connection: close\r\n",
        b"content-encoding: gzip\r\n",
        b"idempotency-key: 1\r\n",
        b"x-request-id: 1\r\n",
        b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        b"upgrade: h2c\r\nconnection: upgrade\r\n",
        b"x-long: " + b"a" * 3_000 + b"\r\n",
    ],
)
async def test_a_head_that_asks_for_more_is_never_learnt(more: bytes) -> None:
    stand = _stand()
    await _sent(stand, _request(more=more))
    assert b"express" not in await _sent(stand, _request(more=more))


async def test_keep_alive_said_aloud_is_as_good_as_silence() -> None:
    stand = _stand()
    more = b"connection: keep-alive\r\n"
    assert await _sent(stand, _request(more=more), _request(more=more)) == (
        b"ordinary ada hello;express ada hello;"
    )


async def test_bytes_that_only_look_like_a_request_teach_nothing() -> None:
    """Else a sender could have another's requests answered, and their events stored, as its own."""
    stand = _stand()
    victims = _request()
    begun = b"POST /fast HTTP/1.1\r\nx-who: eve\r\nx-junk: "
    for pieces in (
        [begun, victims],
        [begun + victims],
        [b"\r\n\r\n" + victims],
        [_request(b"", b"eve") + victims],
    ):
        await _sent(stand, *pieces)
    assert await _sent(stand, victims) == b"ordinary ada hello;"


async def test_what_follows_a_request_is_no_part_of_its_body() -> None:
    stand = _stand()
    for _ in range(2):
        assert await _sent(stand, _request() + b"\r\n") == b"ordinary ada hello;"
    assert await _sent(stand, _request() + _request()) == b"ordinary ada hello;ordinary ada hello;"


async def test_a_known_request_does_not_overtake_the_one_before() -> None:
    stand = _stand()
    await _sent(stand, _request())
    stand.echo.gate.clear()
    protocol, socket = stand.connect()
    protocol.data_received(_request(path=b"/wait"))
    await asyncio.sleep(0)
    protocol.data_received(_request(b"later"))
    await asyncio.sleep(0)
    assert socket.written == b""
    stand.echo.gate.set()
    await _quiet(protocol)
    assert _bodies(socket) == b"ordinary ada hello;ordinary ada later;"
    protocol.connection_lost(None)


async def test_a_request_behind_one_that_waits_teaches_nothing_wrong() -> None:
    stand = _stand()
    protocol, socket = stand.connect()
    protocol.data_received(_request(who=b"ada"))
    protocol.data_received(_request(who=b"eve"))
    await _quiet(protocol)
    assert _bodies(socket) == b"ordinary ada hello;ordinary eve hello;"
    assert (await _sent(stand, _request(who=b"ada"))).endswith(b" ada hello;")
    assert (await _sent(stand, _request(who=b"eve"))).endswith(b" eve hello;")
    protocol.connection_lost(None)


async def test_requests_behind_one_that_waits_are_held_and_answered_in_order() -> None:
    stand = _stand()
    await _sent(stand, _request())
    stand.echo.gate.clear()
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    protocol.data_received(_request(b"other", who=b"eve") + _request(b"third", who=b"bob")[:20])
    assert socket.is_held()
    protocol.data_received(_request(b"third", who=b"bob")[20:])
    await asyncio.sleep(0)
    assert socket.written == b""
    stand.echo.gate.set()
    await _quiet(protocol)
    assert _bodies(socket) == b"express ada hello;ordinary eve other;ordinary bob third;"
    assert not socket.is_held()
    protocol.connection_lost(None)


async def test_a_server_that_closes_answers_what_is_under_way() -> None:
    stand = _stand()
    await _sent(stand, _request())
    stand.echo.gate.clear()
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    protocol.shutdown()
    assert not socket.is_closing()
    stand.echo.gate.set()
    await _quiet(protocol)
    assert _bodies(socket) == b"express ada hello;"
    assert b"connection: close\r\n" in socket.written
    assert socket.is_closing()
    protocol.connection_lost(None)


async def test_a_connection_is_closed_when_it_is_idle_and_not_while_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand = _stand()
    await _sent(stand, _request())
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    protocol.timeout_keep_alive_handler()
    await _quiet(protocol)
    protocol.timeout_keep_alive_handler()
    assert not socket.is_closing()
    monkeypatch.setattr(protocol, "timeout_keep_alive", 0)
    protocol.timeout_keep_alive_handler()
    assert socket.is_closing()
    protocol.connection_lost(None)


async def test_a_connection_that_never_went_the_short_way_is_closed_by_its_own_timer() -> None:
    """Also soon after the machine has started, when its clock stands below the time a connection may be idle."""
    stand = _stand()
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    await _quiet(protocol)
    protocol.timeout_keep_alive = 10**9
    protocol.timeout_keep_alive_handler()
    assert socket.is_closing()
    protocol.connection_lost(None)


async def test_a_known_request_ends_and_begins_the_deadlines_that_any_request_does() -> None:
    stand = _stand(Limits(header_s=0.02))
    await _sent(stand, _request())
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    await _quiet(protocol)
    assert protocol.timeout_keep_alive_task is not None
    await asyncio.sleep(0.1)
    assert not socket.is_closing()
    protocol.connection_lost(ConnectionResetError())
    assert protocol.timeout_keep_alive_task is None


async def test_an_older_http_is_never_learnt() -> None:
    stand = _stand()
    older = _request().replace(b"HTTP/1.1", b"HTTP/1.0")
    await _sent(stand, older)
    assert await _sent(stand, older) == b"ordinary ada hello;"


async def test_an_app_that_fails_cuts_the_connection_off(caplog: pytest.LogCaptureFixture) -> None:
    stand = _stand()
    await _sent(stand, _request())
    stand.echo.fails = True
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    await _quiet(protocol)
    assert socket.is_closing()
    assert socket.written == b""
    protocol.connection_lost(None)


async def test_a_client_that_left_is_not_answered() -> None:
    stand = _stand()
    await _sent(stand, _request())
    stand.echo.gate.clear()
    protocol, socket = stand.connect()
    protocol.data_received(_request())
    await asyncio.sleep(0)
    socket.closed = True
    protocol.connection_lost(None)
    stand.echo.gate.set()
    await _quiet(protocol)
    assert socket.written == b""


async def test_a_client_that_does_not_read_waits_on_the_ordinary_way() -> None:
    stand = _stand()
    await _sent(stand, _request())
    protocol, socket = stand.connect()
    protocol.pause_writing()
    protocol.data_received(_request())
    await asyncio.sleep(0)
    assert socket.written == b""
    protocol.resume_writing()
    await _quiet(protocol)
    assert _bodies(socket) == b"ordinary ada hello;"
    protocol.connection_lost(None)


async def test_heads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.express.MAX_HEADS", 2)
    stand = _stand()
    for who in (b"ada", b"bob", b"eve"):
        await _sent(stand, _request(who=who))
    assert await _sent(stand, _request(who=b"eve")) == b"express eve hello;"
    assert await _sent(stand, _request(who=b"ada")) == b"ordinary ada hello;"
