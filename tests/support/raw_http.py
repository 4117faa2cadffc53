"""HTTP as it stands on the wire, for requests that no well-behaved client would send."""

import contextlib
import json
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What came back until the server closed; status 0 when that was no HTTP."""

    status: int
    headers: bytes
    body: bytes

    @property
    def error(self) -> dict[str, Any] | None:
        """The body, when it is an error of the contract."""
        try:
            said = json.loads(self.body)
        except ValueError:
            return None
        if not isinstance(said, dict) or not (
            isinstance(said.get("code"), str) and isinstance(said.get("message"), str)
        ):
            return None
        return said


def exchange(port: int, chunks: Iterable[bytes], timeout_s: float = 20) -> Answer:
    """Send the chunks, while the server takes them, and read until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        said = bytearray()
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                connection.sendall(chunk)
        with contextlib.suppress(ConnectionError):
            while got := connection.recv(65536):
                said += got
    return _answer(bytes(said))


def request(
    port: int,
    method: str,
    target: bytes | str,
    *,
    headers: Iterable[tuple[bytes | str, bytes | str]] = (),
    body: bytes | None = None,
    close: bool = True,
    host: bytes = b"127.0.0.1",
) -> Answer:
    """One request, whatever stands in it."""
    lines = [b"%s %s HTTP/1.1" % (method.encode(), _raw(target)), b"host: " + host]
    if close:
        lines.append(b"connection: close")
    if body is not None:
        lines.append(b"content-length: %d" % len(body))
    lines += [_raw(name) + b": " + _raw(value) for name, value in headers]
    return exchange(port, [b"\r\n".join(lines) + b"\r\n\r\n", body or b""])


def chunked(body: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in chunked transfer encoding."""
    for piece in body:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _raw(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _answer(said: bytes) -> Answer:
    head, _, body = said.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 3 or not words[0].startswith(b"HTTP/1."):
        return Answer(0, head, body)
    if b"transfer-encoding: chunked" in head.lower():
        body = _joined(body)
    return Answer(int(words[1]), head, body)


def _joined(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        whole += rest[:length]
        body = rest[length + 2 :]
    return whole
