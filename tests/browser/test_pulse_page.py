"""Service Pulse: every number as counted from the events themselves, live, from the first event on."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, Request, expect

from open_pages import Suite, open_pages, running_suite
from pulse_events import DAYS, PulseSeen, calm_zone, pulse_events, pulse_seen
from waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

READER = "America/Caracas"
SHIFTS = """
    window.__shifts = [];
    new PerformanceObserver(list => {
        for (const shift of list.getEntries()) {
            const moved = shift.sources.map(source => source.node?.className || source.node?.nodeName);
            if (!shift.hadRecentInput) window.__shifts.push([shift.value, ...moved]);
        }
    }).observe({type: "layout-shift", buffered: true});
"""
FACTS = """
    () => {
        const text = (node, selector) => node.querySelector(selector)?.textContent.trim() ?? "";
        const number = text => Number(text.replaceAll(",", ""));
        return {
            tiles: Object.fromEntries([...document.querySelectorAll(".tile")].map(tile => [
                text(tile, "h2"),
                {
                    figure: text(tile, ".figure"),
                    meaning: text(tile, ".meaning"),
                    days: tile.querySelector("svg")?.getAttribute("aria-label") ?? "",
                },
            ])),
            top: [...document.querySelectorAll(".top li button")].map(
                row => [text(row, ".name"), number(text(row, ".number"))]),
            minutes: Object.fromEntries([...document.querySelectorAll(".hour tbody tr")].map(
                row => [text(row, "th"), number(text(row, "td"))])),
            caption: text(document, ".hour caption"),
        };
    }
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running_suite(tmp_path_factory.mktemp("pulse") / "data") as suite:
        yield suite


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


async def seen_on(page: Page) -> PulseSeen | None:
    """What the page shows; None while something is still to come."""
    facts: dict[str, Any] = await page.evaluate(FACTS)
    tiles = facts["tiles"]
    days = {label: re.search(r"today: ([\d, ]+)\.", tile["days"]) for label, tile in tiles.items()}
    days.pop("Active users now", None)
    if len(days) < 3 or not all(days.values()) or not facts["caption"]:
        return None

    def figure(label: str) -> int:
        return int(tiles[label]["figure"].replace(",", ""))

    def by_day(label: str) -> list[int]:
        found = days[label]
        assert found is not None
        return [int(text) for text in found[1].split(", ")]

    return PulseSeen(
        now=figure("Active users now"),
        today=figure("Active users today"),
        sign_ups=figure("New trial sign-ups"),
        activities=figure("Activities"),
        top=[(action, count) for action, count in facts["top"]],
        active_by_day=by_day("Active users today"),
        sign_ups_by_day=by_day("New trial sign-ups"),
        activities_by_day=by_day("Activities"),
        minutes=facts["minutes"],
    )


async def shows(page: Page, wanted: PulseSeen) -> None:
    """Return once the page shows exactly this."""
    seen: PulseSeen | None = None

    async def equal() -> bool:
        nonlocal seen
        seen = await seen_on(page)
        return seen == wanted

    try:
        await eventually(equal)
    except AssertionError:
        assert seen == wanted
        raise


def used(user: str, action: str = "opened report", minutes_ago: float = 0, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"user": user, "account": "acme", "action": action, "time": at.isoformat(), **more}


async def run(*command: str) -> str:
    """What the command says, without spaces; fails when it fails."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode().replace(" ", "")


def tile(page: Page, label: str) -> Locator:
    return page.locator(".tile", has=page.get_by_role("heading", name=label)).locator(".figure")


@pytest.mark.parametrize(
    "zones", [("Asia/Kolkata", "America/St_Johns", "Australia/Adelaide"), ("UTC", "Asia/Tokyo")], ids=str
)
async def test_every_number_is_what_plain_counting_gives(suite: Suite, zones: tuple[str, ...]) -> None:
    now = datetime.now(UTC)
    zone = calm_zone(now, zones)
    events = pulse_events(now)
    wanted = pulse_seen(events, ZoneInfo(zone), ZoneInfo(READER), now)
    assert min(wanted.now, wanted.sign_ups, sum(wanted.sign_ups_by_day[:-1])) > 0
    async with open_pages(suite, timezone_id=READER) as pages:
        await pages.call("PATCH", f"/v1/projects/{pages.project}", json={"time_zone": zone})
        await pages.send(events)

        today = now.astimezone(ZoneInfo(zone)).date()
        days = [str(today - timedelta(days=DAYS - 1 - n)) for n in range(DAYS)]

        async def counted() -> bool:
            asked = {"from": days[0], "to": days[-1]}
            told = (await pages.call("GET", "/v1/pulse/days", params=asked)).json()
            by_day: Counter[str] = Counter()
            for item in told["items"]:
                by_day[item["day"]] += item["count"]
            return [by_day[day] for day in days] == wanted.activities_by_day

        # The page asks for the days when it opens, and then seldom.
        await eventually(counted)
        page = await pages.open()
        await shows(page, wanted)
        facts = await page.evaluate(FACTS)
        city = zone.split("/")[-1].replace("_", " ")
        assert facts["tiles"]["Active users now"]["meaning"] == "in the last 5 min"
        for label in ("Active users today", "New trial sign-ups", "Activities"):
            assert facts["tiles"][label]["meaning"].startswith(f"today in {city}")
        await expect(page.locator(".age")).to_have_text(re.compile(r"^as of (now|\d+ s ago)$"))
        assert f"{sum(wanted.minutes.values())} in all" in facts["caption"]


async def test_an_event_moves_the_numbers_and_the_stream(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([used("ada", minutes_ago=20), used("bob", minutes_ago=1)])
        page = await pages.open()
        await expect(tile(page, "Active users now")).to_have_text("1")
        await expect(page.locator(".feed article")).to_have_count(2)
        await pages.send([used("cleo", "signed up"), used("cleo", "ran export")])
        await expect(page.locator(".feed article")).to_have_count(4)
        await expect(tile(page, "Active users now")).to_have_text("2")
        await expect(tile(page, "Active users today")).to_have_text("3")
        await expect(tile(page, "New trial sign-ups")).to_have_text("1")
        await expect(tile(page, "Activities")).to_have_text("4")
        await expect(page.locator(".hour header")).to_contain_text("4 activities")


async def test_a_burst_asks_for_numbers_seldom_and_a_hidden_tab_never(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([used("ada")])
        page = await pages.open()
        await expect(tile(page, "Activities")).to_have_text("1")
        asked: list[float] = []

        def note(request: Request) -> None:
            if urlsplit(request.url).path == "/v1/pulse":
                asked.append(datetime.now(UTC).timestamp())

        page.on("request", note)
        for number in range(30):
            await pages.send([used(f"user-{number}")])
        await expect(tile(page, "Activities")).to_have_text("31")
        gaps = [later - earlier for earlier, later in pairwise(asked)]
        assert all(gap > 2 for gap in gaps), gaps
        await pages.hide(page)
        other = await pages.open()
        await expect(tile(other, "Activities")).to_have_text("31")
        before = len(asked)
        await pages.send([used("dora")])
        await expect(tile(other, "Activities")).to_have_text("32")
        assert len(asked) == before
        await pages.hide(page, False)
        await expect(tile(page, "Activities")).to_have_text("32")


async def test_an_empty_project_shows_lines_that_work_and_turns_into_its_first_event(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open()
        await expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()
        await expect(tile(page, "Active users now")).to_have_text("0")
        await page.get_by_role("tab", name="curl").focus()
        panel = page.get_by_role("tabpanel")
        lines: dict[str, str] = {}
        for name in ("curl", "Python", "JavaScript", "HTML"):
            await expect(page.get_by_role("tab", name=name)).to_be_focused()
            lines[name] = await panel.locator("code").inner_text()
            assert pages.write_key in lines[name]
            assert suite.url in lines[name]
            await page.keyboard.press("ArrowRight")
        waiting = page.get_by_text("Waiting for the first event")
        await expect(waiting).to_be_visible()

        assert '"accepted":1' in await run("sh", "-c", lines["curl"])
        await expect(page.locator(".feed article")).to_have_count(1)
        await expect(page.locator(".feed article")).to_contain_text("opened report")
        await expect(waiting).to_have_count(0)
        await expect(tile(page, "Active users now")).to_have_text("1")

        assert '"accepted":1' in await run(sys.executable, "-c", lines["Python"])
        await expect(page.locator(".feed article")).to_have_count(2)
        await page.evaluate(lines["JavaScript"])
        await expect(page.locator(".feed article")).to_have_count(3)
        pages.expect("parser-blocking, cross site")
        theirs = await pages.context.new_page()
        await theirs.set_content(f"<!doctype html><title>Theirs</title>{lines['HTML']}")
        await expect(page.locator(".feed article")).to_have_count(4)


async def test_the_lines_are_copied(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await pages.open()
        shown = await page.locator(".snippet code").inner_text()
        await page.get_by_role("button", name="Copy the curl lines").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied.strip() == shown.strip()


async def test_the_lines_are_copied_over_plain_http(suite: Suite) -> None:
    async with open_pages(suite, insecure=True) as pages:
        page = await pages.open()
        assert await page.evaluate("!isSecureContext && !navigator.clipboard")
        shown = await page.locator(".snippet code").inner_text()
        await page.evaluate(
            "document.addEventListener('copy', () => (window.__copied = document.activeElement.value))"
        )
        await page.get_by_role("button", name="Copy the curl lines").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert (await page.evaluate("window.__copied")).strip() == shown.strip()


async def test_a_project_without_a_key_to_show_makes_one(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        keys = (await pages.call("GET", f"/v1/projects/{pages.project}/keys")).json()["items"]
        for key in keys:
            if key["kind"] == "write":
                await pages.call("DELETE", f"/v1/projects/{pages.project}/keys/{key['id']}")
        page = await pages.open()
        await page.get_by_role("button", name="Make a write key").click()
        await expect(page.get_by_role("tabpanel")).to_contain_text(re.compile(r"Bearer ffw_\S{20}"))


async def test_a_top_activity_narrows_the_stream_and_widens_it_again(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([used("ada", "a & b"), used("ada", "a & b"), used("bob", "ran export")])
        page = await pages.open()
        await expect(page.locator(".feed article")).to_have_count(3)
        top = page.get_by_role("region", name="Top activities today").get_by_role("button", name="a & b")
        await top.click()
        await expect(page.locator(".feed article")).to_have_count(2)
        await expect(top).to_have_attribute("aria-pressed", "true")
        assert parse_qs(urlsplit(page.url).query)["action"] == ["a & b"]
        await top.click()
        await expect(page.locator(".feed article")).to_have_count(3)
        await expect(top).to_have_attribute("aria-pressed", "false")


async def test_minutes_tell_themselves_and_lead_into_the_stream(suite: Suite) -> None:
    async with open_pages(suite, timezone_id="Asia/Kathmandu") as pages:
        await pages.send([used("ada", minutes_ago=30), used("bob", minutes_ago=30), used("cleo")])
        page = await pages.open()
        plot = page.locator(".hour .u-over")
        await expect(page.locator(".feed article")).to_have_count(3)
        box = await plot.bounding_box()
        assert box is not None
        tip = page.locator(".hour .tip")
        rows = page.locator(".hour tbody tr")
        busy = await rows.first.locator("th").text_content()
        for part in range(24, 36):
            await page.mouse.move(box["x"] + box["width"] * (part + 0.5) / 60, box["y"] + 40)
            if f"{busy}  2 activities" == await tip.text_content():
                break
        await expect(tip).to_have_text(f"{busy}  2 activities")

        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * (part + 3.5) / 60, box["y"] + 40, steps=4)
        await page.mouse.up()
        await expect(page.locator(".feed article")).to_have_count(2)
        asked = parse_qs(urlsplit(page.url).query)
        begins, ends = (datetime.fromisoformat(asked[name][0]) for name in ("from", "to"))
        assert timedelta(minutes=3) <= ends - begins <= timedelta(minutes=5)
        assert begins.astimezone(ZoneInfo("Asia/Kathmandu")).strftime("%H:%M") == busy
        await expect(page.locator(".hour .u-select")).to_be_visible()
        await page.get_by_role("button", name="back to live").click()
        await expect(page.locator(".feed article")).to_have_count(3)
        await expect(page.locator(".hour .u-select")).to_be_hidden()


async def test_numbers_outlive_a_failure_and_their_age_warns(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([used("ada")])
        page = await pages.open()
        await expect(tile(page, "Activities")).to_have_text("1")
        pages.expect("503")
        away = {"code": "unavailable", "message": "The database does not answer.", "hint": "Wait a moment."}
        await page.route("**/v1/pulse?*", lambda route: route.fulfill(status=503, json=away))
        await pages.send([used("bob")])
        age = page.locator(".age")
        await expect(age).to_contain_text("The database does not answer. Wait a moment.")
        await expect(age).to_contain_text("Numbers from")
        await expect(tile(page, "Activities")).to_have_text("1")
        await page.unroute("**/v1/pulse?*")
        await expect(tile(page, "Activities")).to_have_text("2", timeout=20_000)
        await expect(age).to_have_text(re.compile("^as of "))


async def test_bars_take_the_colours_of_the_theme(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([used("ada", minutes_ago=5)])
        page = await pages.open()
        canvas = page.locator(".hour canvas")
        await expect(canvas).to_be_visible()
        light = await canvas.evaluate("node => node.toDataURL()")
        await page.emulate_media(color_scheme="dark")
        await eventually(lambda: canvas.evaluate("(node, light) => node.toDataURL() !== light", light))
        await page.get_by_role("button", name="Light or dark").click()
        await page.get_by_role("menuitemradio", name="Light").click()
        await eventually(lambda: canvas.evaluate("(node, light) => node.toDataURL() === light", light))


@pytest.mark.parametrize("viewport", [(1440, 900), (1024, 768), (390, 844)], ids=str)
@pytest.mark.parametrize("kind", ["busy", "sparse", "empty"])
async def test_nothing_jumps_while_the_page_loads(suite: Suite, viewport: tuple[int, int], kind: str) -> None:
    async with open_pages(suite, viewport=viewport) as pages:
        events = {"busy": pulse_events(datetime.now(UTC)), "sparse": [used("ada")], "empty": []}[kind]
        if events:
            await pages.send(events)
            await pages.shown(min(len(events), 900))
        page = await pages.context.new_page()
        await page.add_init_script(SHIFTS)
        await page.goto(pages.address())
        await expect(page.locator(".tile svg")).to_have_count(3)
        await expect(page.locator(".hour canvas")).to_be_visible()
        await expect(
            page.locator(".snippet code" if kind == "empty" else ".feed article").first
        ).to_be_visible()
        shifts = await page.evaluate("window.__shifts")
        assert sum(shift[0] for shift in shifts) < 0.002, shifts
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pulse_has_no_fault_of_accessibility(suite: Suite, scheme: Literal["light", "dark"]) -> None:
    async with open_pages(suite, color_scheme=scheme) as pages:
        page = await pages.open()
        await expect(page.locator(".snippet code")).to_be_visible()
        await accessible(page)
        await pages.send(pulse_events(datetime.now(UTC)))
        await expect(page.locator(".feed article").first).to_be_visible()
        await expect(page.locator(".hour canvas")).to_be_visible()
        await page.locator(".top li button").first.click()
        await accessible(page)


async def accessible(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
