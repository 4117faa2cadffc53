"""HTTP requests as fast as they are answered, or at a steady rate; what they took, from outside.

Sockets and a few searches, so that the server is what is measured: a request costs this process about 15 µs.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TICK_S = 0.001
_LAST_ANSWER_S = 10.0


@dataclass
class Answered:
    """Latencies in seconds of what was answered 200, in the order of the answers, and how many were answered 503.

    Any other status ends the load.

    At a steady rate a latency begins when its request was due, so that a server that stands still is not
    spared the requests that had to wait for it.
    """

    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    took_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Requests answered 200 a second."""
        return len(self.latencies_s) / self.took_s


async def send(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    per_s: float | None = None,
) -> Answered:
    """Send these requests in turn, one at a time on each connection; at most `per_s` of them a second."""
    load = _Load(requests, per_s)
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    try:
        await load.run(opened, seconds)
    finally:
        for connection in opened:
            connection.leave()
    return load.answered


class _Load:
    def __init__(self, requests: Sequence[bytes], per_s: float | None) -> None:
        self.answered = Answered()
        self._requests = requests
        self._per_s = per_s
        self._sent = 0
        self._began_s = self._until_s = 0.0
        self._idle: deque[_Connection] = deque()
        self._busy = 0
        self._done = asyncio.Event()
        self._failure: Exception | None = None

    async def run(self, connections: "Sequence[_Connection]", seconds: float) -> None:
        self._began_s = time.perf_counter()
        self._until_s = self._began_s + seconds
        self._idle.extend(connections)
        while not self._done.is_set() and time.perf_counter() < self._until_s:
            self._start()
            await asyncio.sleep(_TICK_S if self._per_s else _until(self._until_s))
        self.answered.took_s = time.perf_counter() - self._began_s
        if self._busy:
            async with asyncio.timeout(_LAST_ANSWER_S):
                await self._done.wait()
        if self._failure is not None:
            raise self._failure

    def finish(self, connection: "_Connection", due_s: float, *, stored: bool) -> None:
        now_s = time.perf_counter()
        if stored:
            self.answered.latencies_s.append(now_s - due_s)
        else:
            self.answered.refused += 1
        self._busy -= 1
        self._idle.append(connection)
        if now_s < self._until_s:
            self._start()
        elif not self._busy:
            self._done.set()

    def fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._done.set()

    def _start(self) -> None:
        """Send what is due on the connections that wait for nothing."""
        while self._idle:
            now_s = time.perf_counter()
            due_s = now_s if self._per_s is None else self._began_s + self._sent / self._per_s
            if due_s > now_s:
                return
            request = self._requests[self._sent % len(self._requests)]
            self._sent += 1
            self._busy += 1
            self._idle.popleft().ask(request, due_s)


def _until(end_s: float) -> float:
    return max(0.0, end_s - time.perf_counter())


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._due_s = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as TCP makes it
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._load.fail(exc or ConnectionError("The server closed a connection."))

    def leave(self) -> None:
        """Close; nothing is expected any more."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def ask(self, request: bytes, due_s: float) -> None:
        self._due_s = due_s
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        answer = self._answer + data if self._answer else data
        head_bytes = answer.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(answer, 0, head_bytes) if head_bytes > 3 else None
        if length is None or len(answer) < head_bytes + int(length[1]):
            self._answer = answer
            return
        self._answer = b""
        stored = answer.startswith(b"HTTP/1.1 200")
        if stored or answer.startswith(b"HTTP/1.1 503"):
            self._load.finish(self, self._due_s, stored=stored)
        else:
            self._load.fail(RuntimeError(f"The server answered {answer[:500]!r}."))
