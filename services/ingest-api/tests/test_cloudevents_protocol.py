"""CloudEvents in the three modes of their HTTP binding."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ingest_stand import IngestStand, open_stand

WON: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/crm",
    "type": "deal.won",
    "subject": "ada",
    "time": "2026-01-02T03:04:05.5Z",
    "comexampleregion": "eu",
    "data": {"value": 12},
}
ONE = {"content-type": "application/cloudevents+json; charset=utf-8"}
SEVERAL = {"content-type": "application/cloudevents-batch+json"}
BINARY = {
    "ce-id": "1",
    "ce-source": "/crm",
    "ce-type": "deal.won",
    "ce-specversion": "1.0",
    "ce-subject": "ada",
}


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


@pytest.mark.parametrize(
    "path",
    ["/v1/cloudevents", "/v1/cloudevents/", "/compat/cloudevents/", "/compat/cloudevents/v1/cloudevents"],
)
@pytest.mark.parametrize(
    ("headers", "body"), [(ONE, WON), (SEVERAL, [WON]), ({"content-type": "application/json"}, WON)]
)
async def test_an_event_in_json_is_taken_with_all_that_it_says(
    stand: IngestStand, client: httpx.AsyncClient, path: str, headers: dict[str, str], body: object
) -> None:
    answer = await client.post(path, content=json.dumps(body), headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    (event,) = await stand.events()
    assert (event.kind, event.action, event.user, event.account) == ("track", "deal.won", "ada", None)
    assert (event.id, event.occurred_at) == ("/crm 1", datetime(2026, 1, 2, 3, 4, 5, 500000, UTC))
    assert event.properties == {"value": 12}
    assert event.context == {"cloudevents": {"source": "/crm", "id": "1", "comexampleregion": "eu"}}


async def test_an_event_in_headers_is_taken_with_its_body_as_data(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    headers = {
        **BINARY,
        "ce-subject": "J%C3%BCrgen%20%2520",
        "ce-time": '"2026-01-02T03:04:05Z"',
        "ce-accountid": "acme",
        "ce-userid": "ada",
        "content-type": "application/json",
    }
    assert (await client.post("/v1/cloudevents", content=b'{"x": 1}', headers=headers)).status_code == 200
    (event,) = await stand.events()
    assert (event.user, event.account, event.properties) == ("ada", "acme", {"x": 1})
    assert event.context["cloudevents"]["subject"] == "Jürgen %20"
    assert event.occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("media_type", "body", "properties"),
    [
        ("application/vnd.crm+json", b"[1]", {"data": [1]}),
        ("text/plain", "ü".encode(), {"data": "ü"}),
        ("application/octet-stream", b"\xff", {"data_base64": "/w=="}),
        ("application/octet-stream", b"", {}),
    ],
)
async def test_data_of_any_kind_is_kept(
    stand: IngestStand, client: httpx.AsyncClient, media_type: str, body: bytes, properties: dict[str, Any]
) -> None:
    headers = {**BINARY, "content-type": media_type}
    assert (await client.post("/v1/cloudevents", content=body, headers=headers)).status_code == 200
    (event,) = await stand.events()
    assert (event.user, event.properties) == ("ada", properties)


async def test_the_same_number_of_another_source_is_another_event(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    batch = [WON, {**WON, "source": "/shop"}, WON, {**WON, "source": "/" + "x" * 600}]
    assert (
        await client.post("/v1/cloudevents", content=json.dumps(batch), headers=SEVERAL)
    ).status_code == 200
    ids = [event.id for event in await stand.events()]
    assert sorted(ids)[:3] == ["/crm 1", "/crm 1", "/shop 1"]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": None}, "missing_attribute"),
        ({"source": ""}, "missing_attribute"),
        ({"type": 1}, "missing_attribute"),
        ({"specversion": "9"}, "unknown_specversion"),
        ({"data_base64": "AA=="}, "two_kinds_of_data"),
        ({"time": "yesterday"}, "invalid_time"),
    ],
)
async def test_an_event_that_is_none_is_refused_and_kept_and_the_others_are_taken(
    stand: IngestStand, client: httpx.AsyncClient, change: dict[str, Any], code: str
) -> None:
    broken = {**WON, **change}
    alone = await client.post("/v1/cloudevents", content=json.dumps(broken), headers=ONE)
    assert (alone.status_code, alone.json()["code"]) == (400, code)
    both = await client.post("/v1/cloudevents", content=json.dumps([broken, WON]), headers=SEVERAL)
    assert both.status_code == 200
    assert len(await stand.events()) == 1
    assert [kept.code for kept in await stand.rejected()] == [code, code]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/cloudevents+xml"}, b"<event/>", 415),
        ({"content-type": "application/cloudevents-batch+avro"}, b"x", 415),
        ({"content-type": "application/json"}, b'{"user": "ada"}', 415),
        ({}, b"", 415),
        (ONE, b"{", 400),
        (SEVERAL, b"{}", 400),
        ({**BINARY, "content-type": "application/json"}, b"{", 400),
        ({**BINARY, "ce-subject": "%ff"}, b"", 400),
    ],
)
async def test_what_is_no_cloudevent_is_refused_in_words(
    stand: IngestStand, client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = await client.post("/v1/cloudevents", content=body, headers=headers)
    assert (answer.status_code, bool(answer.json()["message"])) == (status, True)
    assert await stand.events() == []


async def test_an_empty_batch_is_taken(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/cloudevents", content=b"[]", headers=SEVERAL)).status_code == 200


async def test_while_the_log_is_away_the_sender_is_asked_to_come_again(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    stand.log.away = True
    answer = await client.post("/v1/cloudevents", content=json.dumps(WON), headers=ONE)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)


async def test_a_sender_of_web_hooks_is_let_in_by_its_handshake(client: httpx.AsyncClient) -> None:
    answer = await client.options("/v1/cloudevents", headers={"webhook-request-origin": "crm.example"})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "crm.example"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert answer.headers["allow"] == "POST, OPTIONS"


async def test_a_browsers_preflight_is_answered_as_on_every_path(client: httpx.AsyncClient) -> None:
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "ce-id,content-type",
    }
    answer = await client.options("/v1/cloudevents", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-headers"] == "ce-id,content-type"
