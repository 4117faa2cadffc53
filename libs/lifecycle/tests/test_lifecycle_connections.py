"""What trickles, never reads or never ends is closed; who behaves is served. Real sockets, short deadlines."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from probe_service import ProbeProcess, probe_process

pytestmark = pytest.mark.e2e

HEADER_S = 0.6
LIMITS = {
    "header_s": HEADER_S,
    "body_s": 0.6,
    "body_bytes_per_s": 1000,
    "write_s": 1.0,
    "linger_s": 2.0,
    "header_bytes": 8192,
    "keep_alive_s": 20,
}
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def probe() -> Iterator[ProbeProcess]:
    with probe_process(limits=LIMITS) as running:
        yield running


@asynccontextmanager
async def _connection(
    probe: ProbeProcess,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", probe.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _trickle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, each: bytes
) -> bytes:
    """Send a little, again and again, until the server hangs up; what it said."""
    writer.write(first)
    said = asyncio.ensure_future(_read_all(reader))
    async with asyncio.timeout(PATIENCE_S):
        while not said.done():
            writer.write(each)
            await asyncio.wait([said], timeout=0.1)
    return await said


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while chunk := await reader.read(65536):
            said += chunk
    except ConnectionError:
        return said
    return said


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One response with a content-length: its status line and body."""
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        return head.split(b"\r\n")[0], await reader.readexactly(length)


async def _closed(probe: ProbeProcess, reason: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{probe.port}/metrics")).text
    name = f'footfall_connections_closed_total{{reason="{reason}",service="probe"}} '
    return next((float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)), 0.0)


async def test_300_trickling_connections_are_closed_while_a_good_client_is_served(
    probe: ProbeProcess,
) -> None:
    async def attack() -> bytes:
        async with _connection(probe) as (reader, writer):
            return await _trickle(reader, writer, b"GET /hello HTTP/1.1\r\nhost: x\r\nx-a: ", b"b")

    async with asyncio.TaskGroup() as group:
        attackers = [group.create_task(attack()) for _ in range(300)]
        served = 0
        async with httpx.AsyncClient() as client:
            while not all(attacker.done() for attacker in attackers):
                response = await client.get(f"http://127.0.0.1:{probe.port}/hello")
                assert response.text == "hello"
                served += 1
    assert served
    assert all(b"408" in attacker.result() for attacker in attackers)
    assert await _closed(probe, "header_deadline") >= 300


async def test_a_connection_that_says_nothing_is_closed(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, _), asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""


async def test_a_trickled_body_is_answered_408_and_closed(probe: ProbeProcess) -> None:
    head = b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    async with _connection(probe) as (reader, writer):
        said = await _trickle(reader, writer, head, b"b")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in said
    assert await _closed(probe, "body_deadline") >= 1


async def test_a_slow_body_that_keeps_coming_may_take_longer_than_the_deadline(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer):
        writer.write(b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 8000\r\n\r\n")
        for _ in range(16):
            writer.write(bytes(500))
            await asyncio.sleep(0.1)
        assert await _answer(reader) == (b"HTTP/1.1 200 OK", b"8000")


async def test_time_the_app_does_not_read_is_not_held_against_the_client() -> None:
    async def upload(probe: ProbeProcess) -> bytes:
        async with _connection(probe) as (reader, writer):
            writer.write(
                b"POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + bytes(200_000)
            )
            await asyncio.sleep(3 * 0.6)
            writer.write(bytes(100_000))
            probe.signal(15)
            return (await _answer(reader))[1]

    with probe_process(limits={**LIMITS, "body_bytes_per_s": 10_000_000}) as own:
        assert await upload(own) == b"finished"


async def test_line_ends_between_requests_do_not_hold_a_connection(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer):
        said = await _trickle(reader, writer, b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n", b"\r\n")
    assert said.endswith(b"hello")


async def test_an_idle_kept_connection_outlives_the_header_deadline(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
            assert await _answer(reader) == (b"HTTP/1.1 200 OK", b"hello")
            await asyncio.sleep(2 * HEADER_S)


async def test_a_long_stream_outlives_every_deadline(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer), asyncio.timeout(PATIENCE_S):
        writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\nGET /hello HT")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(30):
            assert await reader.readuntil(b"tick\n\n\r\n")


async def test_headers_too_large_are_answered_431(probe: ProbeProcess) -> None:
    for header in (b"x-a: " + b"b" * 9000, b"\r\n".join(b"x-%d: y" % n for n in range(2000))):
        async with _connection(probe) as (reader, writer), asyncio.timeout(PATIENCE_S):
            writer.write(b"GET /hello HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n")
            said = await _read_all(reader)
        assert said.startswith(b"HTTP/1.1 431 ")
        assert b'"code":"headers_too_large"' in said


async def test_headers_that_never_end_are_cut_at_the_bound(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer):
        said = await _trickle(reader, writer, b"GET /hello HTTP/1.1\r\nx-a: ", b"b" * 4000)
    assert said.startswith(b"HTTP/1.1 431 ")


async def test_a_body_nobody_asked_for_ends_with_the_connection_after_the_answer(probe: ProbeProcess) -> None:
    head = b"POST /refuse HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with _connection(probe) as (reader, writer):
        said = await _trickle(reader, writer, head, b"3e8\r\n" + bytes(1000) + b"\r\n")
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.endswith(b"too large")
    assert await _closed(probe, "unread_body") >= 1


async def test_a_client_that_never_reads_is_cut_off(probe: ProbeProcess) -> None:
    before = await _closed(probe, "write_deadline")
    async with _connection(probe) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # the client that does not read
        writer.write(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            while await _closed(probe, "write_deadline") == before:
                continue


async def test_an_offer_to_upgrade_is_answered_in_plain_http(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer):
        writer.write(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
        assert await _answer(reader) == (b"HTTP/1.1 200 OK", b"hello")
        assert (await _trickle(reader, writer, b"", b"x")).startswith(b"HTTP/1.1 400 ")


async def test_what_is_no_http_is_answered_400_in_the_contract(probe: ProbeProcess) -> None:
    async with _connection(probe) as (reader, writer), asyncio.timeout(PATIENCE_S):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        said = await _read_all(reader)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"malformed_request"' in said
    assert "Invalid HTTP" not in probe.text


async def test_the_last_answer_of_a_connection_is_read_before_an_unread_body_ends_it(
    probe: ProbeProcess,
) -> None:
    async with _connection(probe) as (reader, writer):
        writer.write(
            b"POST /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3000000\r\n\r\n"
            + bytes(3_000_000)
        )
        assert (await _answer(reader))[0] == b"HTTP/1.1 405 Method Not Allowed"
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""


async def test_a_flood_of_connections_is_closed_unheard_and_those_that_are_open_are_served() -> None:
    with probe_process(limits={**LIMITS, "header_s": 30, "max_connections": 20}) as flooded:
        async with _connection(flooded) as (reader, writer):
            idle = [await asyncio.open_connection("127.0.0.1", flooded.port) for _ in range(60)]
            async with asyncio.timeout(PATIENCE_S):
                closed = 0
                for waiting, _ in idle[19:]:
                    closed += await _read_all(waiting) == b""
            assert closed == 41
            writer.write(b"GET /livez HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n")
            assert b"200 OK" in await _read_all(reader)
            for _, open_writer in idle:
                open_writer.transport.abort()
        async with _connection(flooded) as (reader, writer):
            writer.write(b"GET /livez HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n")
            assert b"200 OK" in await _read_all(reader)


async def test_who_reads_an_early_answer_only_after_sending_all_of_a_long_body_still_gets_it() -> None:
    with probe_process(limits={**LIMITS, "linger_s": 0.4, "body_s": 30}) as patient:
        async with _connection(patient) as (reader, writer):
            writer.write(b"POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
            for _ in range(10):
                writer.write(bytes(100_000))
                await asyncio.sleep(0.15)
            async with asyncio.timeout(PATIENCE_S):
                assert (await _answer(reader))[0] == b"HTTP/1.1 405 Method Not Allowed"
