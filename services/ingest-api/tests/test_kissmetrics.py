from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from ingest_api.pixel import GIF
from ingest_stand import IngestStand, open_stand


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@pytest.mark.parametrize("path", ["/e", "/e/", "/compat/kissmetrics/e"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_event_arrives_by_address_and_by_form(
    stand: IngestStand, client: httpx.AsyncClient, path: str, method: str
) -> None:
    text = f"_k={stand.write_key}&_p=bob&_n=Signed+Up&_t=1767225600&_d=1&Plan+Name=Pro+%2B&_x=1"
    where = {"params": text} if method == "GET" else {"content": text}
    answer = await client.request(method, path, **where)  # type: ignore[arg-type]
    assert (answer.status_code, answer.content) == (200, GIF)
    (event,) = await stand.events()
    assert (event.kind, event.user, event.action) == ("track", "bob", "Signed Up")
    assert event.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.properties == {"Plan Name": "Pro +"}


async def test_a_time_counts_only_when_it_is_said_that_it_does(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for extra in ("&_t=1767225600", "&_t=1767225600&_d=0", "&_d=1"):
        await client.get(f"/e?_k={stand.write_key}&_p=bob&_n=a{extra}")
    events = await stand.events()
    assert len({event.id for event in events}) == 3
    assert all(event.occurred_at == event.received_at for event in events)


async def test_the_same_with_its_own_time_is_the_same_and_differs_in_any_property(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for plan in ("pro", "pro", "free"):
        await client.get(f"/e?_k={stand.write_key}&_p=bob&_n=a&_t=1767225600&_d=1&plan={plan}")
    first, again, other = (event.id for event in await stand.events())
    assert first == again != other


async def test_properties_and_aliases_are_of_the_person(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    await client.get(f"/s?_k={stand.write_key}&_p=bob&Plan=pro")
    await client.get(f"/a?_k={stand.write_key}&_p=bob&_n=bob%40acme.example")
    identify, alias = await stand.events()
    assert (identify.kind, identify.user, identify.traits) == ("identify", "bob", {"Plan": "pro"})
    assert (alias.kind, alias.user, alias.previous_id) == ("alias", "bob", "bob@acme.example")


async def test_the_image_comes_whatever_was_wrong_and_no_key_is_kept(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for query in (
        "_k=unknown&_p=bob&_n=a",
        f"_k={stand.write_key}&_p=bob",
        f"_k={stand.write_key}&_p=null&_n=a",
    ):
        answer = await client.get(f"/e?{query}")
        assert (answer.status_code, answer.content) == (200, GIF)
    assert await stand.events() == []
    kept = await stand.rejected()
    assert sorted(record.code for record in kept) == ["invalid_id", "missing_action"]
    assert not [record for record in kept if stand.write_key in str(record)]


async def test_while_nothing_can_be_stored_the_image_says_so(client: httpx.AsyncClient) -> None:
    limited = await open_stand(project_events_per_s=1)
    transport = httpx.ASGITransport(limited.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        answers = [await client.get(f"/e?_k={limited.write_key}&_p=bob&_n=a") for _ in range(12)]
    assert (answers[0].status_code, answers[-1].status_code) == (200, 503)
    assert answers[-1].content == GIF
    assert answers[-1].headers["retry-after"]


async def test_without_their_name_for_a_key_it_is_not_theirs(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    await client.get("/a?_p=bob&_n=a", headers=stand.authorization)
    assert await stand.events() == []
    answer = await client.get("/compat/kissmetrics/e?_p=bob&_n=a", headers=stand.authorization)
    assert answer.content == GIF
    assert len(await stand.events()) == 1
