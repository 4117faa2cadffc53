"""The keys of the pages: heard everywhere and at any time, also while a page is on its way."""

import asyncio
from collections.abc import Iterator

import pytest
from playwright.async_api import Locator, Page, Route, expect

from open_pages import Suite, open_pages, running_suite

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

EXPECT_MS = 20_000
ADDRESSES = (
    *("/pulse", "/accounts", "/accounts/acme", "/users", "/users/ada", "/visitors/v1", "/activity/seen"),
    *("/sources", "/actions"),
)
PRESS = """
    window.__press = (key, target = document.activeElement) =>
        target.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=EXPECT_MS)
    with running_suite(tmp_path_factory.mktemp("keys") / "data") as suite:
        yield suite
    expect.set_options(timeout=5_000)


def _heading(page: Page) -> Locator:
    return page.locator("main h1")


async def test_every_page_tells_its_keys_and_leads_to_the_others(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        seen = {"id": "seen", "user": "ada", "account": "acme", "action": "opened report"}
        await pages.send([seen, {"anonymous_id": "v1", "action": "opened report"}])
        await pages.shown(2)
        page = await pages.context.new_page()
        help_ = page.get_by_role("dialog", name="Keys and shapes")
        for address in ADDRESSES:
            await page.goto(pages.address(address))
            await expect(_heading(page)).to_be_visible()
            await page.keyboard.press("?")
            await expect(help_).to_contain_text("Service Pulse")
            await page.keyboard.press("Escape")
            await expect(help_).to_have_count(0)
            there = "/users" if address == "/sources" else "/sources"
            await page.keyboard.press("g")
            await page.keyboard.press(there[1])
            await page.wait_for_url(pages.address(there))


async def test_keys_are_heard_while_the_module_of_a_page_is_on_its_way(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([{"user": "ada", "action": "opened report"}])
        await pages.shown(1)
        page = await pages.open("/users")
        arrives = asyncio.Event()

        async def late(route: Route) -> None:
            await arrives.wait()
            await route.continue_()

        await page.route("**/places/user.js", late)
        await page.locator("tbody .row-link").click()
        await page.wait_for_url(pages.address("/users/ada"))
        await expect(page.locator("main")).to_have_attribute("aria-busy", "true")
        await page.keyboard.press("g")
        await page.keyboard.press("p")
        await page.wait_for_url(pages.address("/pulse"))
        await expect(_heading(page)).to_have_text("Service Pulse")
        async with page.expect_response("**/places/user.js"):
            arrives.set()
        await expect(_heading(page)).to_have_text("Service Pulse")


async def test_two_keys_stay_together_across_a_change_of_page_and_while_the_page_is_busy(
    suite: Suite,
) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/users")
        await expect(_heading(page)).to_have_text("Users")
        await page.evaluate(PRESS)
        await page.evaluate(
            """() => {
                __press("g");
                document.querySelector("nav a[href*='/sources']").click();
                const second = new KeyboardEvent("keydown", {key: "p", bubbles: true});
                for (const until = performance.now() + 2000; performance.now() < until; );
                document.body.dispatchEvent(second);
            }"""
        )
        await page.wait_for_url(pages.address("/pulse"))
        await expect(_heading(page)).to_have_text("Service Pulse")


async def test_two_keys_pressed_apart_are_no_pair(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/users")
        await expect(_heading(page)).to_have_text("Users")
        await page.evaluate(PRESS)
        await page.evaluate(
            """() => {
                __press("g");
                for (const until = performance.now() + 1600; performance.now() < until; );
                __press("p");
                __press("g");
                __press("s");
            }"""
        )
        await page.wait_for_url(pages.address("/sources"))
        await page.go_back()
        await expect(_heading(page)).to_have_text("Users")


async def test_the_list_of_keys_lets_them_through_once_it_is_closed(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/users")
        await page.evaluate(PRESS)
        await page.keyboard.press("?")
        await expect(page.get_by_role("button", name="Close")).to_be_focused()
        await page.evaluate(
            """() => {
                for (const key of ["g", "a"]) __press(key);
                document.querySelector("dialog").close();
                for (const key of ["g", "s"]) __press(key);
            }"""
        )
        await expect(_heading(page)).to_have_text("Sources")
        await page.go_back()
        await expect(_heading(page)).to_have_text("Users")


async def test_a_page_that_is_seen_hears_its_keys(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.context.add_init_script(
            PRESS
            + """
            new MutationObserver((_, observer) => {
                const field = document.querySelector("[type=search]");
                if (!field) return;
                observer.disconnect();
                __press("/", document.body);
                window.__at = document.activeElement.type ?? "elsewhere";
            }).observe(document, {childList: true, subtree: true});
            """
        )
        page = await pages.open("/users")
        await page.wait_for_function("window.__at")
        assert await page.evaluate("window.__at") == "search"
