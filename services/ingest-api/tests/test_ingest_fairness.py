import random

import httpx

from eventlog.port import Message
from ingest_api.allowance import Allowances
from ingest_api.hot_keys import MIN_EVENTS, WINDOW_S, HotKeys
from ingest_stand import OTHER_PROJECT, PROJECT, IngestStand, open_stand
from telemetry.metrics import Metrics

ORIGIN = {"origin": "https://app.example"}


def _client(stand: IngestStand) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://ingest")


def _events(count: int) -> list[dict[str, object]]:
    return [{"user": f"user{n}", "action": "did"} for n in range(count)]


async def test_an_answer_says_what_the_project_may_still_send() -> None:
    stand = await open_stand(project_events_per_s=100)
    async with _client(stand) as client:
        answer = await client.post("/v1/events", json=_events(300), headers=stand.authorization)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-limit"] == "1000"
        assert 700 <= int(answer.headers["ratelimit-remaining"]) < 1000
        assert 1 <= int(answer.headers["ratelimit-reset"]) <= 3


async def test_a_project_that_sent_more_waits_and_others_do_not() -> None:
    stand = await open_stand(project_events_per_s=1)
    async with _client(stand) as client:
        spent = await client.post("/v1/events", json=_events(60), headers=stand.authorization | ORIGIN)
        assert spent.status_code == 200
        for path, body in (("/v1/events", _events(1)), ("/v1/batch", {"batch": []}), ("/t.gif", {})):
            slowed = await client.post(path, json=body, headers=stand.authorization | ORIGIN)
            assert slowed.status_code == 429
            assert int(slowed.headers["retry-after"]) > 0
            assert slowed.headers["ratelimit-remaining"] == "0"
            exposed = slowed.headers["access-control-expose-headers"].lower()
            assert {"retry-after", "ratelimit-remaining", "ratelimit-reset"} <= set(exposed.split(", "))
        other = await client.post(f"/v1/events?key={stand.other_write_key}", json=_events(1))
        assert other.status_code == 200
        assert {event.project for event in await stand.events()} == {PROJECT, OTHER_PROJECT}


def test_what_is_left_comes_back_with_time_and_never_exceeds_the_limit() -> None:
    allowances = Allowances(per_s=10, burst=100)
    allowances.use(PROJECT, 250, now_s=0)
    assert dict(allowances.headers(PROJECT, 0)) == {
        b"ratelimit-limit": b"100",
        b"ratelimit-remaining": b"0",
        b"ratelimit-reset": b"25",
    }
    assert dict(allowances.headers(PROJECT, 20))[b"ratelimit-remaining"] == b"50"
    assert dict(allowances.headers(PROJECT, 1_000))[b"ratelimit-remaining"] == b"100"


def _share(metrics: Metrics) -> float:
    value = metrics.registry.get_sample_value("footfall_ingest_hot_key_share", {"service": "ingest-api"})
    assert value is not None
    return value


def test_the_share_of_the_hottest_key_is_seen_after_its_window() -> None:
    metrics = Metrics("ingest-api")
    hot_keys = HotKeys(metrics)
    for n in range(MIN_EVENTS):
        hot_keys.note([Message(b"p1:u:robot" if n % 4 else b"p1:u:%d" % n, b"")], now_s=1)
    assert _share(metrics) == 0
    hot_keys.note([Message(b"p1:u:a", b"")], now_s=1 + WINDOW_S)
    assert _share(metrics) == 0.75
    hot_keys.note([Message(b"p1:u:a", b"")], now_s=2 + 2 * WINDOW_S)
    assert _share(metrics) == 0


def test_a_hot_key_within_batches_is_seen_too() -> None:
    random.seed(5)
    metrics = Metrics("ingest-api")
    hot_keys = HotKeys(metrics)
    batch = [Message(b"p1:u:robot" if n % 2 else b"p1:u:%d" % n, b"") for n in range(100)]
    for _ in range(500):
        hot_keys.note(batch, now_s=1)
    hot_keys.note(batch, now_s=1 + WINDOW_S)
    assert 0.4 < _share(metrics) < 0.6
