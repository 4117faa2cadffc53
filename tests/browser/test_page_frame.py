"""The frame around the pages: projects, zone, theme, the way in and out, and what is told when something fails."""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from open_pages import Pages, Suite, open_pages, running_suite

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

EXPECT_MS = 20_000
ADDRESSES = (
    *("/pulse", "/accounts", "/accounts/acme", "/users", "/users/ada", "/visitors/v1", "/activity/seen"),
    *("/sources", "/rejected", "/actions"),
)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=EXPECT_MS)
    with running_suite(tmp_path_factory.mktemp("frame") / "data") as suite:
        with suite.admin() as admin:
            admin.post(
                "/v1/projects", json={"name": "an <i>invented</i> one", "demo": True}
            ).raise_for_status()
        yield suite
    expect.set_options(timeout=5_000)


def _heading(page: Page) -> Locator:
    return page.locator("main h1")


def _project_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query)["project"][0]


async def _clean(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def _other_project(pages: Pages, name: str) -> str:
    """The id of the suite's project of this name."""
    with pages.suite.admin() as admin:
        projects = admin.get("/v1/projects").json()["items"]
    return next(str(item["project"]) for item in projects if item["name"] == name)


async def test_the_keyboard_alone_goes_from_the_login_through_two_projects_and_out(suite: Suite) -> None:
    async with open_pages(suite, every_project=True) as pages:
        await pages.context.clear_cookies()
        with suite.admin() as admin:
            link = admin.post("/v1/logins", json={}).json()["path"]
        page = await pages.context.new_page()
        await page.goto(pages.address("/sources"))
        await page.goto(pages.url + link)
        await expect(page.get_by_role("button", name="Log in")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(_heading(page)).to_have_text("Sources")
        assert page.url == pages.address("/sources")

        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await expect(page.get_by_role("button", name="Log out")).to_be_focused()
        switcher = page.get_by_role("button", name="Project: ")
        for _ in range(9):
            await page.keyboard.press("Shift+Tab")
        await expect(switcher).to_be_focused()
        assert await switcher.evaluate("node => getComputedStyle(node).boxShadow") != "none"
        await page.keyboard.press("Enter")
        menu = page.get_by_role("menu")
        here = menu.locator("[aria-current=true]")
        await expect(here).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(switcher).to_be_focused()
        await expect(menu).to_have_count(0)
        await page.keyboard.press("ArrowDown")
        await expect(here).to_be_focused()
        await page.keyboard.press("Home")
        await expect(menu.get_by_role("menuitem").first).to_be_focused()
        await page.keyboard.press("ArrowUp")
        await expect(menu.get_by_role("menuitem").last).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(menu).to_have_count(0)
        await expect(page.get_by_role("link", name="Pulse", exact=True)).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        items = menu.get_by_role("menuitem")
        names = await items.all_inner_texts()
        await page.keyboard.press("Home")
        for _ in range(next(at for at, name in enumerate(names) if "invented" in name)):
            await page.keyboard.press("ArrowDown")
        assert "demo" in next(name for name in names if "invented" in name)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Project: an <i>invented</i> one")).to_be_visible()
        await expect(_heading(page)).to_be_focused()
        assert urlsplit(page.url).path == "/sources"
        assert _project_of(page) == await _other_project(pages, "an <i>invented</i> one")

        await page.keyboard.press("Shift+Tab")
        await expect(page.get_by_role("link", name="Send events of your own")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()
        await expect(page.get_by_role("complementary", name="Demo")).to_have_count(0)
        await page.get_by_role("button", name="Log out").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="You are logged out")).to_be_visible()


async def test_links_work_as_links_do(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        people = [{"user": f"user-{n:03}", "action": "opened report", "account": "acme"} for n in range(60)]
        await pages.send(people)
        await pages.shown(60)
        page = await pages.open("/users")
        await page.evaluate("window.__kept = true")
        await expect(page.locator("tbody tr")).to_have_count(50)
        await page.evaluate("scrollTo(0, 600)")
        await page.locator("tbody .row-link").nth(20).click()
        await expect(_heading(page)).to_have_text(re.compile("user-"))
        await expect(_heading(page)).to_be_focused()
        assert await page.evaluate("scrollY") == 0
        here = page.get_by_role("navigation").locator("[aria-current]")
        await expect(here).to_have_text("Users")
        await page.go_back()
        await expect(_heading(page)).to_have_text("Users")
        await page.wait_for_function("() => scrollY > 500")
        await expect(page).to_have_title("Users · Footfall")
        await page.go_forward()
        await expect(_heading(page)).to_have_text(re.compile("user-"))

        async with pages.context.expect_page() as opened:
            await page.get_by_role("link", name="Actions").click(button="middle")
        await expect(_heading(await opened.value)).to_have_text("Actions")
        await expect(_heading(page)).to_have_text(re.compile("user-"))

        await page.goto(pages.address("/actions", rule="one"))
        await expect(_heading(page)).to_have_text("Actions")
        await page.evaluate("window.__kept = true")
        await page.get_by_role("link", name="Actions").click()
        await page.wait_for_url(pages.address("/actions"))
        await expect(page.get_by_role("button", name="Rule one")).to_have_count(0)
        await page.go_back()
        assert parse_qs(urlsplit(page.url).query)["rule"] == ["one"]
        assert await page.evaluate("window.__kept")


async def test_zone_and_theme_are_chosen_and_kept(suite: Suite) -> None:
    async with open_pages(suite, timezone_id="America/Caracas", color_scheme="light") as pages:
        await pages.call("PATCH", f"/v1/projects/{pages.project}", json={"time_zone": "Australia/Adelaide"})
        await pages.send([{"user": "ada", "action": "opened report"}])
        await pages.shown(1)
        page = await pages.open("/pulse")
        tile = page.locator(".tile .meaning").filter(has_text="today").first
        await expect(tile).to_contain_text("today in Adelaide")
        stamp = page.locator(".feed article time").first
        await expect(stamp).to_be_visible()
        for choice, button in (
            ("UTC", "Time stamps in UTC"),
            ("The project's", "Time stamps in Adelaide"),
            ("Your time zone", "Time stamps in Caracas"),
        ):
            await page.get_by_role("button", name="Time stamps in").click()
            menu = page.get_by_role("menu", name="Time stamps in")
            await menu.get_by_role("menuitemradio", name=choice, exact=False).first.click()
            await expect(page.get_by_role("button", name=button)).to_be_focused()
            zone = {"UTC": "UTC", "The project's": "Australia/Adelaide"}.get(choice, "America/Caracas")
            shown = await stamp.evaluate(
                "(node, timeZone) => new Date(node.dateTime).toLocaleTimeString('en-GB', {timeZone})", zone
            )
            await expect(stamp).to_have_text(shown)
            await expect(tile).to_contain_text("today in Adelaide")

        paper = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(paper)
        await page.get_by_role("button", name="Light or dark").click()
        await page.get_by_role("menuitemradio", name="Dark").click()
        dark = await page.evaluate(paper)
        assert dark != light
        await page.add_init_script(
            f"requestAnimationFrame(function look() {{"
            f" if (document.body?.innerText) (window.__papers ??= []).push({paper});"
            f" requestAnimationFrame(look); }})"
        )
        await page.reload()
        await expect(page.locator(".feed article")).to_have_count(1)
        assert set(await page.evaluate("window.__papers")) == {dark}
        await page.get_by_role("button", name="Light or dark").click()
        await page.get_by_role("menuitemradio", name="As the system").click()
        assert await page.evaluate(paper) == light
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate(paper) == dark


async def test_what_is_not_there_and_what_fails_is_told(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        pages.expect("404", "503", "Failed to load resource", "Failed to fetch dynamically", "401")
        page = await pages.context.new_page()
        await page.goto(f"{pages.url}/sources?project=pnobody")
        await expect(_heading(page)).to_have_text("There is no such project here")
        await expect(page).to_have_title("There is no such project here · Footfall")
        await page.get_by_role("main").get_by_role("link", name="Open pages").click()
        await page.wait_for_url(pages.address("/pulse"))
        await expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()

        await page.route("**/actions.js", lambda route: route.abort())
        await page.get_by_role("link", name="Actions").click()
        await expect(page.get_by_role("alert")).to_contain_text("This page could not be loaded.")
        await page.get_by_role("link", name="Sources").click()
        await expect(_heading(page)).to_have_text("Sources")
        await page.unroute("**/actions.js")
        await page.goto(pages.address("/actions"))
        await expect(_heading(page)).to_have_text("Actions")

        sentence = {
            "code": "unavailable",
            "message": "The database does not answer.",
            "hint": "Wait a little.",
        }
        await page.route("**/v1/session*", lambda route: route.fulfill(status=503, json=sentence))
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("The database does not answer.")
        await page.unroute("**/v1/session*")
        await expect(_heading(page)).to_have_text("Actions")

        await page.goto(pages.address("/accounts", q="a b"))
        await expect(page.get_by_text("No account has “a b” in its name or id.")).to_be_visible()
        # The list asks again by itself, and would be sent to the login first.
        await page.route("**/v1/accounts?*", lambda _: None)
        await pages.context.clear_cookies()
        await page.get_by_role("link", name="Sources").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert page.url == _login_before(pages, "/sources")
        made = await pages.call("POST", "/v1/logins")
        await page.goto(pages.url + made.json()["path"])
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url(pages.address("/sources"))
        await expect(_heading(page)).to_have_text("Sources")
        await page.unroute("**/v1/accounts?*")

        async def logged_out(route: Route) -> None:
            await pages.context.clear_cookies()
            await route.continue_()

        await page.route("**/v1/accounts?*", logged_out)
        await page.goto(pages.address("/accounts", q="a b"))
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert page.url == _login_before(pages, "/accounts", q="a b")


def _login_before(pages: Pages, path: str, **query: str) -> str:
    """The address of the login that leads on to a page of the project."""
    return f"{pages.url}/login?next={quote(pages.address(path, **query).removeprefix(pages.url), safe='')}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_frame_and_the_login_have_no_fault_of_accessibility(
    suite: Suite, scheme: Literal["light", "dark"]
) -> None:
    async with open_pages(suite, color_scheme=scheme, every_project=True) as pages:
        pages.expect("410")
        page = await pages.open("/actions")
        for name in ("Project: ", "Time stamps in", "Light or dark"):
            button = page.get_by_role("button", name=name)
            await button.click()
            await expect(page.get_by_role("menu")).to_be_visible()
            await _clean(page)
            await page.keyboard.press("Escape")
            await expect(button).to_be_focused()
        await page.close()
        made = await pages.call("POST", "/v1/logins")
        await _login_is_clean(pages.context, pages.url + made.json()["path"])
        await _login_is_clean(pages.context, f"{pages.url}/login")
        await pages.context.clear_cookies()
        for address in ("/login", "/login?token=x", "/login?state=out"):
            await _login_is_clean(pages.context, pages.url + address)


async def _login_is_clean(context: BrowserContext, address: str) -> None:
    page = await context.new_page()
    await page.goto(address)
    await expect(page.locator("h1")).to_be_visible()
    await _clean(page)
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.close()


async def test_every_page_fits_a_phone(suite: Suite) -> None:
    async with open_pages(
        suite, viewport=(390, 844), every_project=True, name="of a long name " * 5
    ) as pages:
        await pages.send([{"id": "seen", "user": "ada", "account": "acme", "action": "opened report"}])
        await pages.send(
            [{"anonymous_id": "v1", "account": "w" * 200, "action": "x" * 200, "user": "y" * 200}]
        )
        await pages.send(
            [
                {
                    "anonymous_id": "v1",
                    "action": "viewed page",
                    "properties": {"url": "z" * 300},
                }
            ]
        )
        await pages.shown(3)
        page = await pages.open("/pulse")
        for address in ADDRESSES:
            await page.goto(pages.address(address))
            await expect(_heading(page)).to_be_visible()
            over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, f"{address} is {over} px too wide"
        for name in ("Project: ", "Time stamps in", "Light or dark"):
            await page.get_by_role("button", name=name).click()
            box = await page.get_by_role("menu").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
            await page.keyboard.press("Escape")
