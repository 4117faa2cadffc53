"""Rejected: what was refused by reason, an event corrected and replayed in place, many at once, and nothing at all."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from open_pages import Pages, Suite, open_pages, running_suite
from waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

EXPECT_MS = 20_000
MISNAMED = {"userId": "ada", "account": "acme", "action": "opened report", "properties": {"rows": 3}}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=EXPECT_MS)
    with running_suite(tmp_path_factory.mktemp("rejected") / "data") as suite:
        yield suite
    expect.set_options(timeout=5_000)


async def _refuse(pages: Pages, *bodies: object) -> None:
    """Send what is refused, and return once all of it is listed."""
    before = len(await _listed(pages))
    headers = {"authorization": f"Bearer {pages.write_key}", "user-agent": "shop-web/1.4.0"}
    async with httpx.AsyncClient(base_url=pages.suite.url, headers=headers, trust_env=False) as client:
        for body in bodies:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            assert (await client.post("/v1/events", content=content)).status_code == 400

    async def all_listed() -> bool:
        return len(await _listed(pages)) == before + len(bodies)

    await eventually(all_listed)


async def _listed(pages: Pages, **params: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await pages.call("GET", "/v1/rejected", params=params)).json()["items"]
    return items


async def _activities(pages: Pages) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await pages.call("GET", "/v1/activity")).json()["items"]
    return items


async def _open_first(page: Page) -> None:
    await page.locator(".rejected .when button").first.click()
    await expect(page.get_by_role("textbox", name="As it should be")).to_be_visible()


async def test_an_event_is_corrected_checked_and_replayed_in_place(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _refuse(pages, MISNAMED)
        page = await pages.open("/rejected")
        row = page.locator(".rejected tbody")
        await expect(row).to_contain_text('There is no field `userId`. Call it "user".')
        await expect(row).to_contain_text("shop-web/1.4.0")
        await expect(row).to_contain_text("/v1/events, event 0")
        await _open_first(page)
        await expect(page.locator(".rejected-event mark")).to_have_text('"userId": "ada",')
        text = page.get_by_role("textbox", name="As it should be")
        status = page.locator(".rejected-event .verdict")

        pages.expect("400")
        await page.get_by_role("button", name="Replay", exact=True).click()
        await expect(status).to_contain_text("There is no field `userId`.")
        await expect(text).to_have_attribute("aria-invalid", "true")
        await text.fill('{"user": ')
        await page.get_by_role("button", name="Check", exact=True).click()
        await expect(status).to_contain_text("This is not JSON yet.")
        await text.fill(json.dumps(MISNAMED))
        await page.get_by_role("button", name="Apply: rename userId to user").click()
        assert json.loads(await text.input_value())["user"] == "ada"
        await text.press("Control+Enter")
        await expect(status).to_have_text("It would be accepted.")
        assert await _activities(pages) == []

        await page.get_by_role("button", name="Replay", exact=True).click()
        told = page.locator(".told")
        await expect(told).to_contain_text("Replayed just now by somebody logged in.")
        await expect(told).to_be_focused()
        await expect(row.locator(".tag")).to_have_text("replayed")
        await expect(page.get_by_role("button", name="All reasons 0 open")).to_be_visible()
        await pages.shown(1)
        [event] = await _activities(pages)
        assert (event["user"], event["origin"]) == ("ada", "replay")
        await page.get_by_role("link", name="The event it became").click()
        await page.wait_for_url(pages.address(f"/activity/{event['id']}"))


async def test_a_reason_is_chosen_and_all_its_events_are_mended_alike(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _refuse(pages, *({**MISNAMED, "userId": f"u{n}"} for n in range(4)), {"userId": "eve"})
        await _refuse(pages, {**MISNAMED, "userId": "x", "user": "ada", "time": "yesterday"})
        page = await pages.open("/rejected")
        await expect(page.locator(".rejected tbody")).to_have_count(6)
        await page.get_by_role("button", name="unknown_field 4 open").click()
        await page.wait_for_url(pages.address("/rejected", code="unknown_field"))
        await expect(page.locator(".rejected tbody")).to_have_count(4)
        alike = page.get_by_role("region", name="Reason unknown_field")
        await expect(alike).to_contain_text("4 of the newest 4 need: rename userId to user.")
        await alike.get_by_role("button", name="Check all as they are").click()
        await expect(alike.get_by_role("status")).to_contain_text("0 events would be accepted.")
        await alike.get_by_role("button", name="Check all with it").click()
        await expect(alike.get_by_role("status")).to_contain_text("4 events would be accepted.")
        assert await _activities(pages) == []
        await alike.get_by_role("button", name="Replay 4 events").click()
        await expect(alike.get_by_role("status")).to_contain_text("4 events replayed.")
        await expect(page.locator(".rejected tbody")).to_have_count(0)
        await pages.shown(4)
        await page.get_by_role("button", name="Replayed", exact=True).click()
        await expect(page.locator(".rejected tbody")).to_have_count(4)


async def test_what_nobody_needs_is_dismissed_one_or_all(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _refuse(pages, {"user": "a"}, {"user": "b"}, {"user": "c"})
        page = await pages.open("/rejected", code="missing_action")
        await expect(page.locator(".rejected tbody")).to_have_count(3)
        await _open_first(page)
        await expect(page.locator(".rejected-event mark.missing")).to_contain_text('"action"')
        await page.get_by_role("button", name="Dismiss", exact=True).click()
        await expect(page.locator(".told")).to_contain_text("It can still be replayed.")
        alike = page.get_by_role("region", name="Reason missing_action")
        await alike.get_by_role("button", name="Dismiss all").click()
        await alike.get_by_role("button", name="Keep them").click()
        await alike.get_by_role("button", name="Dismiss all").click()
        await alike.get_by_role("button", name="Dismiss them").click()
        await expect(alike.get_by_role("status")).to_contain_text("2 events dismissed.")
        assert len(await _listed(pages, state="dismissed")) == 3


async def test_a_text_that_is_no_event_is_marked_where_it_breaks(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _refuse(
            pages, b'{"user":"ada","action":"a","action":"b"}', b'{"user":"ada","action":"a","p":[1,}'
        )
        page = await pages.open("/rejected", code="duplicate_key")
        await _open_first(page)
        await expect(page.locator(".rejected-event mark")).to_have_text(['"action":"a"', '"action":"b"'])
        page = await pages.open("/rejected", code="invalid_json")
        await _open_first(page)
        await expect(page.locator(".rejected-event mark")).to_have_count(1)


async def test_it_works_by_keyboard_and_leads_here_from_a_source(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _refuse(pages, MISNAMED)
        page = await pages.open("/sources")
        await page.get_by_role("link", name="Correct it").click()
        await page.wait_for_url(pages.address("/rejected", code="unknown_field"))
        opener = page.locator(".rejected .when button")
        await opener.focus()
        await page.keyboard.press("Enter")
        await expect(opener).to_have_attribute("aria-expanded", "true")
        await expect(page.get_by_role("textbox", name="As it should be")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(opener).to_have_attribute("aria-expanded", "false")
        await page.locator("h1").focus()
        await page.keyboard.press("g")
        await page.keyboard.press("p")
        await page.wait_for_url(pages.address("/pulse"))
        await page.keyboard.press("g")
        await page.keyboard.press("x")
        await page.wait_for_url(pages.address("/rejected"))


async def test_nothing_refused_and_no_answer_are_said(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/rejected")
        await expect(page.get_by_text("Nothing was refused in 8 days.")).to_be_visible()
        await _refuse(pages, MISNAMED)
        await expect(page.locator(".rejected tbody")).to_have_count(1)
        pages.expect("503")
        failing = {"status": 503, "content_type": "application/json"}
        body = json.dumps({"code": "unavailable", "message": "The database is away.", "hint": "Wait."})
        await page.route("**/v1/rejected?*", lambda route: route.fulfill(body=body, **failing))
        await page.get_by_role("button", name="Dismissed").click()
        await expect(page.get_by_role("alert")).to_contain_text("The database is away.")
        await page.unroute("**/v1/rejected?*")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_text("Nothing of this was dismissed.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_has_no_fault_of_accessibility_and_fits(
    suite: Suite, scheme: Literal["light", "dark"]
) -> None:
    async with open_pages(suite, color_scheme=scheme) as pages:
        empty = await pages.open("/rejected")
        await expect(empty.get_by_text("Nothing was refused in 8 days.")).to_be_visible()
        await _clean(empty)
        await _refuse(
            pages, MISNAMED, {"user": "ada", "properties": {"x": "y" * 300}}, b'{"user":"' + b"z" * 200
        )
        page = await pages.open("/rejected", code="unknown_field")
        await _open_first(page)
        await page.get_by_role("button", name="Check", exact=True).click()
        await expect(page.locator(".rejected-event .verdict")).to_contain_text("There is no field")
        await _clean(page)
        page = await pages.open("/rejected")
        await _open_first(page)
        await _clean(page)


async def _clean(page: Page) -> None:
    for width in (1440, 1024, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{over} px too wide at {width}"
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
