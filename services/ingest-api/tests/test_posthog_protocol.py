"""PostHog's bodies, and its events as events of the log."""

import base64
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from eventmodel import Event
from ingest_stand import IngestStand, open_stand

PAID: Mapping[str, Any] = {"event": "Paid", "distinct_id": "ada", "uuid": "u1"}


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


async def _captured(stand: IngestStand, client: httpx.AsyncClient, message: Mapping[str, Any]) -> list[Event]:
    answer = await client.post("/capture/", json={"api_key": stand.write_key, **message})
    assert (answer.status_code, answer.content) == (200, b'{"status":"Ok"}')
    return await stand.events()


@pytest.mark.parametrize("path", ["/e/", "/capture", "/batch", "/i/v0/e/", "/compat/posthog/track"])
async def test_a_body_is_understood_in_every_form_with_its_token_in_every_place(
    stand: IngestStand, client: httpx.AsyncClient, path: str
) -> None:
    key = stand.write_key
    keyed = {**PAID, "properties": {"token": key}}
    plain: list[Any] = [
        {"api_key": key, "batch": [PAID]},
        {"token": key, "batch": [PAID]},
        [keyed],
        [{**PAID, "$token": key}],
    ]
    if path != "/batch":
        plain += [keyed, {**PAID, "api_key": key}]
    bodies = [json.dumps(value).encode() for value in plain]
    packed = gzip.compress(bodies[0])
    text = base64.b64encode(bodies[2]).decode()
    bodies += [
        packed,
        b"data=" + text.replace("=", "%3D").replace("+", "%2B").encode(),
        b"data=" + text.rstrip("=").encode(),
        b"data=" + base64.b64encode(packed).replace(b"+", b"%2B"),
        text.encode(),
    ]
    for body in bodies:
        answer = await client.post(path, content=body, headers={"content-type": "text/plain"})
        assert (answer.status_code, answer.content) == (200, b'{"status":"Ok"}'), body
    events = await stand.events()
    assert {(event.user, event.action, event.id) for event in events} == {("ada", "Paid", "u1")}
    assert len(events) == len(bodies)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"event": "Paid", "distinct_id": 7}, {"user": "7", "anonymous_id": None}),
        (
            {"event": "Paid", "properties": {"distinct_id": "ada", "rows": 1}},
            {"user": "ada", "properties": {"rows": 1}},
        ),
        (
            {"event": "Paid", "distinct_id": "d1", "properties": {"$device_id": "d1"}},
            {"user": None, "anonymous_id": "d1", "context": {"device": {"id": "d1"}}},
        ),
        (
            {
                "event": "Paid",
                "distinct_id": "d2",
                "properties": {"$device_id": "d1", "$is_identified": False},
            },
            {"user": None, "anonymous_id": "d2"},
        ),
        (
            {
                "event": "Paid",
                "distinct_id": "d1",
                "properties": {"$device_id": "d1", "$is_identified": True},
            },
            {"user": "d1", "anonymous_id": None},
        ),
        (
            {"event": "Paid", "distinct_id": "d1", "properties": {"$process_person_profile": False}},
            {"user": None, "anonymous_id": "d1"},
        ),
        ({"event": "Paid", "distinct_id": "$posthog_cookieless"}, {"user": None, "anonymous_id": None}),
        (
            {
                "event": "$identify",
                "distinct_id": "ada",
                "properties": {"$anon_distinct_id": "d1", "$set": {"a": 1}},
            },
            {"kind": "identify", "user": "ada", "anonymous_id": "d1", "traits": {"a": 1}},
        ),
        (
            {
                "event": "$identify",
                "distinct_id": "ada",
                "$set": {"a": 1, "$browser": "x"},
                "$set_once": {"a": 0, "b": 2},
            },
            {"traits": {"a": 1, "b": 2}},
        ),
        ({"event": "$set", "distinct_id": "ada", "$set": {"a": 1}}, {"kind": "identify", "traits": {"a": 1}}),
        (
            {"event": "$create_alias", "properties": {"distinct_id": "d1", "alias": "ada"}},
            {"kind": "alias", "user": "ada", "previous_id": "d1", "properties": {}},
        ),
        (
            {
                "event": "$groupidentify",
                "distinct_id": "random",
                "properties": {"$group_type": "company", "$group_key": "acme", "$group_set": {"seats": 5}},
            },
            {"kind": "group", "user": None, "account": "acme", "traits": {"seats": 5}},
        ),
        (
            {
                "event": "$groupidentify",
                "distinct_id": "ada",
                "properties": {
                    "$group_type": "project",
                    "$group_key": "p1",
                    "$device_id": "d1",
                    "$groups": {"project": "p1", "company": "acme"},
                },
            },
            {"kind": "track", "action": "$groupidentify", "user": "ada", "account": "acme"},
        ),
        (
            {
                "event": "$groupidentify",
                "properties": {
                    "$group_type": "company",
                    "$group_key": "beta",
                    "$groups": {"company": "acme"},
                },
            },
            {"kind": "group", "account": "beta"},
        ),
        (
            {"event": "Paid", "properties": {"$groups": {"project": "p1", "account": "acme"}}},
            {"account": "acme"},
        ),
        ({"event": "Paid", "properties": {"$groups": {"project": "p1"}}}, {"account": "p1"}),
        (
            {"event": "$pageview", "properties": {"$current_url": "https://a.example/p", "$pathname": "/p"}},
            {
                "kind": "page",
                "action": "viewed page",
                "properties": {"url": "https://a.example/p", "path": "/p"},
                "context": {"page": {"url": "https://a.example/p", "path": "/p"}},
            },
        ),
        ({"event": "$screen", "properties": {"$screen_name": "Home"}}, {"kind": "screen", "action": "Home"}),
        (
            {
                "event": "Paid",
                "properties": {"$lib": "web", "$lib_version": "1", "$os": "Linux", "a": 1},
                "kept": 2,
            },
            {
                "properties": {"a": 1},
                "context": {
                    "library": {"name": "posthog-js", "version": "1"},
                    "posthog": {"$os": "Linux", "kept": 2},
                },
            },
        ),
        ({"event": "Paid", "properties": {"$insert_id": "i1"}}, {"id": "i1"}),
    ],
)
async def test_an_event_becomes_the_event_it_means(
    stand: IngestStand, client: httpx.AsyncClient, message: dict[str, Any], expected: dict[str, Any]
) -> None:
    (event,) = await _captured(stand, client, message)
    assert {name: getattr(event, name) for name in expected} == expected


async def test_traits_on_another_event_become_an_identify_of_the_same_person_with_an_id_of_its_own(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    message = {**PAID, "properties": {"$set": {"plan": "pro"}}}
    track, known = sorted(await _captured(stand, client, message), key=lambda event: event.id)
    assert (track.kind, track.id, track.traits) == ("track", "u1", {})
    assert (known.kind, known.id, known.user, known.traits) == ("identify", "u1:set", "ada", {"plan": "pro"})


async def test_an_offset_counts_back_from_the_time_of_sending(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    (event,) = await _captured(stand, client, {**PAID, "offset": 60_000})
    assert abs(event.received_at - event.occurred_at - timedelta(seconds=60)) < timedelta(seconds=5)


@pytest.mark.parametrize("place", ["query", "body", "header"])
async def test_the_time_of_sending_corrects_a_wrong_clock(
    stand: IngestStand, client: httpx.AsyncClient, place: str
) -> None:
    sent_at = datetime.now(UTC) - timedelta(hours=1)
    event = {**PAID, "timestamp": (sent_at - timedelta(seconds=30)).isoformat()}
    body: dict[str, Any] = {"api_key": stand.write_key, "batch": [event]}
    path, headers = "/batch/", {}
    if place == "query":
        path = f"/batch/?_={int(sent_at.timestamp() * 1000)}"
    elif place == "body":
        body["sent_at"] = sent_at.isoformat()
    else:
        path = "/i/v1/analytics/events"
        headers["posthog-request-timestamp"] = sent_at.isoformat()
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 200
    (stored,) = await stand.events()
    assert stored.marks == ["skew_corrected"]
    assert abs(stored.received_at - stored.occurred_at - timedelta(seconds=30)) < timedelta(seconds=5)


async def test_a_sender_may_forbid_the_correction(stand: IngestStand, client: httpx.AsyncClient) -> None:
    sent_at = datetime.now(UTC) - timedelta(hours=1)
    message = {**PAID, "timestamp": sent_at.isoformat(), "properties": {"$ignore_sent_at": True}}
    (event,) = await _captured(stand, client, {"batch": [message], "sent_at": sent_at.isoformat()})
    assert (event.occurred_at, event.marks) == (sent_at, [])


async def test_the_present_api_says_of_each_event_what_became_of_it(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    headers = {
        "authorization": f"Bearer {stand.write_key}",
        "posthog-sdk-info": "posthog-ruby/9.9",
    }
    body = {
        "batch": [
            {**PAID, "options": {"process_person_profile": False}},
            {"uuid": "u2", "distinct_id": "ada"},
        ]
    }
    answer = await client.post("/i/v1/analytics/events", json=body, headers=headers)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert results["u1"] == {"result": "ok"}
    assert results["u2"]["result"] == "drop"
    (event,) = await stand.events()
    assert event.anonymous_id == "ada"
    assert event.sender is not None
    assert event.sender.sdk == "posthog-ruby/9.9"
    stand.log.away = True
    away = await client.post("/i/v1/analytics/events", json=body, headers=headers)
    assert (away.status_code, away.json()["error"]) == (503, "log_unavailable")
    assert int(away.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/e/", b"", 400),
        ("/e/", b"{", 400),
        ("/e/", b"data=%00", 400),
        ("/e/?compression=lz64", b"data=N4Ig", 400),
        ("/batch/", b'{"batch": 1}', 400),
        ("/batch/", b"{}", 400),
        ("/e/", b'{"event": "a", "distinct_id": "b"}', 401),
        ("/i/v1/analytics/events", b"{}", 400),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_words(
    client: httpx.AsyncClient, path: str, body: bytes, status: int
) -> None:
    answer = await client.post(path, content=body)
    assert (answer.status_code, bool(answer.text)) == (status, True)


@pytest.mark.parametrize("path", ["/flags/?v=2", "/decide/?v=3"])
async def test_no_flag_is_on(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json={"token": "WK", "distinct_id": "d1"})
    assert answer.status_code == 200
    assert (answer.json()["flags"], answer.json()["sessionRecording"]) == ({}, False)


async def test_the_browser_sdk_is_told_to_record_nothing(client: httpx.AsyncClient) -> None:
    said = (await client.get("/array/WK/config")).json()
    assert (said["sessionRecording"], said["surveys"], said["hasFeatureFlags"]) == (False, False, False)
    script = await client.get("/array/W%22K/config.js")
    assert script.headers["content-type"].startswith("application/javascript")
    assert '{"W\\"K":{"config":{' in script.text


async def test_a_recording_is_accepted_and_dropped(stand: IngestStand, client: httpx.AsyncClient) -> None:
    answer = await client.post("/s/", content=b"data=anything")
    assert (answer.status_code, answer.content) == (200, b'{"status":"Ok"}')
    assert await stand.events() == []


async def test_posthogs_key_beside_the_event_tells_it_from_mixpanels(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for path in ("/track", "/engage"):
        answer = await client.post(path, json={**PAID, "api_key": stand.write_key})
        assert (answer.status_code, answer.content) == (200, b'{"status":"Ok"}')
    assert len(await stand.events()) == 2
