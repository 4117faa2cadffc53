"""Who sent it: every accepted event and every rejection names its key and its SDK."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from eventmodel import Sender
from ingest_stand import IngestStand, open_stand

WRITE, SECRET = "kaaaaaaaaaaa", "kbbbbbbbbbbb"
CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


async def test_accepted_events_name_their_key_and_the_requests_program(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for key, agent in ((stand.write_key, "curl/8.5.0"), (stand.secret_key, CHROMIUM)):
        answer = await client.post(
            "/v1/events",
            json={"user": agent, "action": "a"},
            headers={"authorization": f"Bearer {key}", "user-agent": agent},
        )
        assert answer.status_code == 200
    assert {event.user: event.sender for event in await stand.events()} == {
        "curl/8.5.0": Sender(key=WRITE, sdk="curl/8.5.0"),
        CHROMIUM: Sender(key=SECRET, sdk="browser"),
    }
    for record in await stand.records("footfall.events"):
        assert stand.write_key.encode() not in record.value


async def test_rejected_events_name_the_library_they_came_with(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    library = {"library": {"name": "analytics-node", "version": "2.1.0"}}
    body = [{"user": "ada"}, {"user": "bob", "context": library}, 5]
    await client.post(
        "/v1/events", json=body, headers={**stand.authorization, "user-agent": "node-fetch/1.0"}
    )
    node, fetch = Sender(key=WRITE, sdk="analytics-node/2.1.0"), Sender(key=WRITE, sdk="node-fetch/1.0")
    assert {kept.place["index"]: kept.sender for kept in await stand.rejected()} == {
        0: fetch,
        1: node,
        2: fetch,
    }


async def test_a_body_refused_as_a_whole_names_the_request(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    await client.post("/v1/events", content=b"[{", headers={**stand.authorization, "user-agent": "x/1"})
    assert [kept.sender for kept in await stand.rejected()] == [Sender(key=WRITE, sdk="x/1")]


async def test_the_pixel_names_its_sender_too(stand: IngestStand, client: httpx.AsyncClient) -> None:
    browser = {"user-agent": CHROMIUM}
    await client.get(f"/t.gif?key={stand.write_key}&action=a", headers=browser)
    await client.get(f"/t.gif?key={stand.write_key}", headers=browser)
    sender = Sender(key=WRITE, sdk="browser")
    assert [event.sender for event in await stand.events()] == [sender]
    assert [kept.sender for kept in await stand.rejected()] == [sender]


async def test_big_bodies_are_stamped_in_their_thread(stand: IngestStand, client: httpx.AsyncClient) -> None:
    body = json.dumps([{"action": "a", "properties": {"x": "x" * 1000}}] * 200).encode()
    await client.post("/v1/events", content=body, headers={**stand.authorization, "user-agent": "x/1"})
    assert {event.sender for event in await stand.events()} == {Sender(key=WRITE, sdk="x/1")}


async def test_without_a_user_agent_only_the_key_is_known(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    del client.headers["user-agent"]
    await client.post("/v1/events", json={"action": "a"}, headers=stand.authorization)
    assert [event.sender for event in await stand.events()] == [Sender(key=WRITE)]
