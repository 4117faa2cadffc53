from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from ingest_api.pixel import GIF
from ingest_stand import IngestStand, open_stand

FIELDS = {
    "uuid": "u",
    "created-ms": "1767225600123",
    "custom-plan": "pro",
    "sdkversion": "2.9.5",
    "platform": "iOS",
    "os": "iOS 17.1",
    "vendor": "Apple",
    "model": "iPhone15,2",
    "locale": "en-GB",
    "app-name": "Reports",
    "app-version": "1.2",
    "package-name": "example.reports",
    "gmtoffset": "3600",
    "hardware": "device-number-0",
    "hardware-ios-idfa": "device-number-1",
    "hardware-android-android-id": "device-number-2",
}


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@pytest.mark.parametrize("mount", ["", "/compat/tapstream"])
@pytest.mark.parametrize("end", ["", "/"])
async def test_an_event_arrives_without_the_numbers_of_its_device(
    stand: IngestStand, client: httpx.AsyncClient, mount: str, end: str
) -> None:
    form = {"secret": stand.write_key, **FIELDS}
    answer = await client.post(f"{mount}/sam/event/ios-app-open{end}", data=form)
    assert (answer.status_code, answer.content) == (200, b"")
    (event,) = await stand.events()
    assert (event.kind, event.action, event.user, event.anonymous_id) == ("track", "ios-app-open", None, "u")
    assert event.occurred_at == datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert event.properties == {"plan": "pro"}
    assert event.context == {
        "app": {"name": "Reports", "version": "1.2", "namespace": "example.reports"},
        "device": {"manufacturer": "Apple", "model": "iPhone15,2"},
        "os": {"name": "iOS", "version": "iOS 17.1"},
        "locale": "en-GB",
        "library": {"name": "tapstream", "version": "2.9.5"},
        "tapstream": {"gmtoffset": "3600"},
    }
    assert event.sender is not None
    assert event.sender.sdk == "tapstream/2.9.5"


async def test_a_purchase_keeps_what_was_bought_and_sent_again_is_the_same(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    bought = {"purchase-product-id": "sku", "purchase-price": "499", "purchase-currency": "EUR"}
    for _ in range(2):
        form = {"secret": stand.write_key, "uuid": "u", "created-ms": "1767225600123", **bought}
        await client.post("/sam/event/ios-app-purchase-sku/", data=form)
    first, again = await stand.events()
    assert first.properties == {
        "purchase_product_id": "sku",
        "purchase_price": "499",
        "purchase_currency": "EUR",
    }
    assert first.id == again.id


async def test_a_hit_is_an_event_of_nobody_with_its_tags(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    posted = await client.post(f"/sam/hit/autumn-mail.gif?key={stand.write_key}", data={"__ts": "a,b"})
    shown = await client.get(f"/{stand.write_key}/hit/autumn-mail.gif?__tsid=7")
    for answer in (posted, shown):
        assert (answer.status_code, answer.content) == (200, GIF)
    second, first = sorted(await stand.events(), key=lambda event: len(event.properties))
    assert (first.action, first.user, first.anonymous_id) == ("autumn-mail", None, None)
    assert (first.properties, second.properties) == ({"tags": ["a", "b"]}, {})
    assert second.context == {"tapstream": {"__tsid": "7"}}


async def test_a_wrong_name_and_a_wrong_secret_are_final_and_what_may_help_later_is_not(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    form = {"secret": stand.write_key, "uuid": "u"}
    assert (await client.post("/sam/event/ok/", data={"secret": "wrong"})).status_code == 403
    assert (await client.post("/sam/event/ok/", data={"uuid": "u"})).status_code == 403
    assert (await client.post(f"/sam/event/{'x' * 300}/", data=form)).status_code == 404
    assert (await client.post("/sam/event/%20/", data=form)).status_code == 404
    assert (await client.post("/sam/event/", data=form)).status_code == 404
    assert (await client.post("/sam/event/ok/", data={**form, "created-ms": "soon"})).status_code == 400
    limited = await open_stand(project_events_per_s=1)
    transport = httpx.ASGITransport(limited.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        form = {"secret": limited.write_key, "uuid": "u"}
        answers = [await client.post("/sam/event/ok/", data=form) for _ in range(12)]
    assert (answers[0].status_code, answers[-1].status_code) == (200, 503)
    assert answers[-1].headers["retry-after"]


async def test_neither_secret_nor_device_is_kept_of_what_was_refused(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    form = {**FIELDS, "secret": stand.write_key, "created-ms": "soon"}
    await client.post("/sam/event/ios-app-open/", data=form)
    (kept,) = await stand.rejected()
    assert kept.code == "invalid_time"
    for text in (stand.write_key, "hardware", "device-number"):
        assert text not in str(kept)
