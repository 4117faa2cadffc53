import base64
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from ingest_stand import IngestStand, open_stand

TRACK = {
    "type": "track",
    "event": "Opened Report",
    "userId": "ada",
    "messageId": "m1",
    "timestamp": "2026-01-02T12:00:00Z",
    "context": {"groupId": "acme", "library": {"name": "analytics-python", "version": "2.4.0"}},
    "properties": {"rows": 12},
}


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/v1/track", "/v1/track/", "/v1/t", "/compat/segment/v1/track", "/compat/segment/v1/t/"]
)
async def test_a_vendors_event_is_in_the_log_under_every_form_of_its_path(
    stand: IngestStand, client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.post(path, json=TRACK, headers=stand.authorization)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = await stand.events()
    assert (event.user, event.action, event.account, event.id) == ("ada", "Opened Report", "acme", "m1")
    assert event.properties == {"rows": 12}
    assert event.sender is not None
    assert event.sender.sdk == "analytics-python/2.4.0"


async def test_a_key_counts_in_the_header_the_body_or_the_query(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    basic = {"authorization": "Basic " + base64.b64encode(stand.write_key.encode()).decode()}
    oauth = {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30.x"}
    for headers, body, query in (
        (basic, TRACK, ""),
        ({}, {**TRACK, "writeKey": stand.write_key}, ""),
        (oauth, {**TRACK, "writeKey": stand.write_key}, ""),
        ({}, TRACK, f"?writeKey={stand.write_key}"),
    ):
        answer = await client.post(f"/v1/track{query}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    refused = await client.post("/v1/track", json={**TRACK, "writeKey": "ffw_" + "x" * 43})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert len(await stand.events()) == 4


async def test_one_bad_event_of_a_batch_is_kept_as_its_sender_wrote_it_and_the_rest_is_taken(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    nameless = {"type": "track", "userId": "bob", "messageId": "m2"}
    answer = await client.post("/v1/batch", json={"batch": [nameless, TRACK]}, headers=stand.authorization)
    assert answer.status_code == 200
    (event,) = await stand.events()
    assert event.id == "m1"
    (kept,) = await stand.rejected()
    assert (kept.code, kept.place) == ("missing_action", {"path": "/v1/batch", "index": 0})
    assert json.loads(kept.body) == nameless
    assert kept.event is not None
    assert json.loads(kept.event) == {"type": "track", "user": "bob", "id": "m2"}


async def test_gzip_that_nobody_announced_and_a_lying_content_type_are_understood(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    body = gzip.compress(json.dumps({"batch": [TRACK]}).encode())
    headers = {**stand.authorization, "content-type": "text/plain"}
    answer = await client.post("/v1/b", content=body, headers=headers)
    assert answer.status_code == 200
    assert len(await stand.events()) == 1


async def test_what_a_browser_of_another_origin_is_refused_it_can_read(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    origin = {"origin": "https://app.example"}
    for path in ("/v1/track", "/compat/segment/v1/track", "/nowhere"):
        answer = await client.post(path, content=b"{", headers=origin)
        assert answer.status_code in (400, 401, 404)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.json()["code"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"{", "invalid_json"),
        (b'{"batch": [1e999]}', "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
    ],
)
async def test_a_body_nobody_can_read_is_refused_with_a_reason(
    stand: IngestStand, client: httpx.AsyncClient, body: bytes, code: str
) -> None:
    answer = await client.post("/v1/batch", content=body, headers=stand.authorization)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert [kept.code for kept in await stand.rejected()] == ([code] if body else [])


async def test_of_a_body_nobody_can_read_nothing_is_kept_without_a_key(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for headers in ({}, {"authorization": "Bearer ffw_" + "x" * 43}):
        answer = await client.post("/v1/batch", content=b"{", headers=headers)
        assert answer.status_code in (400, 401)
    assert await stand.rejected() == []


@pytest.mark.parametrize("properties", [{"a": "\0"}, {"a": 2**70}, {"a": json.loads("[" * 40 + "]" * 40)}])
async def test_a_value_no_database_holds_rejects_its_event(
    stand: IngestStand, client: httpx.AsyncClient, properties: dict[str, object]
) -> None:
    answer = await client.post(
        "/v1/track", json={**TRACK, "properties": properties}, headers=stand.authorization
    )
    assert answer.status_code == 400, answer.text
    assert await stand.events() == []
    assert len(await stand.rejected()) == 1


async def test_a_method_a_path_does_not_take_is_named(stand: IngestStand, client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/batch")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
