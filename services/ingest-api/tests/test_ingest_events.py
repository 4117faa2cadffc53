import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from eventlog.errors import LogBusy
from eventlog.memory import MemoryLog
from eventmodel import topics
from ingest_stand import OTHER_PROJECT, PROJECT, IngestStand, open_stand

ONE = {"user": "ada@acme.example", "action": "opened report", "account": "acme", "id": "one"}


@asynccontextmanager
async def _client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(stand) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/"])
async def test_an_accepted_event_is_in_the_log(
    stand: IngestStand, client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.post(path, json=ONE, headers=stand.authorization)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    (event,) = await stand.events()
    assert (event.project, event.user, event.id) == (PROJECT, "ada@acme.example", "one")
    assert stand.count("footfall_ingest_events_total", outcome="accepted") == 1


def _basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def test_every_way_to_carry_a_key(stand: IngestStand, client: httpx.AsyncClient) -> None:
    for headers in (
        {"authorization": f"Bearer {stand.write_key}"},
        {"authorization": f"bearer {stand.secret_key}"},
        _basic(f"{stand.write_key}:"),
        _basic(f"anything:{stand.write_key}"),
    ):
        assert (await client.post("/v1/events", json=ONE, headers=headers)).status_code == 200
    assert (await client.post(f"/v1/events?key={stand.write_key}", json=ONE)).status_code == 200
    other = await client.post(f"/v1/events?key={stand.other_write_key}", json=ONE)
    assert other.status_code == 200
    assert [event.project for event in await stand.events()].count(OTHER_PROJECT) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer ffw_" + "x" * 43},
        {"authorization": "Bearer nonsense"},
        {"authorization": "Basic !!"},
        {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        {"cookie": "footfall_session=" + "x" * 43},
    ],
)
async def test_without_a_good_key_nothing_is_taken(
    stand: IngestStand, client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/v1/events", json=ONE, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await stand.events() == []
    assert stand.count("footfall_ingest_refused_total", code="unauthenticated") == 1


async def test_a_batch_is_answered_by_index_and_the_rejected_are_kept(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    answer = await client.post(
        "/v1/events", json=[ONE, {"user": "bob", "event": "x"}, {"action": "b"}], headers=stand.authorization
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2,
        "rejected": [
            {
                "index": 1,
                "code": "missing_action",
                "message": "The event has no `action`.",
                "field": "action",
                "hint": 'You sent "event": call it "action".',
            }
        ],
    }
    (kept,) = await stand.rejected()
    assert (kept.project, kept.source, kept.code) == (PROJECT, "ingest", "missing_action")
    assert kept.place == {"path": "/v1/events", "index": 1}
    assert json.loads(kept.body) == {"user": "bob", "event": "x"}
    assert stand.count("footfall_ingest_rejections_total", code="missing_action") == 1


async def test_a_body_of_rejections_only_is_an_error(stand: IngestStand, client: httpx.AsyncClient) -> None:
    one = await client.post("/v1/events", json={"user": "ada"}, headers=stand.authorization)
    assert one.status_code == 400
    assert (one.json()["accepted"], one.json()["code"]) == (0, "missing_action")
    assert one.json()["message"] == one.json()["rejected"][0]["message"]
    several = await client.post("/v1/events", json=[{"user": "ada"}, 5], headers=stand.authorization)
    assert (several.status_code, several.json()["code"]) == (400, "all_rejected")
    assert len(several.json()["rejected"]) == 2


async def test_an_empty_batch_is_no_error(stand: IngestStand, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events", content=b"[]", headers=stand.authorization)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": []})


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "empty_body"),
        (b"[1,", {}, 400, "invalid_json"),
        (b"user=ada", {"content-type": "application/json"}, 400, "invalid_json"),
        (b"[" + b"{}," * 10_000 + b"{}]", {}, 413, "too_many_events"),
        (b"{}", {"content-encoding": "lz4"}, 415, "unsupported_encoding"),
        (b"{}", {"content-encoding": "gzip"}, 400, "corrupt_encoding"),
        (gzip.compress(bytes(30_000_000)), {"content-encoding": "gzip"}, 413, "compression_ratio"),
        (b"x", {"content-length": "20971521"}, 413, "body_too_large"),
        (b"{}", {"idempotency-key": "x" * 256}, 400, "invalid_idempotency_key"),
    ],
)
async def test_an_unusable_body_is_refused_in_words(
    stand: IngestStand,
    client: httpx.AsyncClient,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await client.post("/v1/events", content=body, headers={**stand.authorization, **headers})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"].endswith((".", ")."))
    assert stand.count("footfall_ingest_refused_total", code=code) == 1


async def test_an_unreadable_body_is_kept_in_part(stand: IngestStand, client: httpx.AsyncClient) -> None:
    await client.post("/v1/events", content=b"[\xff" + b"x" * 100_000, headers=stand.authorization)
    (kept,) = await stand.rejected()
    assert (kept.code, kept.body_encoding, kept.body_truncated) == ("invalid_json", "base64", True)
    assert base64.b64decode(kept.body) == b"[\xff" + b"x" * (16 * 1024 - 2)


async def test_the_content_type_does_not_matter(stand: IngestStand, client: httpx.AsyncClient) -> None:
    body = b'{"action":"a"}\n{"action":"b"}\n'
    for kind in ("text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/json"):
        answer = await client.post(
            "/v1/events", content=body, headers={**stand.authorization, "content-type": kind}
        )
        assert answer.json()["accepted"] == 2


async def test_an_idempotency_key_makes_the_same_ids(stand: IngestStand, client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.post(
            "/v1/events", json=[{"action": "a"}], headers={**stand.authorization, "idempotency-key": "k1"}
        )
    first, second = await stand.events()
    assert first.id == second.id


async def test_without_the_log_the_answer_is_503_and_the_retry_counts_once(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    stand.log.away = True
    answer = await client.post("/v1/events", json=ONE, headers=stand.authorization)
    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "may or may not be stored" in answer.json()["message"]
    assert stand.count("footfall_ingest_events_total", outcome="unavailable") == 1
    stand.log.away = False
    assert (await client.post("/v1/events", json=ONE, headers=stand.authorization)).status_code == 200
    assert [event.id for event in await stand.events()] == ["one"]


class _SlowLog(MemoryLog):
    """Appends only once `open` is set; counts what was given up."""

    def __init__(self) -> None:
        super().__init__(partitions=2)
        self.open = asyncio.Event()
        self.given_up = 0

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return await super().append(topic, messages)


async def test_a_log_that_hangs_is_given_up_at_the_deadline() -> None:
    log = _SlowLog()
    stand = await open_stand(log, ack_timeout_s=0.05)
    async with _client(stand) as client:
        answer = await client.post("/v1/events", json=[ONE, {}], headers=stand.authorization)
    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert log.given_up == 1


async def test_rejected_events_that_cannot_be_kept_are_counted() -> None:
    stand = await open_stand(_SlowLog(), ack_timeout_s=0.05)
    async with _client(stand) as client:
        answer = await client.post("/v1/events", json=[{}, {}], headers=stand.authorization)
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_action")
    assert stand.count("footfall_ingest_rejected_dropped_total", reason="log") == 2


class _BusyLog(MemoryLog):
    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        raise LogBusy("The appender's queue is full.", retry_after_s=3)


async def test_a_full_queue_is_503_and_says_that_nothing_was_stored() -> None:
    stand = await open_stand(_BusyLog())
    async with _client(stand) as client:
        answer = await client.post("/v1/events", json=ONE, headers=stand.authorization)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        503,
        "log_busy",
        "3",
    )
    assert "Nothing of this request was stored" in answer.json()["message"]


async def test_a_missing_topic_says_how_to_make_it() -> None:
    stand = await open_stand(MemoryLog(names=[topics.REJECTED]))
    async with _client(stand) as client:
        answer = await client.post("/v1/events", json=ONE, headers=stand.authorization)
    assert answer.status_code == 503
    assert "footfall topics" in answer.json()["message"]


async def test_bytes_in_flight_are_bounded() -> None:
    log = _SlowLog()
    stand = await open_stand(log, max_inflight_bytes=1024 * 1024)
    body = json.dumps([{"action": "a", "properties": {"x": "x" * 400_000}}]).encode()
    async with _client(stand) as client, asyncio.TaskGroup() as group:
        posts = [
            group.create_task(client.post("/v1/events", content=body, headers=stand.authorization))
            for _ in range(4)
        ]
        done, _ = await asyncio.wait(posts, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert refused.headers["retry-after"] == "1"
        log.open.set()
    assert sorted(post.result().status_code for post in posts) == [200, 200, 503, 503]
    assert stand.count("footfall_ingest_inflight_bytes") == 0


async def test_a_project_that_sends_too_much_waits_and_others_do_not() -> None:
    stand = await open_stand(project_events_per_s=1)
    body = json.dumps([{"action": "a"}] * 100).encode()
    async with _client(stand) as client:
        assert (await client.post("/v1/events", content=body, headers=stand.authorization)).status_code == 200
        slowed = await client.post("/v1/events", content=body, headers=stand.authorization)
        assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_events")
        assert 80 < int(slowed.headers["retry-after"]) <= 92
        other = await client.post(f"/v1/events?key={stand.other_write_key}", content=body)
        assert other.status_code == 200


async def test_what_is_kept_of_a_flood_of_rejections_is_bounded() -> None:
    stand = await open_stand(project_rejected_per_minute=5)
    async with _client(stand) as client:
        answer = await client.post(
            "/v1/events", content=b"[" + b"{}," * 99 + b"{}]", headers=stand.authorization
        )
        await client.post("/v1/events", content=b"nonsense", headers=stand.authorization)
    assert len(answer.json()["rejected"]) == 100
    assert {kept.place["index"] for kept in await stand.rejected()} == {0, 1, 2, 3, 4}
    assert stand.count("footfall_ingest_rejected_dropped_total", reason="rate") == 96


async def test_big_bodies_pass_through_threads(stand: IngestStand, client: httpx.AsyncClient) -> None:
    events = [
        {"user": f"u{n}", "action": "a", "properties": {"n": n, "text": "x" * (n % 97)}} for n in range(9_000)
    ]
    answer = await client.post(
        "/v1/events",
        content=gzip.compress(json.dumps(events).encode()),
        headers={**stand.authorization, "content-encoding": "gzip"},
    )
    assert answer.json() == {"accepted": 9_000, "rejected": []}
    assert len(await stand.events()) == 9_000


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/events"), ("PUT", "/v1/events"), ("POST", "/nowhere")]
)
async def test_other_methods_and_paths_answer_in_the_contract(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code in (404, 405)
    assert {"code", "message"} <= answer.json().keys()
