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


@pytest.mark.parametrize("path", ["/pixel.gif", "/pixel.gif/", "/compat/totango/pixel.gif/"])
async def test_one_pixel_tells_of_the_account_and_of_the_activity(
    stand: IngestStand, client: httpx.AsyncClient, path: str
) -> None:
    query = (
        f"sdr_s={stand.write_key}&sdr_o=acc1&sdr_u=a%40b.c&sdr_a=Login&sdr_m=App&sdr_o.Contract%20Value=1200"
    )
    answer = await client.get(f"{path}?{query}")
    assert (answer.status_code, answer.content) == (200, GIF)
    track, group = sorted(await stand.events(), key=lambda event: event.kind, reverse=True)
    assert (track.kind, track.user, track.account, track.action) == ("track", "a@b.c", "acc1", "Login")
    assert track.properties == {"module": "App"}
    assert (group.kind, group.account, group.traits) == ("group", "acc1", {"Contract Value": "1200"})


async def test_address_and_form_are_read_together(stand: IngestStand, client: httpx.AsyncClient) -> None:
    form = {"sdr_o": "acc1", "sdr_u": "ada", "sdr_a": "Login", "sdr_m": "App"}
    answer = await client.post(
        f"/pixel.gif/?sdr_s={stand.write_key}&sdrurl=https://app.example/x&r=7", data=form
    )
    assert answer.content == GIF
    (event,) = await stand.events()
    assert (event.user, event.action, event.context) == (
        "ada",
        "Login",
        {"page": {"url": "https://app.example/x"}},
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sdr_u=ada&sdr_u.name=Ada", [("identify", "ada", None, {"name": "Ada"})]),
        (
            "sdr_o=acc1&sdr_odn=Acme&sdr_ofid=0012",
            [("group", None, "acc1", {"name": "Acme", "foreign_id": "0012"})],
        ),
        ("sdr_o=acc1&sdr_o.account_name=Acme", [("group", None, "acc1", {"name": "Acme"})]),
        (
            "sdr_o=acc1&sdr_u=ada&sdr_o.Status=Paying&sdr_u.Contact=yes",
            [("group", None, "acc1", {"Status": "Paying"}), ("identify", "ada", "acc1", {"Contact": "yes"})],
        ),
        ("sdr_o=acc1&sdr_u=ada", [("identify", "ada", "acc1", {})]),
        ("sdr_o=acc1", [("group", None, "acc1", {})]),
        ("sdr_o=acc1&sdr_u=ada&sdr_heartbeat=1", []),
        ("sdr_o=acc1&sdr_u=ada&sdr_a=x&sdr_m=y&sdr_heartbeat_idle=1", []),
        (
            "sdr_o=acc1&sdr_u=ada&sdr_heartbeat=1&sdr_u.name=Ada",
            [("identify", "ada", "acc1", {"name": "Ada"})],
        ),
    ],
)
async def test_what_is_no_activity_counts_none(
    stand: IngestStand,
    client: httpx.AsyncClient,
    query: str,
    told: list[tuple[str, str | None, str | None, dict[str, str]]],
) -> None:
    answer = await client.get(f"/pixel.gif?sdr_s={stand.write_key}&{query}")
    assert (answer.status_code, answer.content) == (200, GIF)
    events = await stand.events()
    assert sorted((event.kind, event.user, event.account, event.traits) for event in events) == told
    assert await stand.rejected() == []


async def test_our_own_time_makes_a_pixel_that_is_sent_again_the_same(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    query = "sdr_o=acc1&sdr_u=ada&sdr_a=Login&sdr_m=App&sdr_u.name=Ada&sdr_t=1767225600"
    for number in (1, 2):
        await client.get(f"/pixel.gif?sdr_s={stand.write_key}&r={number}&{query}")
    events = await stand.events()
    assert len(events) == 4
    assert len({event.id for event in events}) == 2
    assert {event.occurred_at for event in events} == {datetime(2026, 1, 1, tzinfo=UTC)}


async def test_the_image_comes_whatever_was_wrong_and_no_key_is_kept(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    for query in (
        "sdr_s=SP-1-01&sdr_o=acc1&sdr_a=x",
        f"sdr_s={stand.write_key}&sdr_u=null&sdr_o=acc1&sdr_a=x",
    ):
        answer = await client.get(f"/pixel.gif?{query}")
        assert (answer.status_code, answer.content) == (200, GIF)
    assert await stand.events() == []
    (kept,) = await stand.rejected()
    assert kept.code == "invalid_id"
    assert stand.write_key not in str(kept)
