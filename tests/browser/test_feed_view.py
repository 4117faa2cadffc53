"""The live feed as a person uses it: read, hold, filter, open, copy, walk by keyboard."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, Route, expect

from open_pages import Pages, Suite, open_pages, running_suite
from waiting import eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running_suite(tmp_path_factory.mktemp("feed_view") / "data") as suite:
        yield suite


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "user": "ada",
        "account": "acme",
        "action": "opened report",
        "properties": {"n": number},
        **fields,
    }


async def opened(pages: Pages, **query: str) -> Page:
    """Service Pulse with these parameters."""
    page = await pages.context.new_page()
    await page.goto(pages.address("/pulse", **query))
    return page


async def stream_of(pages: Pages, **query: str) -> Page:
    """Service Pulse whose stream is live."""
    page = await opened(pages, **query)
    await expect(page.locator(".standing")).to_contain_text("Live")
    return page


def rows(page: Page) -> Locator:
    return page.locator("[role=feed] > article")


def row(page: Page, text: str) -> Locator:
    return rows(page).filter(has_text=text)


async def away(page: Page) -> None:
    """The pointer off the list."""
    await page.mouse.move(2, 2)


async def test_a_row_says_when_who_where_what_and_with_which_details(suite: Suite) -> None:
    async with open_pages(suite, timezone_id="Asia/Kolkata") as pages:
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=90)
        page = await stream_of(pages)
        await pages.send(
            [event(1, time=at.isoformat(), properties={"report": "Revenue", "plan": {"name": "pro"}})]
        )
        first = rows(page).first
        await expect(first).to_contain_text("opened report")
        await expect(first).to_contain_text("report Revenue plan.name pro")
        local = at + timedelta(hours=5, minutes=30)
        stamp = first.locator("time")
        await expect(stamp).to_have_text(f"{local:%H:%M:%S}")
        title = await stamp.get_attribute("title")
        assert title is not None
        for part in ("UTC", f"{at:%H:%M:%S}", f"{local:%H:%M:%S}"):
            assert part in title
        assert datetime.fromisoformat(await stamp.get_attribute("datetime") or "") == at
        await expect(first.get_by_role("link", name="ada")).to_have_attribute(
            "href", re.compile("^/users/ada\\?project=")
        )
        await expect(first.get_by_role("link", name="acme")).to_have_attribute(
            "href", re.compile("^/accounts/acme\\?project=")
        )
        await expect(first.get_by_role("img", name="track")).to_be_visible()

        await page.get_by_label("Times, downloads, keys").click()
        await page.get_by_role("menuitemradio", name="How long ago").click()
        await expect(stamp).to_have_text(re.compile("min ago$"))
        await page.reload()
        await expect(stamp).to_have_text(re.compile("min ago$"))
        await page.get_by_label("Times, downloads, keys").click()
        await page.get_by_role("menuitemradio", name="Clock").click()
        await page.get_by_role("button", name=re.compile("Time stamps in")).click()
        await page.get_by_role("menuitemradio", name=re.compile("^UTC")).click()
        await expect(stamp).to_have_text(f"{at:%H:%M:%S}")


async def test_what_is_unusual_is_said_in_words(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        now = datetime.now(UTC)
        await pages.send(
            [
                event(1, time=(now - timedelta(hours=3, minutes=1)).isoformat()),
                event(2, action="from the future", time=(now + timedelta(days=2)).isoformat()),
                {"id": "e3", "anonymous_id": "visitor 7", "type": "page", "properties": {"path": "/pricing"}},
                {"id": "e4", "type": "alias", "user": "ada", "previous_id": "visitor 7"},
            ]
        )
        await expect(row(page, "opened report")).to_contain_text("late by 3 h")
        await expect(row(page, "from the future")).to_contain_text("time set to receipt")
        await expect(row(page, "viewed page")).to_contain_text("visitor visitor 7")
        await expect(row(page, "viewed page").get_by_role("img", name="page")).to_be_visible()
        await expect(row(page, "merged identity")).to_contain_text("was visitor 7")


async def test_pause_keeps_collecting_and_counts_until_it_is_resumed(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send([event(1, action="before")])
        await expect(row(page, "before")).to_be_visible()
        await away(page)
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator(".standing")).to_contain_text("Paused, still collecting")
        await pages.send([event(n, action=f"during {n}") for n in range(2, 9)])
        resume = page.get_by_role("button", name="Resume, 7 new")
        await expect(resume).to_have_attribute("aria-pressed", "true")
        await expect(rows(page)).to_have_count(1)
        await resume.click()
        await expect(rows(page)).to_have_count(8)
        await expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")
        await page.keyboard.press("Escape")
        await page.locator("h1").click()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("button", name="Resume")).to_be_visible()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()


async def test_the_list_stands_still_under_the_pointer_and_goes_on_when_it_leaves(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send([event(1, action="before")])
        await row(page, "before").hover()
        await page.mouse.move(400, 10)
        await row(page, "before").hover()
        await expect(page.locator(".standing")).to_contain_text("held while you read")
        await pages.send([event(2, action="after")])
        await expect(page.get_by_role("button", name="1 new event")).to_be_visible()
        await expect(row(page, "after")).to_have_count(0)
        await away(page)
        await expect(row(page, "after")).to_be_visible()
        await expect(page.locator(".standing")).not_to_contain_text("held")


async def test_scrolled_away_the_list_stays_and_the_pill_brings_back(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([event(n, action=f"old {n}") for n in range(120)])
        await pages.shown(120)
        page = await stream_of(pages)
        await expect(rows(page).first).to_be_visible()
        await away(page)
        await page.mouse.wheel(0, 1600)
        await expect(page.locator(".standing")).to_contain_text("held while you read")
        there = await page.evaluate("scrollY")
        await pages.send([event(n, action=f"new {n}") for n in range(200, 237)])
        pill = page.get_by_role("button", name="37 new events")
        await expect(pill).to_be_visible()
        assert await page.evaluate("scrollY") == there
        await pill.click()
        await expect(row(page, "new 236")).to_be_in_viewport()
        await expect(pill).to_have_count(0)


async def test_an_opened_row_shows_everything_and_copies_it(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await pages.send(
            [
                event(
                    1,
                    properties={"plan": {"name": "pro"}, "list": [1, 2]},
                    context={"page": {"url": "https://a.example"}},
                )
            ]
        )
        await row(page, "opened report").locator(".action").click()
        details = page.locator(".details")
        for text in (
            "occurred",
            "received",
            "recorded",
            "plan.name",
            "[1,2]",
            "page.url",
            "https://a.example",
        ):
            await expect(details).to_contain_text(text)
        await details.get_by_role("button", name="JSON", exact=True).click()
        shown = json.loads(await details.locator("pre").inner_text())
        assert shown["id"] == "e1"
        assert shown["properties"]["plan"] == {"name": "pro"}
        await details.get_by_role("button", name="Copy JSON").click()
        await expect(details).to_contain_text("JSON copied")
        assert json.loads(await page.evaluate("navigator.clipboard.readText()")) == shown
        await details.get_by_role("button", name="Copy link").click()
        await expect(details).to_contain_text("Link copied")
        link = await page.evaluate("navigator.clipboard.readText()")
        assert link == f"{pages.url}/activity/e1?project={pages.project}"
        await row(page, "opened report").locator(".action").click()
        await expect(details).to_have_count(0)


async def test_on_plain_http_it_is_live_and_copies_too(suite: Suite) -> None:
    async with open_pages(suite, insecure=True) as pages:
        page = await stream_of(pages)
        assert not await page.evaluate("isSecureContext")
        await pages.send([event(1)])
        await row(page, "opened report").locator(".action").click()
        await page.get_by_role("button", name="Copy JSON").click()
        await expect(page.locator(".details")).to_contain_text("JSON copied")
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await page.keyboard.press("Control+V")
        assert '"id": "e1"' in await page.get_by_role("combobox").input_value()


async def test_filters_stand_in_the_address_and_come_back_with_it(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send(
            [
                event(1),
                event(2, user="bob", action="exported", properties={"format": "csv"}),
                event(3, user="eve", account="hooli", properties={"format": "pdf"}),
                event(4, user="eve", account="hooli", action="exported", properties={"format": "pdf"}),
            ]
        )
        await pages.shown(4)
        page = await stream_of(pages)
        await expect(rows(page)).to_have_count(4)
        await page.keyboard.press("/")
        field = page.get_by_role("combobox", name="Filter events")
        await expect(field).to_be_focused()
        await field.type("hool")
        await page.get_by_role("option", name=re.compile("Account.*hooli")).click()
        await expect(rows(page)).to_have_count(2)
        assert "account=hooli" in page.url
        await field.fill("action:exported")
        await field.press("Enter")
        await expect(rows(page)).to_have_count(1)
        await page.go_back()
        await expect(rows(page)).to_have_count(2)
        await page.go_forward()
        await expect(rows(page)).to_have_count(1)

        other = await stream_of(pages, account="hooli", action="exported")
        await expect(rows(other)).to_have_count(1)
        await expect(other.locator(".chip")).to_have_count(2)
        await pages.send([event(5), event(6, user="joe", account="hooli", action="exported")])
        await expect(rows(other)).to_have_count(2)
        await other.get_by_role("button", name="Remove the filter Account hooli").click()
        await expect(rows(other)).to_have_count(3)
        await other.get_by_role("button", name="Clear all").click()
        await expect(rows(other)).to_have_count(6)
        assert "account" not in other.url
        assert "action" not in other.url
        await other.get_by_role("combobox").fill("csv")
        await other.get_by_role("combobox").press("Enter")
        await expect(rows(other)).to_have_count(1)
        assert "q=csv" in other.url
        await other.get_by_role("combobox").press("Backspace")
        await expect(rows(other)).to_have_count(6)


async def test_only_this_user_narrows_and_nothing_found_says_so(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send([event(1), event(2, user="bob", action="exported")])
        await row(page, "exported").locator(".action").click()
        await page.locator(".only").get_by_role("button", name="user").click()
        await expect(rows(page)).to_have_count(1)
        assert "user=bob" in page.url
        nothing = await stream_of(pages, q="no such text")
        await expect(nothing.locator(".feed")).to_contain_text("Nothing matches so far")
        await nothing.get_by_role("button", name="Clear the filters").click()
        await expect(rows(nothing)).to_have_count(2)


async def test_the_whole_of_it_by_keyboard(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([event(n, action=f"action {n}") for n in range(30)])
        await pages.shown(30)
        page = await stream_of(pages)
        await expect(rows(page).nth(3)).to_be_visible()
        names = [await rows(page).nth(n).get_attribute("aria-label") for n in range(3)]

        async def focused() -> str:
            return str(await page.evaluate("document.activeElement.getAttribute('aria-label')"))

        await page.keyboard.press("j")
        assert await focused() == names[0]
        await page.keyboard.press("j")
        await page.keyboard.press("PageDown")
        assert await focused() == names[2]
        await page.keyboard.press("k")
        assert await focused() == names[1]
        await expect(page.locator(".standing")).to_contain_text("held while you read")
        await page.keyboard.press("Enter")
        await expect(page.locator(".details")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator(".details")).to_have_count(0)
        for _ in range(28):
            await page.keyboard.press("j")
        await expect(rows(page).last).to_be_focused()
        await expect(rows(page).last).to_be_in_viewport()
        await page.keyboard.press("Control+Home")
        assert await page.evaluate("document.activeElement.closest('[role=feed]')") is None
        await page.keyboard.press("?")
        help_ = page.get_by_role("dialog", name="Keys and shapes")
        await expect(help_).to_contain_text("Pause, and go on")
        await expect(help_.get_by_role("img", name="alias")).to_be_visible()
        await page.keyboard.press("j")
        await page.keyboard.press("Escape")
        await expect(help_).to_have_count(0)
        await page.keyboard.press("/")
        await page.keyboard.type("jk ?")
        assert await page.get_by_role("combobox").input_value() == "jk ?"
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("o")
        await page.wait_for_url(re.compile("/accounts/acme"))
        await page.go_back()
        await expect(rows(page).nth(1)).to_be_visible()
        await page.keyboard.press("j")
        await page.keyboard.press("u")
        await page.wait_for_url(re.compile("/users/ada"))
        await page.keyboard.press("g")
        await page.keyboard.press("p")
        await page.wait_for_url(re.compile("/pulse"))


async def test_ten_thousand_events_leave_few_rows_and_the_page_answers(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await away(page)
        for start in range(0, 10_000, 2_000):
            await pages.send([event(n, user=f"user {n % 50}") for n in range(start, start + 2_000)])

        async def counted() -> bool:
            return bool((await pages.call("GET", "/v1/pulse")).json()["activities_today"] == 10_000)

        await eventually(counted, deadline_s=60)
        await pages.send([event(10_000, action="the last one")])
        await expect(row(page, "the last one")).to_be_visible(timeout=60_000)
        assert await rows(page).count() < 200
        await page.mouse.wheel(0, 100_000)
        await expect(page.locator(".standing")).to_contain_text("held while you read")
        assert await rows(page).count() < 200
        assert await page.locator("*").count() < 6_000


async def test_hostile_texts_are_texts(suite: Suite) -> None:
    bad = '<img src=x onerror="document.title=1">'
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send(
            [
                event(
                    1,
                    user=f"{bad}/../?#",
                    account=f"{bad}&",
                    action=bad,
                    properties={bad: bad, "__proto__": "x"},
                )
            ]
        )
        first = rows(page).first
        await expect(first.locator(".action")).to_have_text(bad)
        await first.locator(".action").click()
        await expect(page.locator(".details")).to_contain_text(bad)
        assert await page.locator("main img[src=x]").count() == 0
        await page.locator(".only").get_by_role("button", name="user").click()
        await expect(page.locator(".chip")).to_contain_text(f"{bad}/../?#")
        await expect(rows(page)).to_have_count(1)
        await first.locator(".who a").click()
        await expect(page.locator("h1")).to_contain_text(f"{bad}/../?#")


async def test_downloads_hold_what_is_shown_and_no_formula(suite: Suite, tmp_path: Path) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send(
            [
                event(1, action="=1+1", properties={"note": 'say "hi", you', "delta": -5}),
                event(2, user="@sum", action="b"),
            ]
        )
        await expect(rows(page)).to_have_count(2)

        async def saved(name: str) -> str:
            await page.get_by_label("Times, downloads, keys").click()
            async with page.expect_download() as download:
                await page.get_by_role("menuitem", name=name).click()
            kept = tmp_path / name
            await (await download.value).save_as(kept)
            return await asyncio.to_thread(kept.read_text)

        told = json.loads(await saved("JSON"))
        assert {item["id"] for item in told} == {"e1", "e2"}
        table = {line["id"]: line for line in csv.DictReader(io.StringIO(await saved("CSV")))}
        assert table["e1"]["action"] == "'=1+1"
        assert table["e1"]["properties.note"] == 'say "hi", you'
        assert table["e1"]["properties.delta"] == "-5"
        assert table["e2"]["user"] == "'@sum"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(suite: Suite, scheme: Literal["light", "dark"]) -> None:
    async with open_pages(suite, color_scheme=scheme) as pages:
        page = await stream_of(pages)
        kinds: list[dict[str, Any]] = [
            {"id": "k1", "type": "page", "anonymous_id": "v", "properties": {"path": "/"}},
            {"id": "k2", "type": "screen", "user": "ada"},
            {"id": "k3", "type": "identify", "user": "ada", "traits": {"plan": "pro"}},
            {"id": "k4", "type": "group", "user": "ada", "account": "acme"},
            {"id": "k5", "type": "alias", "user": "ada", "previous_id": "v"},
            event(6, time=(datetime.now(UTC) - timedelta(hours=3)).isoformat()),
        ]
        await pages.send(kinds)
        await expect(rows(page)).to_have_count(6)
        await row(page, "opened report").locator(".action").click()
        await expect(page.locator(".details")).to_be_visible()
        await found_nothing(page)
        await page.keyboard.press("/")
        await page.keyboard.type("a")
        await expect(page.get_by_role("option").first).to_be_visible()
        await found_nothing(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await found_nothing(page)
        event_page = await pages.open("/activity/e6")
        await expect(event_page.locator(".details")).to_be_visible()
        await found_nothing(event_page)


async def found_nothing(page: Page) -> None:
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("reduced", [True, False])
async def test_only_an_arrival_moves_and_not_for_who_wants_less(suite: Suite, reduced: bool) -> None:
    async with open_pages(suite, reduced_motion="reduce" if reduced else "no-preference") as pages:
        await pages.send([event(1, action="old")])
        await pages.shown(1)
        page = await stream_of(pages)
        await expect(row(page, "old")).to_be_visible()
        await away(page)
        await pages.send([event(2, action="new")])
        await expect(row(page, "new")).to_have_class(re.compile("arrived"))
        await expect(row(page, "old")).not_to_have_class(re.compile("arrived"))
        moving = (
            await row(page, "new").locator(".line").evaluate("line => getComputedStyle(line).animationName")
        )
        assert moving == ("none" if reduced else "arrive")


async def test_at_390_px_nothing_is_cut_off_and_a_row_has_two_lines(suite: Suite) -> None:
    async with open_pages(suite, viewport=(390, 844)) as pages:
        page = await stream_of(pages)
        await pages.send([event(n, user="somebody.with.a.long.name@example.com") for n in range(20)])
        await expect(rows(page).first).to_be_visible()
        box = await rows(page).first.bounding_box()
        assert box is not None
        assert (box["height"], box["width"] <= 390) == (52, True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await rows(page).first.locator(".action").click()
        await expect(page.locator(".details")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        for name in ("Pause", "Times, downloads, keys"):
            await expect(page.get_by_role("button", name=name)).to_be_visible()


async def test_rows_keep_their_columns_and_height(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send(
            [
                event(1),
                event(2, user="x" * 300, account="y" * 300, action="z" * 200, properties={"a": "b" * 5000}),
            ]
        )
        await expect(rows(page)).to_have_count(2)
        for cell in (".time", ".who", ".account", ".action", ".telling"):
            lefts = await page.locator(f"[role=feed] {cell}").evaluate_all(
                "cells => cells.map((cell) => cell.getBoundingClientRect().left)"
            )
            assert len(set(lefts)) == 1, cell
        heights = await rows(page).evaluate_all("all => all.map((one) => one.offsetHeight)")
        assert heights == [32, 32]


async def test_a_gap_is_a_row_that_can_be_filled_and_a_lost_connection_is_said(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await pages.send([event(n, action=f"kept {n}") for n in range(3)])
        await pages.shown(3)
        gap = {"reason": "lag", "from": "AAAA", "to": "AAAB", "approx_count": 120, "fill_url": "/v1/activity"}
        body = f"id: AAAA\n\nevent: gap\ndata: {json.dumps(gap)}\nid: AAAB\n\n"
        answers = [body]

        async def answer(route: Route) -> None:
            if answers:
                await route.fulfill(body=answers.pop(), content_type="text/event-stream")
            else:
                await route.fulfill(status=503, json={"code": "unavailable", "message": "The log is away."})

        pages.expect("503", "400")
        await pages.context.route("**/v1/stream?*", answer)
        page = await pages.open()
        await expect(page.locator(".gap")).to_contain_text(
            "About 120 events are missing here: the connection lagged"
        )
        await expect(page.locator(".standing")).to_contain_text(re.compile(r"Reconnecting in \d+ s"))
        await expect(page.get_by_role("button", name="Try now")).to_be_visible()
        await page.get_by_role("button", name="Load them").click()
        await expect(page.locator(".gap")).to_contain_text("missing here")
        await expect(page.get_by_role("button", name="Load them")).to_have_count(0)
        await pages.context.unroute("**/v1/stream?*")
        await page.get_by_role("button", name="Try now").click()
        await expect(page.locator(".standing")).to_contain_text("Live", timeout=30_000)


async def test_a_stretch_of_time_is_shown_instead_of_live_and_back(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        now = datetime.now(UTC).replace(microsecond=0)
        await pages.send(
            [
                event(n, action=f"step {n}", time=(now - timedelta(minutes=10 * n)).isoformat())
                for n in range(1, 6)
            ]
        )
        await pages.shown(5)
        span = {
            "from": f"{now - timedelta(minutes=35):%Y-%m-%dT%H:%M:%SZ}",
            "to": f"{now - timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}",
        }
        page = await opened(pages, **span)
        await expect(rows(page)).to_have_count(2)
        await expect(page.locator(".standing")).to_contain_text("Past events")
        await expect(page.locator(".chip")).to_contain_text(
            f"{now - timedelta(minutes=35):%H:%M}–{now - timedelta(minutes=15):%H:%M}"
        )
        await page.get_by_role("button", name="back to live").click()
        await expect(rows(page)).to_have_count(5)
        await expect(page.locator(".standing")).to_contain_text("Live")
        assert "from=" not in page.url


async def test_the_status_speaks_for_the_list_which_is_silent(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await stream_of(pages)
        await pages.send([event(n) for n in range(14)])
        await expect(page.locator(".feed > [role=status]")).to_have_text("14 new events", timeout=20_000)
        assert await page.locator("[role=feed][aria-live], [role=feed] [aria-live]").count() == 0


async def test_an_event_has_a_page_with_what_was_around_it(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        start = datetime.now(UTC) - timedelta(hours=2)
        await pages.send(
            [
                event(n, id=f"a/b {n}", action=f"step {n}", time=(start + timedelta(minutes=n)).isoformat())
                for n in range(30)
            ]
        )
        await pages.shown(30)
        page = await pages.open("/activity/a%2Fb%2015")
        await expect(page.locator("h1")).to_have_text(re.compile("step 15"))
        await expect(page.locator(".event .details")).to_contain_text("a/b 15")
        around = page.locator("section[aria-label='Around it']")
        await expect(around.locator("article")).to_have_count(21)
        await expect(around.locator("article.here")).to_contain_text("step 15")
        await expect(around.locator("article").first).to_contain_text("step 25")
        await around.locator("article").first.locator(".action").click()
        await around.locator(".details").get_by_role("link", name="a/b 25").click()
        await expect(page.locator("h1")).to_have_text(re.compile("step 25"))
        pages.expect("404")
        unknown = await pages.open("/activity/none")
        await expect(unknown.locator("h1")).to_have_text("There is no such event here")
        await expect(unknown.get_by_role("link", name="Go to the stream")).to_be_visible()
