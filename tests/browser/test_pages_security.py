"""The pages in a browser: nothing inline, nobody else asked, and forms that the server believes."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import httpx
import pytest
from playwright.async_api import Page, expect

from open_pages import Pages, Suite, open_pages, running_suite

pytestmark = pytest.mark.browser

ADDRESSES = [
    "/pulse", "/accounts", "/accounts/acme", "/users", "/users/ada", "/visitors/v1", "/activity/seen", "/sources",
    "/actions",
]  # fmt: skip
_VIOLATIONS = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
    window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`);
});
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running_suite(tmp_path_factory.mktemp("security") / "data") as suite:
        yield suite


@pytest.fixture
async def pages(suite: Suite) -> AsyncIterator[Pages]:
    async with open_pages(suite) as pages:
        await pages.context.add_init_script(_VIOLATIONS)
        yield pages


async def _violations(page: Page) -> object:
    return await page.evaluate("window.__violations")


async def _link(pages: Pages) -> str:
    """A login link to the project."""
    made = await pages.call("POST", "/v1/logins")
    return pages.url + str(made.json()["path"])


async def _fill(pages: Pages) -> None:
    """A bit of everything the pages show, some of it as an attacker would name it."""
    hostile = "<img src=https://evil.example/x onerror=fetch('https://evil.example')>"
    await pages.send(
        [
            {"id": "seen", "user": "ada", "account": "acme", "action": "opened report"},
            {"anonymous_id": "v1", "action": hostile, "properties": {hostile: hostile}},
            {"user": hostile, "account": hostile, "action": "x", "properties": {"url": "https://evil.example"}},
            {"type": "identify", "user": "ada", "traits": {"name": hostile, "avatar": "https://evil.example/a.png"}},
        ]
    )  # fmt: skip
    await pages.shown(3)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_page_breaks_its_policy_or_asks_a_third_party(pages: Pages, address: str) -> None:
    """`open_pages` itself fails for errors in the console and requests to others."""
    await _fill(pages)
    asked: list[str] = []
    pages.context.on("request", lambda request: asked.append(request.url))
    page = await pages.open(address)
    await expect(page.locator("main h1").first).to_be_visible()
    await page.wait_for_function("document.title !== 'Footfall'")
    assert await _violations(page) == []
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((pages.url, "data:"))] == []
    await page.close()


async def test_the_policy_refuses_what_is_inline_and_what_is_elsewhere(pages: Pages) -> None:
    pages.expect("Content Security Policy", "evil.example", "third party")
    page = await pages.open("/pulse")
    done = await page.evaluate(
        """async () => {
            const script = document.createElement("script");
            script.textContent = "window.__ran = true";
            document.body.append(script);
            const image = new Image();
            image.src = "https://evil.example/x.png";
            const style = document.createElement("style");
            style.textContent = "body { display: none }";
            document.head.append(style);
            await fetch("https://evil.example/").catch(() => {});
            await new Promise((resolve) => setTimeout(resolve, 300));
            return [window.__ran ?? false, getComputedStyle(document.body).display !== "none"];
        }"""
    )
    assert done == [False, True]
    directives = {text.split(":")[0] for text in await page.evaluate("window.__violations")}
    assert {"script-src-elem", "style-src-elem", "img-src", "connect-src"} <= directives
    await page.close()


async def test_the_login_needs_no_script_and_the_keyboard_suffices(pages: Pages) -> None:
    context = await pages.browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    asked = f"/users/a%2Fb?project={pages.project}"
    await page.goto(pages.url + asked)
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.goto(await _link(pages))
    button = page.get_by_role("button", name="Log in")
    await expect(button).to_be_focused()
    await button.press("Enter")
    await page.wait_for_url(pages.url + asked, wait_until="commit")
    await page.goto(f"{pages.url}/login")
    await expect(page.get_by_role("link", name="Open Footfall")).to_have_attribute("href", "/pulse")
    await context.close()


async def test_a_form_of_a_page_logs_out(pages: Pages) -> None:
    """Under `Referrer-Policy: no-referrer` the browser would send `Origin: null`, which is refused."""
    # What the page had asked when the session ended is refused, and must not lead it elsewhere.
    pages.expect("401")
    page = await pages.open("/pulse")
    await page.evaluate(
        """() => {
            const form = document.createElement("form");
            Object.assign(form, {method: "post", action: "/logout"});
            document.body.append(form);
            form.submit();
        }"""
    )
    await expect(page.get_by_role("heading", name="You are logged out")).to_be_visible()
    await page.goto(pages.address("/pulse"))
    assert re.fullmatch(rf"{re.escape(pages.url)}/login\?next=.*", page.url)
    await page.close()


async def test_a_tab_from_before_an_update_still_loads_modules(pages: Pages) -> None:
    page = await pages.open("/pulse")
    loaded = await page.evaluate("import('/assets/0123456789abcdef/links.js').then((it) => Object.keys(it))")
    assert "accountLink" in loaded
    async with httpx.AsyncClient(base_url=pages.url, trust_env=False) as client:
        assert (await client.get("/assets/0123456789abcdef/gone.js")).status_code == 404
    await page.close()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_the_login_breaks_no_policy(suite: Suite, color_scheme: Literal["light", "dark"]) -> None:
    async with open_pages(suite, color_scheme=color_scheme) as pages:
        # Chromium reports the status of the page for a link that was used.
        pages.expect("410")
        await pages.context.add_init_script(_VIOLATIONS)
        for address in (await _link(pages), f"{pages.url}/login", f"{pages.url}/login?token=x"):
            page = await pages.context.new_page()
            await page.goto(address)
            await expect(page.locator("h1")).to_be_visible()
            assert await _violations(page) == []
            family = "getComputedStyle(document.body).fontFamily"
            assert str(await page.evaluate(family)).startswith("Inter")
            await page.close()
