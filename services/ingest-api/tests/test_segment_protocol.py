"""Segment's messages, and those of RudderStack and Jitsu, as events of the log."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from eventmodel import Event
from ingest_stand import IngestStand, open_stand

IMAGE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://ingest", headers=stand.authorization
    ) as client:
        yield client


async def _sent(
    stand: IngestStand, client: httpx.AsyncClient, path: str, body: object, **headers: str
) -> Event:
    answer = await client.post(path, json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = await stand.events()
    return event


@pytest.mark.parametrize(
    ("path", "message", "expected"),
    [
        ("t", {"event": "Paid", "userId": 7}, {"kind": "track", "action": "Paid", "user": "7"}),
        ("identify", {"userId": "ada", "traits": {"a": 1}}, {"kind": "identify", "traits": {"a": 1}}),
        (
            "i",
            {
                "userId": "ada",
                "traits": {"a": 1},
                "context": {"traits": {"a": 0, "b": 2}, "ip": "203.0.113.9"},
            },
            {"traits": {"a": 1, "b": 2}, "context": {"ip": "203.0.113.0"}},
        ),
        (
            "track",
            {"userId": "ada", "event": "Paid", "context": {"traits": {"plan": "old"}}},
            {"traits": {}, "context": {"traits": {"plan": "old"}}},
        ),
        (
            "page",
            {"userId": "ada", "name": "Pricing", "category": "Docs", "properties": {"path": "/p"}},
            {
                "kind": "page",
                "action": "Pricing",
                "properties": {"name": "Pricing", "category": "Docs", "path": "/p"},
            },
        ),
        ("p", {"anonymousId": "v1"}, {"action": "viewed page", "anonymous_id": "v1", "user": None}),
        ("screen", {"userId": "ada", "name": "Home"}, {"kind": "screen", "action": "Home"}),
        (
            "group",
            {
                "userId": "ada",
                "groupId": "acme",
                "traits": {"seats": 5},
                "context": {"traits": {"plan": "pro"}},
            },
            {"kind": "group", "account": "acme", "traits": {"seats": 5}},
        ),
        (
            "alias",
            {"userId": "ada", "previousId": "v1"},
            {"kind": "alias", "previous_id": "v1", "user": "ada"},
        ),
        (
            "track",
            {
                "userId": "ada",
                "event": "Paid",
                "context": {"groupId": "acme"},
                "anonymousId": None,
                "traits": None,
            },
            {"account": "acme", "anonymous_id": None},
        ),
        (
            "track",
            {
                "userId": "",
                "anonymousId": "v1",
                "event": "Paid",
                "channel": "server",
                "version": 2,
                "integrations": {"All": False},
                "_metadata": {"bundled": []},
                "receivedAt": "nonsense",
                "writeKey": "ffw_",
                "context": {"extra": {"mine": 1}},
            },
            {"user": None, "context": {"extra": {"mine": 1, "channel": "server", "version": 2}}},
        ),
        (
            "track",
            {"userId": "ada", "event": "Paid", "timestamp": "2026-01-02 03:04:05.5"},
            {"occurred_at": datetime(2026, 1, 2, 3, 4, 5, 500000, UTC)},
        ),
        (
            "track",
            {"userId": "ada", "event": "Paid", "originalTimestamp": "1767323045000"},
            {"occurred_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)},
        ),
    ],
)
async def test_a_message_becomes_the_event_it_means(
    stand: IngestStand,
    client: httpx.AsyncClient,
    path: str,
    message: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    event = await _sent(stand, client, f"/v1/{path}", message)
    assert {name: getattr(event, name) for name in expected} == expected


async def test_a_batch_shares_its_context_and_its_sending_time(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    now = datetime.now(UTC)
    body = {
        "batch": [
            {
                "type": "track",
                "event": "Paid",
                "userId": "ada",
                "timestamp": (now - timedelta(minutes=5, seconds=10)).isoformat(),
            }
        ],
        "context": {"ip": "203.0.113.9", "groupId": "acme"},
        "integrations": {"All": True},
        "sentAt": (now - timedelta(minutes=5)).isoformat(),
        "writeKey": stand.write_key,
    }
    event = await _sent(stand, client, "/v1/import", body)
    assert (event.account, event.context) == ("acme", {"ip": "203.0.113.0", "groupId": "acme"})
    assert event.marks == ["skew_corrected"]
    assert abs(event.received_at - event.occurred_at - timedelta(seconds=10)) < timedelta(seconds=5)


@pytest.mark.parametrize("value", [True, {"id": "ada"}, ["ada"]])
async def test_an_id_that_is_no_text_refuses_its_event(
    stand: IngestStand, client: httpx.AsyncClient, value: object
) -> None:
    answer = await client.post("/v1/track", json={"event": "Paid", "userId": value})
    assert (answer.status_code, answer.json()["code"]) == (400, "wrong_type")
    assert len(await stand.rejected()) == 1


@pytest.mark.parametrize("body", [{}, {"batch": None}, {"batch": {}}, 1, "x"])
async def test_a_batch_without_messages_is_refused_and_kept(
    stand: IngestStand, client: httpx.AsyncClient, body: object
) -> None:
    answer = await client.post("/v1/batch", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_batch")
    assert len(await stand.rejected()) == 1


async def test_an_image_takes_base64_json_or_dotted_names(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    message = {"userId": "ada", "event": "Opened Mail", "properties": {"subject": "Hi ?>"}}
    encoded = base64.b64encode(json.dumps(message).encode()).decode()
    for params in (
        {"data": encoded.rstrip("=")},
        {"data": encoded.replace("+", " ")},
        {"data": json.dumps(message)},
        {"userId": "ada", "event": "Opened Mail", "properties.subject": "Hi ?>"},
    ):
        answer = await client.get("/v1/pixel/track", params=params)
        assert (answer.status_code, answer.content) == (200, IMAGE)
        assert answer.headers["content-type"] == "image/gif"
        assert "no-store" in answer.headers["cache-control"]
    events = await stand.events()
    assert [(event.user, event.action, event.properties) for event in events] == [
        ("ada", "Opened Mail", {"subject": "Hi ?>"})
    ] * 4


async def test_an_image_comes_also_for_what_is_refused_but_not_while_the_log_is_away(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for query in ("data=%00", "data=", "event=a&event.b=c", "", "userId=ada"):
        answer = await client.get(f"/v1/pixel/track?{query}")
        assert (answer.status_code, answer.content) == (200, IMAGE)
    unknown = await client.get("/v1/pixel/track?event=a&userId=b", headers={"authorization": "Bearer nobody"})
    assert (unknown.status_code, unknown.content) == (200, IMAGE)
    stand.log.away = True
    away = await client.get("/v1/pixel/track?event=a&userId=b")
    assert (away.status_code, away.content) == (503, IMAGE)
    assert int(away.headers["retry-after"]) > 0


@pytest.mark.parametrize("mount", ["", "/compat/segment"])
@pytest.mark.parametrize("path", ["/v1/projects/WK/settings", "/v1/projects/projects/WK/settings/"])
async def test_the_browser_sdk_is_told_to_send_here_and_nowhere_else(
    client: httpx.AsyncClient, mount: str, path: str
) -> None:
    headers = {"host": "events.example.com", "x-forwarded-proto": "https", "origin": "https://app.example"}
    answer = await client.get(mount + path, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    said = answer.json()
    assert list(said["integrations"]) == ["Segment.io"]
    segment = said["integrations"]["Segment.io"]
    host = f"events.example.com{mount}/v1"
    assert (segment["apiKey"], segment["apiHost"], segment.get("protocol")) == ("WK", host, None)
    assert said["metrics"] == {"sampleRate": 0, "host": host}


async def test_what_the_browser_sdk_measures_is_accepted_and_forgotten(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/v1/m", content=b'{"series":[]}')
    assert answer.status_code == 200
    assert await stand.events() == []


async def test_the_script_is_not_served_and_the_answer_says_what_to_do(client: httpx.AsyncClient) -> None:
    answer = await client.get("/analytics.js/v1/WK/analytics.min.js")
    assert (answer.status_code, answer.json()["code"]) == (404, "script_not_served")
    assert "cdnURL" in answer.json()["hint"]


async def test_rudderstacks_headers_say_what_its_message_leaves_out(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    sent_at = datetime.now(UTC)
    event = await _sent(
        stand,
        client,
        "/v1/track",
        {"event": "Paid", "originalTimestamp": "2026-01-02T03:04:05Z"},
        AnonymousId=base64.b64encode("vïsitor".encode()).decode(),
        SentAt=sent_at.isoformat(),
    )
    assert event.anonymous_id == "vïsitor"
    assert event.sent_at == sent_at


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/merge", {"mergeProperties": [{"type": "id", "value": "ada"}, {"type": "id", "value": "v1"}]}),
        ("/v1/merge", {"userId": "ada", "previousId": "v1"}),
        (
            "/compat/rudderstack/v1/batch",
            {"batch": [{"type": "merge", "mergeProperties": [{"value": "ada"}, {"value": "v1"}]}]},
        ),
    ],
)
async def test_rudderstacks_merge_is_an_alias(
    stand: IngestStand, client: httpx.AsyncClient, path: str, body: object
) -> None:
    event = await _sent(stand, client, path, body)
    assert (event.kind, event.user, event.previous_id) == ("alias", "ada", "v1")


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/", "/compat/rudderstack/sourceConfig"])
async def test_rudderstacks_browser_sdk_is_given_a_source_without_destinations(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, params={"writeKey": "WK", "p": "npm"})
    assert answer.status_code == 200
    source = answer.json()["source"]
    assert (source["enabled"], source["destinations"]) == (True, [])


async def test_rudderstacks_beacon_and_image_take_the_key_in_the_address(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    del client.headers["authorization"]
    key = {"writeKey": stand.write_key}
    body = json.dumps({"batch": [{"type": "track", "event": "Left", "anonymousId": "v1"}]})
    answer = await client.post(
        "/beacon/v1/batch", params=key, content=body, headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 200
    image = await client.get("/pixel/v1/page", params={**key, "anonymousId": "v1", "name": "Mail"})
    assert image.content == IMAGE
    assert sorted(event.action for event in await stand.events()) == ["Left", "Mail"]


async def test_jitsu_takes_its_key_in_a_header_and_answers_for_each_event(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    del client.headers["authorization"]
    headers = {"x-write-key": stand.write_key}
    paid = {"type": "track", "event": "Paid", "userId": "ada"}
    for path in ("/api/s/track", "/api/s/s2s/track", "/compat/jitsu/api/s/track"):
        answer = await client.post(path, json=paid, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
    answer = await client.post("/api/s/batch", json={"batch": [paid, {"type": "track"}]}, headers=headers)
    said = answer.json()
    assert (answer.status_code, said["ok"], said["receivedEvents"], said["okEvents"]) == (200, True, 2, 1)
    assert said["errors"] == ["1: The event has no `action`."]
    refused = await client.post("/api/s/track", json=paid)
    assert (refused.status_code, refused.json()["ok"]) == (401, False)
    assert len(await stand.events()) == 4
