"""ingest-api behind the product's own server and real sockets, from friendly senders to hostile ones."""

import asyncio
import gzip
import json
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Sequence

import brotli
import httpx
import pytest
import zstandard

from eventlog.memory import MemoryLog
from ingest_stand import IngestStand, open_stand, serving

EVENTS = [{"user": f"u{n}", "action": "a", "properties": {"n": n}} for n in range(2_000)]
MIB = 1024 * 1024


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(stand) as url,
        httpx.AsyncClient(base_url=url, headers=stand.authorization, timeout=20) as client,
    ):
        yield client


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "br": brotli.compress,
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("form", ["array", "lines"])
async def test_compressed_batches_are_accepted(
    stand: IngestStand, client: httpx.AsyncClient, name: str, form: str
) -> None:
    plain = json.dumps(EVENTS) if form == "array" else "\n".join(json.dumps(event) for event in EVENTS)
    answer = await client.post(
        "/v1/events", content=ENCODINGS[name](plain.encode()), headers={"content-encoding": name}
    )
    assert answer.json() == {"accepted": len(EVENTS), "rejected": []}
    assert {event.user for event in await stand.events()} == {event["user"] for event in EVENTS}


@pytest.mark.parametrize("name", ENCODINGS)
async def test_a_bomb_is_answered_413_within_bounded_memory(client: httpx.AsyncClient, name: str) -> None:
    bomb = ENCODINGS[name](bytes(128 * MIB))
    tracemalloc.start()
    try:
        answer = await client.post("/v1/events", content=bomb, headers={"content-encoding": name})
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "compression_ratio")
    assert peak_bytes < 40 * MIB


async def _endless(chunks: int) -> AsyncIterator[bytes]:
    chunk = b" " * 65_536
    for _ in range(chunks):
        yield chunk


async def test_a_hundred_megabytes_without_a_length_are_answered_413(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    tracemalloc.start()
    try:
        answer = await client.post("/v1/events", content=_endless(1_600))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert peak_bytes < 30 * MIB
    assert stand.count("footfall_ingest_inflight_bytes") == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"action":"a","properties":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"action":"a","properties":{"x":NaN}}',
        b'{"action":"a","properties":{"x":1e999}}',
        b'{"action":"a","properties":{"x":"\\ud800"}}',
        b'{"action":"a","properties":{"x":"\\u0000"}}',
        b'{"action":"a","action":"b"}',
        b'{"action":"a","properties":{"x":' + b"9" * 5_000 + b"}}",
        b"\x00\x01\x02",
        b'{"action":"a","properties":{' + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}}",
    ],
)
async def test_hostile_json_is_answered_400_with_a_sentence(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/events", content=body)
    assert answer.status_code == 400
    assert {"code", "message"} <= answer.json().keys()


async def test_very_many_keys_within_the_bounds_are_accepted(client: httpx.AsyncClient) -> None:
    properties = {f"k{n}": n for n in range(20_000)}
    answer = await client.post("/v1/events", json={"action": "a", "properties": properties})
    assert answer.json()["accepted"] == 1


class _HangingLog(MemoryLog):
    """Stores what it is given at once, and confirms only when `confirms`: as a broker that dies."""

    def __init__(self) -> None:
        super().__init__(partitions=4)
        self.confirms = False

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        await super().append(topic, messages)
        if not self.confirms:
            await asyncio.Event().wait()


async def test_a_log_that_never_confirms_is_503_in_time_and_the_retry_has_the_same_id() -> None:
    log = _HangingLog()
    stand = await open_stand(log)
    event = {"user": "ada", "action": "a"}
    headers = {**stand.authorization, "idempotency-key": "once"}
    async with serving(stand) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        async with asyncio.timeout(5):
            first = await client.post("/v1/events", json=event, headers=headers)
        assert (first.status_code, first.json()["code"]) == (503, "log_unavailable")
        assert first.headers["retry-after"]
        log.confirms = True
        assert (await client.post("/v1/events", json=event, headers=headers)).status_code == 200
    assert len({event.id for event in await stand.events()}) == 1


async def test_keys_in_every_place_over_a_socket(stand: IngestStand) -> None:
    event = {"user": "ada", "action": "a"}
    async with serving(stand) as url, httpx.AsyncClient(base_url=url) as client:
        for answer in (
            await client.post(f"/v1/events?key={stand.write_key}", json=event),
            await client.post("/v1/events", json=event, auth=(stand.write_key, "")),
            await client.post("/v1/events", json=event, auth=("", stand.secret_key)),
        ):
            assert answer.status_code == 200
        assert (await client.post("/v1/events", json=event)).status_code == 401


async def test_a_sender_that_leaves_in_the_middle_holds_nothing(stand: IngestStand) -> None:
    async with serving(stand) as url:
        port = int(url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/events?key={stand.write_key} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
        writer.write(head.encode() + b" " * 50_000)
        await writer.drain()
        await _until(lambda: stand.count("footfall_ingest_inflight_bytes") > 0)
        writer.close()
        await _until(lambda: stand.count("footfall_ingest_inflight_bytes") == 0)
    assert await stand.events() == []


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_other_requests_are_answered_while_a_big_one_is_worked_on(stand: IngestStand) -> None:
    text = os.urandom(900).hex()
    events = [
        {"user": "u", "action": "a", "properties": {"text": text[n % 900 :] + text}} for n in range(6_000)
    ]
    big = gzip.compress(json.dumps(events).encode(), 1)
    answered = 0
    async with (
        serving(stand) as url,
        httpx.AsyncClient(base_url=url, headers=stand.authorization, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        slow = group.create_task(client.post("/v1/events", content=big, headers={"content-encoding": "gzip"}))
        while not slow.done():
            assert (await client.post("/v1/events", json={"action": "small"})).status_code == 200
            answered += 1
    assert slow.result().json()["accepted"] == 6_000
    assert answered > 3


async def test_browsers_read_errors_of_both_kinds(stand: IngestStand, client: httpx.AsyncClient) -> None:
    origin = {"origin": "https://app.example"}
    stand.log.away = True
    away = await client.post("/v1/events", json={"action": "a"}, headers=origin)
    wrong = await client.post("/v1/events", content=b"!", headers=origin)
    assert (away.status_code, wrong.status_code) == (503, 400)
    for answer in (away, wrong):
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-allow-credentials"] == "true"


async def test_the_pixel_over_a_socket(stand: IngestStand, client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/t.gif", params={"key": stand.write_key, "user": "ada", "action": "opened mail"}
    )
    assert (answer.status_code, len(answer.content)) == (200, 43)
    assert [event.action for event in await stand.events()] == ["opened mail"]
