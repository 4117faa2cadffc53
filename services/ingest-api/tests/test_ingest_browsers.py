import base64
import gzip
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from ingest_api.pixel import GIF
from ingest_stand import IngestStand, open_stand

ORIGIN = "https://app.example"


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


def _allows(answer: httpx.Response) -> bool:
    return (
        answer.headers.get("access-control-allow-origin") == ORIGIN
        and answer.headers.get("access-control-allow-credentials") == "true"
        and "Origin" in answer.headers.get("vary", "")
    )


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/", "/t.gif", "/js/footfall.js", "/v1/later"])
async def test_a_preflight_allows_what_is_asked(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.options(
        path,
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,x-retry-count",
        },
    )
    assert answer.status_code == 200
    assert _allows(answer)
    assert answer.headers["access-control-allow-headers"] == "authorization,x-retry-count"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-max-age"] == "86400"


async def test_answers_and_errors_alike_may_be_read(stand: IngestStand, client: httpx.AsyncClient) -> None:
    origin = {"origin": ORIGIN}
    stand.log.away = True
    away = await client.post("/v1/events", json={"action": "a"}, headers={**stand.authorization, **origin})
    stand.log.away = False
    answers = [
        away,
        await client.post("/v1/events", json={"action": "a"}, headers={**stand.authorization, **origin}),
        await client.post("/v1/events", json={"action": "a"}, headers=origin),
        await client.post("/v1/events", content=b"", headers={**stand.authorization, **origin}),
        await client.get("/v1/events", headers=origin),
        await client.get("/v1/nowhere", headers=origin),
        await client.get("/t.gif", headers=origin),
    ]
    assert [answer.status_code for answer in answers] == [503, 200, 401, 400, 405, 404, 200]
    for answer in answers:
        assert _allows(answer)
        exposed = answer.headers["access-control-expose-headers"]
        assert "Retry-After" in exposed
        assert "X-Request-Id" in exposed
        assert answer.headers["x-request-id"]


async def test_a_failure_of_ours_may_be_read_too(stand: IngestStand, client: httpx.AsyncClient) -> None:
    async def broken(key: str) -> None:
        raise RuntimeError("a bug")

    stand.access.by_key = broken  # type: ignore[method-assign]  # a bug cannot be ordered otherwise
    answer = await client.post(
        "/v1/events", json={"action": "a"}, headers={**stand.authorization, "origin": ORIGIN}
    )
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert _allows(answer)


async def test_other_paths_allow_no_origin(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


async def test_caches_keep_answers_by_origin_apart(stand: IngestStand, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events", json={"action": "a"}, headers=stand.authorization)
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in answer.headers


async def test_the_pixel_sends_an_event(stand: IngestStand, client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/t.gif",
        params={
            "key": stand.write_key,
            "user": "ada+x@acme.example",
            "action": "opened mail",
            "account": "Zoë & Co",
            "id": "m1",
            "p.campaign": "autumn",
            "p.a.b": "c",
            "t.plan": "pro",
            "_": "12345",
        },
    )
    assert (answer.status_code, answer.content) == (200, GIF)
    assert len(GIF) == 43
    assert answer.headers["content-type"] == "image/gif"
    assert "no-store" in answer.headers["cache-control"]
    (event,) = await stand.events()
    assert (event.user, event.action, event.account, event.id) == (
        "ada+x@acme.example",
        "opened mail",
        "Zoë & Co",
        "m1",
    )
    assert (event.properties, event.traits, event.context) == (
        {"campaign": "autumn", "a.b": "c"},
        {"plan": "pro"},
        {},
    )


EVENT = json.dumps({"user": "ada", "action": "a", "properties": {"x": "??>~ÿ"}}).encode()


@pytest.mark.parametrize(
    "data",
    [
        EVENT.decode(),
        base64.b64encode(EVENT).decode(),
        base64.b64encode(EVENT).decode().rstrip("=").replace("+", " "),
        base64.urlsafe_b64encode(EVENT).decode(),
    ],
    ids=["json", "base64", "mangled base64", "base64url"],
)
async def test_the_pixel_takes_a_whole_event(
    stand: IngestStand, client: httpx.AsyncClient, data: str
) -> None:
    await client.get(f"/t.gif?key={stand.write_key}&data={quote(data)}")
    (event,) = await stand.events()
    assert event.properties == {"x": "??>~ÿ"}


@pytest.mark.parametrize("body", [EVENT, b"user=ada&action=a&p.x=%3F%3F%3E~%C3%BF"], ids=["json", "form"])
async def test_the_pixel_may_be_posted(stand: IngestStand, client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(f"/t.gif?key={stand.write_key}", content=body)
    assert answer.content == GIF
    (event,) = await stand.events()
    assert (event.user, event.properties) == ("ada", {"x": "??>~ÿ"})


@pytest.mark.parametrize(
    "query", ["user=ada", "action=%00", "data=%25%25", "data=eyJ", "userId=ada&action=a"]
)
async def test_the_pixel_answers_with_the_image_and_keeps_what_is_wrong(
    stand: IngestStand, client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"/t.gif?key={stand.write_key}&{query}")
    assert (answer.status_code, answer.content) == (200, GIF)
    assert await stand.events() == []
    (kept,) = await stand.rejected()
    assert kept.place["path"] == "/t.gif"


async def test_the_pixel_without_a_key_is_counted(stand: IngestStand, client: httpx.AsyncClient) -> None:
    assert (await client.get("/t.gif?user=ada&action=a")).content == GIF
    assert stand.count("footfall_ingest_refused_total", code="unauthenticated") == 1


async def test_the_pixel_claims_nothing_while_the_log_is_away(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    stand.log.away = True
    answer = await client.get(f"/t.gif?key={stand.write_key}&action=a")
    assert (answer.status_code, answer.content) == (503, GIF)
    assert answer.headers["retry-after"]


async def test_asking_for_the_pixels_headers_is_no_event(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    assert (await client.head(f"/t.gif?key={stand.write_key}&action=a")).status_code == 200
    assert await stand.events() == []


@pytest.mark.parametrize("path", ["/js/footfall.js", "/js/footfall.mjs"])
async def test_the_script_is_small_cached_and_for_everybody(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"origin": ORIGIN, "accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 2048
    assert _allows(answer)
    assert "track(" in answer.text
    plain = await client.get(path, headers={"accept-encoding": "identity"})
    assert plain.content == gzip.decompress(gzip.compress(answer.content))
    again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_modules_types_name_what_it_exports(client: httpx.AsyncClient) -> None:
    module = (await client.get("/js/footfall.mjs")).text
    types = (await client.get("/js/footfall.d.mts")).text
    exported = re.search(r"export const {(.*)}", module)
    assert exported
    assert sorted(re.findall(r"export function (\w+)", types)) == sorted(
        exported[1].replace(" ", "").split(",")
    )
