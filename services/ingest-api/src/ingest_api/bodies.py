"""Reads a request's body, bounded, and undoes its encoding."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from admission import inflate
from admission.body import too_large
from admission.limits import MAX_BODY_BYTES
from ingest_api.inflight import Reservation

# Above this, decoding would hold up every other request for milliseconds.
_IN_THREAD_BYTES = 32 * 1024
# A request is asked for seven of its headers.
_BY_NAME = "footfall.headers_by_name"


def header(scope: Scope, name: bytes) -> str:
    """The header's value, the first of several, or the empty string."""
    found = scope.get(_BY_NAME)
    if found is None:
        found = scope[_BY_NAME] = dict(reversed(scope["headers"]))
    value = found.get(name)
    return "" if value is None else str(value, "latin-1")


async def read_body(scope: Scope, receive: Receive, reservation: Reservation) -> tuple[bytes, int]:
    """The decoded body and the bytes received.

    Raises BodyRefused as soon as it is known to be too large, Problem when there is no room for it.
    """
    announced = header(scope, b"content-length")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)
    body = await _receive(receive, reservation)
    encoding = header(scope, b"content-encoding")
    if len(body) > _IN_THREAD_BYTES and (encoding or body[:1] == b"\x1f"):
        decoded = await asyncio.to_thread(inflate, body, encoding)
    else:
        decoded = inflate(body, encoding)
    if decoded is not body:
        reservation.add(len(decoded))
    return decoded, len(body)


async def _receive(receive: Receive, reservation: Reservation) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        if chunk:
            size_bytes += len(chunk)
            if size_bytes > MAX_BODY_BYTES:
                raise too_large(MAX_BODY_BYTES)
            reservation.add(len(chunk))
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
