"""The engine of the live feed in real tabs, without its looks, against a real server."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, Route

from open_pages import Pages, Suite, open_pages, running_suite
from stream_gateway.live.cursor import format_cursor, parse_cursor
from waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

# A page of the server without scripts of its own.
_EMPTY = "/livez"
_GONE = "Failed to load resource"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running_suite(tmp_path_factory.mktemp("feed") / "data") as running:
        yield running


@pytest.fixture(params=["secure", "plain http"])
async def both(suite: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Pages]:
    """With the browser's locks, and over plain http without them."""
    async with open_pages(suite, insecure=request.param == "plain http") as opened:
        yield opened


@pytest.fixture
async def pages(suite: Suite) -> AsyncIterator[Pages]:
    async with open_pages(suite) as opened:
        yield opened


class Tab:
    """A tab with a feed in `window.feed`."""

    def __init__(self, pages: Pages, page: Page, assets: str) -> None:
        self.pages = pages
        self.page = page
        self.assets = assets

    async def start(self, **options: Any) -> None:
        await self.page.evaluate(
            """async ([assets, options]) => {
                const {createFeed} = await import(`${assets}/feed/feed.js`);
                window.states = [];
                window.feed = createFeed(options);
                window.feed.state.subscribe(({kind}) => window.states.push(kind));
            }""",
            [self.assets, options],
        )

    async def value(self, name: str) -> Any:
        return await self.page.evaluate("name => feed[name].value", name)

    async def ids(self) -> list[str]:
        """The ids of the rows, newest first; gaps as `gap`."""
        found: list[str] = await self.page.evaluate(
            "() => feed.rows.value.map((row) => (row.gap ? 'gap' : row.id))"
        )
        return found

    async def is_live(self) -> None:
        await eventually(self._live)

    async def tries_soon(self) -> None:
        """From now on chance has it try again within a second; after a slow restart that may be half a minute else."""
        await self.page.evaluate("Math.random = () => 0.03")

    async def states(self) -> list[str]:
        seen: list[str] = await self.page.evaluate("() => states")
        return seen

    async def shows(self, *ids: str) -> None:
        """Wait until the rows are these, newest first."""
        await self._becomes(list(ids))

    async def has(self, count: int) -> None:
        async def enough() -> bool:
            return len(await self.ids()) >= count

        await eventually(enough)

    async def _live(self) -> bool:
        kind: str = (await self.value("state"))["kind"]
        return kind == "live"

    async def _becomes(self, wanted: list[str]) -> None:
        try:
            await eventually(lambda: self._are(wanted))
        except AssertionError:
            assert await self.ids() == wanted

    async def _are(self, wanted: list[str]) -> bool:
        return await self.ids() == wanted


async def tab_of(pages: Pages, *, start: bool = True, **options: Any) -> Tab:
    pages.expect("/favicon.ico")
    page = await pages.open(_EMPTY)
    shell = await page.evaluate("path => fetch(path).then((answer) => answer.text())", pages.address())
    found = re.search(r'"?(/assets/[^/"]+)/app\.js', shell)
    assert found, shell
    tab = Tab(pages, page, found[1])
    if start:
        await tab.start(project=pages.project, **options)
    return tab


def event(number: int | str, **fields: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "user": "ada", "account": "acme", "action": "opened report", **fields}


def newest_first(first: int, last: int) -> list[str]:
    return [f"e{number}" for number in range(last, first - 1, -1)]


async def send_each(pages: Pages, first: int, last: int) -> None:
    """One after the other, so that their order is known."""
    start = datetime.now(UTC) - timedelta(minutes=2)
    for number in range(first, last + 1):
        await pages.send([event(number, time=(start + timedelta(milliseconds=10 * number)).isoformat())])


async def streams(pages: Pages, count: int) -> None:
    async def so_many() -> bool:
        return await asyncio.to_thread(pages.suite.streams) == count

    await eventually(so_many)


async def test_history_and_what_comes_join_without_a_hole(pages: Pages) -> None:
    await send_each(pages, 1, 3)
    await pages.shown(3)
    tab = await tab_of(pages, start=False)
    held = asyncio.Event()

    async def later(route: Route) -> None:
        answer = await route.fetch()
        held.set()
        await asyncio.sleep(1)
        await route.fulfill(response=answer)

    await tab.page.route("**/v1/activity?*", later)
    await tab.start(project=pages.project)
    await held.wait()
    await send_each(pages, 4, 6)
    await tab.shows(*newest_first(1, 6))
    assert (
        await tab.page.evaluate("() => feed.rows.value.map((row) => feed.arrived(row))")
        == [True] * 3 + [False] * 3
    )


async def test_what_came_between_subscribing_and_history_shows_once(pages: Pages) -> None:
    tab = await tab_of(pages, start=False)
    asked = asyncio.Event()

    async def later(route: Route) -> None:
        asked.set()
        await asyncio.sleep(1)
        await route.continue_()

    await tab.page.route("**/v1/activity?*", later)
    await tab.start(project=pages.project)
    await asked.wait()
    await send_each(pages, 1, 3)
    await tab.has(3)
    await asyncio.sleep(1)
    await tab.shows(*newest_first(1, 3))


async def test_a_restart_of_the_server_loses_and_repeats_nothing(both: Pages) -> None:
    both.expect(_GONE)
    tab = await tab_of(both)
    await tab.is_live()
    await send_each(both, 1, 3)
    await tab.shows(*newest_first(1, 3))
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    await tab.tries_soon()
    await asyncio.to_thread(both.suite.restart)
    await send_each(both, 4, 6)
    await tab.shows(*newest_first(1, 6))
    resumed = [url for url in asked if "/v1/stream" in url]
    assert resumed
    assert all("cursor=" in url for url in resumed)
    assert "reconnecting" in await tab.states()


async def test_a_503_while_reconnecting_is_tried_again(pages: Pages) -> None:
    pages.expect("503", _GONE)
    tab = await tab_of(pages)
    await tab.is_live()
    refused = 0

    async def refuse(route: Route) -> None:
        nonlocal refused
        refused += 1
        if refused > 2:
            await route.continue_()
        else:
            await route.fulfill(status=503, headers={"retry-after": "1"}, body="busy")

    await tab.page.route("**/v1/stream?*", refuse)
    await tab.tries_soon()
    await asyncio.to_thread(pages.suite.restart)
    await send_each(pages, 1, 2)
    await tab.shows(*newest_first(1, 2))
    assert refused >= 3


async def test_seven_tabs_share_one_stream_and_pass_it_on(both: Pages) -> None:
    tabs = [await tab_of(both) for _ in range(7)]
    for tab in tabs:
        await tab.is_live()
    await streams(both, 1)
    await send_each(both, 1, 3)
    for tab in tabs:
        await tab.shows(*newest_first(1, 3))
    await tabs[0].page.close()
    await send_each(both, 4, 5)
    for tab in tabs[1:]:
        await tab.shows(*newest_first(1, 5))
    await streams(both, 1)
    await send_each(both, 6, 6)
    for tab in tabs[1:]:
        await tab.shows(*newest_first(1, 6))


async def test_a_hidden_tab_rests_and_catches_up(both: Pages) -> None:
    first, second = await tab_of(both), await tab_of(both)
    for tab in (first, second):
        await tab.is_live()
    await send_each(both, 1, 1)
    for tab in (first, second):
        await tab.shows("e1")
    await both.hide(first.page)
    await _rests(first)
    await send_each(both, 2, 4)
    await second.shows(*newest_first(1, 4))
    assert await first.ids() == ["e1"]
    await both.hide(second.page)
    await _rests(second)
    await streams(both, 0)
    await send_each(both, 5, 6)
    await both.hide(first.page, hidden=False)
    await first.shows(*newest_first(1, 6))
    await both.hide(second.page, hidden=False)
    await second.shows(*newest_first(1, 6))
    await send_each(both, 7, 7)
    for tab in (first, second):
        await tab.shows(*newest_first(1, 7))
    await streams(both, 1)


async def _rests(tab: Tab) -> None:
    async def resting() -> bool:
        kind: str = (await tab.value("state"))["kind"]
        return kind == "resting"

    await eventually(resting)


async def test_what_a_second_leader_repeats_shows_once(pages: Pages) -> None:
    leader, follower = await tab_of(pages), await tab_of(pages)
    for tab in (leader, follower):
        await tab.is_live()
    await leader.page.evaluate(
        """(name) => {
            window.channel = new BroadcastChannel(name);
        }""",
        f"footfall:{pages.project}:activity",
    )
    await send_each(pages, 1, 2)
    await follower.shows("e2", "e1")
    items = [{"event": "activity", "data": row} for row in reversed(await follower.value("rows"))]
    lead = (await follower.page.evaluate("() => fetch('/v1/pulse' + location.search).then((a) => a.json())"))[
        "cursor"
    ]
    log_id, positions = parse_cursor(lead)
    ahead = format_cursor(log_id, [position + 1 for position in positions])
    message = {"from": None, "to": ahead, "items": items, "served": {}, "state": {"kind": "live"}}
    await leader.page.evaluate("lead => channel.postMessage({lead, id: 'other'})", message)
    await eventually(lambda: follower.page.evaluate("() => feed.state.value.kind === 'live'"))
    await leader.page.evaluate(
        "lead => channel.postMessage({lead, id: 'other'})",
        {
            **message,
            "state": {"kind": "reconnecting", "retry_at": 0, "reason": "the test says so"},
        },
    )
    await eventually(lambda: follower.page.evaluate("() => states.includes('reconnecting')"))
    assert await follower.value("received") == 2
    assert await follower.ids() == ["e2", "e1"]


async def test_tabs_with_filters_share_what_all_of_them_need(pages: Pages) -> None:
    asked: list[str] = []
    pages.context.on("request", lambda request: asked.append(request.url))
    acme, globex = await tab_of(pages, account="acme"), await tab_of(pages, account="globex")
    for tab in (acme, globex):
        await tab.is_live()
    await pages.send([event(1), event(2, account="globex"), event(3, account="other")])
    await acme.shows("e1")
    await globex.shows("e2")
    last = [url for url in asked if "/v1/stream" in url][-1]
    assert "account=acme&account=globex" in last
    everything = await tab_of(pages)
    await everything.is_live()
    await pages.send([event(4, account="other")])
    await eventually(lambda: _first(everything, "e4"))
    await acme.page.evaluate("() => feed.setFilters({action: 'upgraded'})")
    await pages.send([event(5, action="upgraded"), event(6)])
    await acme.shows("e5")
    await eventually(lambda: _first(everything, "e6"))
    await streams(pages, 1)


async def _first(tab: Tab, wanted: str) -> bool:
    return wanted in await tab.ids()


async def test_pause_collects_and_says_what_it_let_go(pages: Pages) -> None:
    tab = await tab_of(pages)
    await tab.is_live()
    await send_each(pages, 1, 1)
    await tab.shows("e1")
    await tab.page.evaluate("() => feed.pause()")
    await pages.send([event(number) for number in range(2, 7)])

    async def waiting(count: int) -> bool:
        return bool(await tab.value("pending") == count)

    await eventually(lambda: waiting(5))
    assert (await tab.ids(), await tab.value("paused")) == (["e1"], "by you")
    await tab.page.evaluate("() => feed.resume()")
    await tab.has(6)
    await tab.page.evaluate("() => feed.reading(true)")
    assert await tab.value("paused") == "while reading"
    await pages.send([event(number) for number in range(7, 1207)])
    await eventually(lambda: waiting(1200))
    assert await tab.value("overflowed") == 200
    await tab.page.evaluate("() => feed.reading(false)")
    assert (await tab.value("pending"), await tab.value("overflowed"), len(await tab.ids())) == (0, 0, 200)


async def test_a_gap_is_shown_and_filled(pages: Pages) -> None:
    tab = await tab_of(pages)
    await tab.is_live()
    await send_each(pages, 1, 3)
    await tab.shows(*newest_first(1, 3))
    await pages.hide(tab.page)
    await _rests(tab)
    await send_each(pages, 4, 40)
    await pages.shown(40)
    await asyncio.to_thread(pages.suite.restart, environ={"FOOTFALL_RESUME_MAX_RECORDS": "5"})
    await pages.hide(tab.page, hidden=False)
    await tab.shows("gap", *newest_first(1, 3))
    await send_each(pages, 41, 42)
    await tab.shows("e42", "e41", "gap", *newest_first(1, 3))
    gap = (await tab.value("rows"))[2]["gap"]
    assert (gap["reason"], gap["approx_count"]) == ("limit", 37)
    await tab.page.evaluate("() => feed.fillGap(feed.rows.value[2])")
    await tab.shows("e42", "e41", "gap", *newest_first(1, 40))
    assert (await tab.value("rows"))[2]["filled"] == 37


async def test_the_network_may_go_and_come_back(pages: Pages) -> None:
    pages.expect(_GONE, "ERR_INTERNET_DISCONNECTED")
    tab = await tab_of(pages)
    await tab.is_live()
    await pages.context.set_offline(True)
    await asyncio.to_thread(pages.suite.restart)

    async def offline() -> bool:
        return "offline" in await tab.states()

    await eventually(offline)
    await send_each(pages, 1, 3)
    await pages.context.set_offline(False)
    await tab.shows(*newest_first(1, 3))


async def test_a_flood_leaves_the_newest_rows_and_says_so(pages: Pages) -> None:
    tab = await tab_of(pages)
    await tab.is_live()
    for first in range(0, 10_000, 1000):
        await pages.send([event(number) for number in range(first, first + 1000)])

    async def all_came() -> bool:
        return bool(await tab.value("received") == 10_000)

    await eventually(all_came, deadline_s=60)
    assert len(await tab.ids()) == 200
    assert await tab.value("unshown") > 0


async def test_older_rows_come_by_pages_and_are_bounded(pages: Pages) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    sent = [event(n, time=(start + timedelta(seconds=n)).isoformat()) for n in range(1, 700)]
    await pages.send(sent)
    await pages.shown(699)
    tab = await tab_of(pages)
    await tab.has(200)
    for count in (400, 600, 699):
        await tab.page.evaluate("() => feed.loadOlder()")
        assert await tab.ids() == newest_first(700 - count, 699)
    assert (await tab.value("older"))["end"]


async def test_text_is_searched_in_rows_and_in_what_comes(pages: Pages) -> None:
    await send_each(pages, 1, 2)
    await pages.send([event(3, properties={"plan": "Größe XL"})])
    await pages.shown(3)
    tab = await tab_of(pages)
    await tab.has(3)
    await tab.page.evaluate("() => feed.setFilters({q: 'größe'})")
    await tab.shows("e3")
    await pages.send([event(4), event(5, properties={"plan": "größe M"})])
    await tab.shows("e5", "e3")
    await tab.page.evaluate("() => feed.setFilters({})")
    await tab.has(5)


async def test_hostile_texts_come_through_unharmed(pages: Pages) -> None:
    texts = [
        "<img src=x onerror=alert(1)><script>alert(2)</script>",
        "line\u2028separator\u2029and\u0085next\r\n\ndata: no\nid: no\n\n",
        "\ufeff\u202eright to left\u202c 🧑‍🚀",
        "x" * 400_000,
        "__proto__",
    ]
    tab = await tab_of(pages)
    await tab.is_live()
    for number, text in enumerate(texts):
        await pages.send([event(number, properties={"text": text, text[:40].strip(): 1})])
    await tab.has(len(texts))
    shown = {row["id"]: row["properties"]["text"] for row in await tab.value("rows")}
    assert [shown[f"e{number}"] for number in range(len(texts))] == texts


async def test_a_login_that_ended_is_said(pages: Pages) -> None:
    pages.expect("401", _GONE)
    tab = await tab_of(pages)
    await tab.is_live()
    await pages.context.clear_cookies()
    await tab.tries_soon()
    await asyncio.to_thread(pages.suite.restart)

    async def logged_out() -> bool:
        kind: str = (await tab.value("state"))["kind"]
        return kind == "logged out"

    await eventually(logged_out)


async def test_blocks_are_read_however_they_are_cut(pages: Pages) -> None:
    tab = await tab_of(pages, start=False)
    blocks = await tab.page.evaluate(
        """async (assets) => {
            const {createParser} = await import(`${assets}/feed/stream.js`);
            const text = ": hello\\r\\nretry: 1500\\r\\n\\r\\nevent: a\\rdata: one\\rdata:two\\r\\rid: 7\\n\\n"
                + "id: b\\0d\\ndata\\n\\nevent: hb\\ndata: {}\\nid: 8\\nunknown: x\\n\\ndata: cut off";
            const read = (pieces) => {
                const blocks = [];
                const parse = createParser((block) => blocks.push(block));
                pieces.forEach(parse);
                return JSON.stringify(blocks);
            };
            const whole = read([text]);
            const different = new Set([whole, read([...text])]);
            for (let cut = 0; cut <= text.length; cut++) different.add(read([text.slice(0, cut), text.slice(cut)]));
            return different.size === 1 ? JSON.parse(whole) : [...different];
        }""",
        tab.assets,
    )
    none = {"event": "message", "data": None, "id": None, "retry": None}
    assert blocks == [
        {**none, "retry": 1500},
        {**none, "event": "a", "data": "one\ntwo"},
        {**none, "id": "7"},
        {**none, "data": ""},
        {**none, "event": "hb", "data": "{}", "id": "8"},
    ]
