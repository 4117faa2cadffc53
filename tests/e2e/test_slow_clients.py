"""Clients that trickle, never read or never leave: they are let go, and nobody else waits for them."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from footfall_process import Up, eventually, footfall_up

pytestmark = pytest.mark.e2e

PATIENCE_S = 30.0
DRAIN_S = 2
ENVIRON = {
    "FOOTFALL_HEADER_DEADLINE_S": "1",
    "FOOTFALL_BODY_DEADLINE_S": "1",
    "FOOTFALL_DRAIN_S": str(DRAIN_S),
}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an installation in it: each start after the first takes a second."""
    return tmp_path_factory.mktemp("slow") / "data"


async def _trickle(port: int, first: bytes) -> bytes:
    """Send a byte now and then until the server hangs up; what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = asyncio.ensure_future(reader.read())
    try:
        writer.write(first)
        while not said.done():
            writer.write(b"a")
            await asyncio.wait([said], timeout=0.2)
        return b"" if said.exception() else said.result()
    finally:
        writer.transport.abort()


async def test_three_hundred_trickling_connections_are_closed_while_others_are_served(made: Path) -> None:
    with footfall_up(made, environ=ENVIRON) as up:
        key = f"authorization: Bearer {up.facts['write_key']}\r\n".encode()
        body = b"POST /v1/events HTTP/1.1\r\nhost: x\r\n" + key + b"content-length: 100000\r\n\r\n{"
        upload = (
            b"POST /v1/imports?source=ndjson HTTP/1.1\r\nhost: x\r\n"
            + key.replace(up.facts["write_key"].encode(), up.facts["secret_key"].encode())
            + b"transfer-encoding: chunked\r\n\r\n"
        )
        firsts = [b"", b"GET /v1/activity HTTP/1.1\r\nx: ", body, upload]
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            slow = [group.create_task(_trickle(up.port, firsts[number % 4])) for number in range(300)]
            served = 0
            async with httpx.AsyncClient(base_url=up.url, trust_env=False, timeout=10) as good:
                headers = {"authorization": f"Bearer {up.facts['write_key']}"}
                while not all(one.done() for one in slow):
                    sent = {"user": "ada", "action": "was served", "id": f"served-{served}"}
                    answer = await good.post("/v1/events", json=sent, headers=headers)
                    assert answer.json() == {"accepted": 1, "rejected": []}
                    served += 1
        assert served > 0
        statuses = {one.result()[9:12] for one in slow}
        # Chunked, an `a` is a length: what follows is no chunk.
        assert statuses <= {b"", b"408", b"400"}, statuses
        with up.client() as client:
            eventually(lambda: client.get(f"/v1/activity/served-{served - 1}").status_code == 200)
            assert client.get("/v1/users/ada").json()["activities"] == served


async def test_readers_that_never_read_neither_grow_the_process_nor_delay_one_who_does(made: Path) -> None:
    number, size_bytes = 300, 128 * 1024
    with footfall_up(made, environ=ENVIRON) as up:
        process = psutil.Process(up.process.pid)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                stack.enter_context(_suspended(up))
            reader = await stack.enter_async_context(_stream(up))
            before = process.memory_info().rss
            async with httpx.AsyncClient(base_url=up.url, trust_env=False, timeout=15) as sender:
                reading = asyncio.ensure_future(_ids(reader, f"bulk-{number - 1}"))
                for first in range(0, number, 20):
                    events = [
                        {
                            "user": "bulk",
                            "action": "sent",
                            "id": f"bulk-{at}",
                            "properties": {"x": "x" * size_bytes},
                        }
                        for at in range(first, min(first + 20, number))
                    ]
                    answer = await sender.post(
                        "/v1/events",
                        json=events,
                        headers={"authorization": f"Bearer {up.facts['write_key']}"},
                    )
                    assert answer.json()["accepted"] == len(events)
                async with asyncio.timeout(PATIENCE_S):
                    seen = await reading
            assert seen == [f"bulk-{at}" for at in range(number)]
            # Twenty copies would be 750 MiB; what everybody shares is 32, and a batch in flight some more.
            assert process.memory_info().rss - before < 300 * MIB


async def test_everybody_hears_goodbye_and_the_process_ends_in_time(made: Path) -> None:
    with footfall_up(made, environ=ENVIRON) as up:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                stack.enter_context(_suspended(up))
            readers = [await stack.enter_async_context(_stream(up)) for _ in range(50)]
            up.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                said = await asyncio.gather(*(reader.read() for reader in readers))
            assert [text for text in said if b"event: bye\n" not in text] == []
            assert await asyncio.to_thread(_wait, up.process, DRAIN_S + 3) == 0


def _wait(process: "subprocess.Popen[str]", within_s: float) -> int:
    return process.wait(timeout=within_s)


def _asking(up: Up) -> bytes:
    return (
        f"GET /v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {up.facts['secret_key']}\r\n\r\n"
    ).encode()


@contextlib.contextmanager
def _suspended(up: Up) -> Iterator[socket.socket]:
    """A client of the stream that has stopped reading."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", up.port))
        client.sendall(_asking(up))
        assert client.recv(9) == b"HTTP/1.1 "
        yield client


@contextlib.asynccontextmanager
async def _stream(up: Up) -> AsyncIterator[asyncio.StreamReader]:
    """A client of the stream, past its first position block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", up.port, limit=4 * MIB)
    try:
        writer.write(_asking(up))
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"id: ")
        yield reader
    finally:
        writer.transport.abort()


async def _ids(reader: asyncio.StreamReader, last: str) -> list[str]:
    """The ids of the activities that come, in order of their user's, until `last`."""
    found: list[str] = []
    while last not in found:
        line = await reader.readuntil(b"\n")
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            if event.get("user") == "bulk":
                found.append(event["id"])
    return found
