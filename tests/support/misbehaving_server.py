"""An HTTP server that does as it is told, one request after the other."""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Step = bytes | Literal["reset", "silent", "take"]
"""An answer as it stands on the wire; or reset the connection, let it wait for ever, or accept the events."""


@dataclass
class MisbehavingServer:
    """`bodies` are the events of each request, also of those that were not answered."""

    url: str = ""
    bodies: list[list[dict[str, Any]]] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)

    def taken(self) -> list[str]:
        """The ids of the last body."""
        return [event["id"] for event in self.bodies[-1]]


@contextmanager
def misbehaving(steps: Sequence[Step]) -> Iterator[MisbehavingServer]:
    """Does each step once, and accepts everything after them."""
    told = MisbehavingServer()
    left = list(steps)
    waiting: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            head, events = _read(connection)
            told.headers.append(head)
            told.bodies.append(events)
            step: Step = left.pop(0) if left else "take"
            if step == "silent":
                waiting.append(connection)
                continue
            if step == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.sendall(_taken(len(events)) if isinstance(step, str) else step)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        told.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield told
        finally:
            # Closing alone does not end an accept that waits.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in waiting:
                connection.close()


def refusal(status: int, *headers: str) -> bytes:
    """An answer with an error of the contract."""
    body = json.dumps({"code": "told", "message": "As the test says."})
    lines = [
        f"HTTP/1.1 {status} Told",
        *headers,
        f"content-length: {len(body)}",
        "connection: close",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def _taken(count: int) -> bytes:
    body = json.dumps({"accepted": count, "rejected": []})
    return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()


def _read(connection: socket.socket) -> tuple[bytes, list[dict[str, Any]]]:
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65536)
    head, _, body = said.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields[b"content-length"]):
        body += connection.recv(65536)
    text = gzip.decompress(body) if fields.get(b"content-encoding") == b"gzip" else body
    return head, json.loads(text)
