"""The browser client, as a script and as a module, on a page of another origin, against a running ingest-api."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from eventmodel import Event
from ingest_stand import IngestStand, open_stand, serving
from lifecycle.limits import Limits
from lifecycle.server import Server, listening
from telemetry.metrics import Metrics

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """A customer's page with the script on it, open in a browser."""

    stand: IngestStand
    ingest: str
    page: Page
    url: str
    warnings: list[str]

    async def events(self, count: int) -> list[Event]:
        """The events in the log, once there are so many."""
        async with asyncio.timeout(20):
            while len(found := await self.stand.events()) < count:
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def _site(html: Callable[[str, str], str], script: str = "", policy: str = "") -> AsyncIterator[Site]:
    """`html` makes the page from ingest's address and the write key; `script` is the site's own /app.js.

    In `script` and `policy`, the Content-Security-Policy, INGEST and KEY stand for ingest's address and the key.
    """
    stand = await open_stand()
    async with serving(stand) as ingest, async_playwright() as playwright:
        text = html(ingest, stand.write_key)

        def named(text: str) -> str:
            return text.replace("INGEST", ingest).replace("KEY", stand.write_key)

        async def answer(_: Request) -> HTMLResponse:
            headers = {"content-security-policy": named(policy)} if policy else None
            return HTMLResponse(f"<!doctype html><title>Reports</title><body>{text}</body>", headers=headers)

        async def answer_script(_: Request) -> Response:
            return Response(named(script), media_type="text/javascript")

        routes = [Route("/app.js", answer_script), Route("/{path:path}", answer)]
        server = Server(Starlette(routes=routes), Metrics("site"), Limits())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = await browser.new_page()
            warnings: list[str] = []
            page.on("console", lambda message: warnings.append(message.text))
            page.on("pageerror", lambda error: warnings.append(str(error)))
            with listening("127.0.0.1", 0) as sockets:
                async with asyncio.TaskGroup() as group:
                    group.create_task(server.serve(sockets))
                    await server.accepting.wait()
                    try:
                        # Another name for the same machine, so that the page is of another origin.
                        url = f"http://localhost:{sockets[0].getsockname()[1]}/"
                        await page.goto(url)
                        yield Site(stand, ingest, page, url, warnings)
                    finally:
                        await browser.close()
                        server.stop(1)
        finally:
            await browser.close()


def _tag(ingest: str, key: str) -> str:
    return f'<script src="{ingest}/js/footfall.js" data-key="{key}"></script>'


def _module_tag(ingest: str, key: str) -> str:
    return f"""<script type="module">
        import * as footfall from "{ingest}/js/footfall.mjs";
        footfall.init({{ key: "{key}" }});
        window.footfall = footfall;
    </script>"""


@pytest.fixture(params=[_tag, _module_tag], ids=["script", "module"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with _site(request.param) as site:
        yield site


async def test_events_reach_the_log_from_another_origin(site: Site) -> None:
    await site.page.evaluate(
        """() => {
            footfall.track("ada", "opened report", {account: "acme", rows: 12, properties: {plan: "pro"}});
            footfall.track("ada", "closed report", {context: {page: {url: "/reports"}}});
        }"""
    )
    events = sorted(await site.events(2), key=lambda event: event.occurred_at)
    assert [(event.user, event.action) for event in events] == [
        ("ada", "opened report"),
        ("ada", "closed report"),
    ]
    assert (events[0].account, events[0].properties) == ("acme", {"rows": 12, "plan": "pro"})
    context = events[1].context
    assert (context["library"], context["page"]) == ({"name": "footfall.js"}, {"url": "/reports"})
    assert events[0].sent_at is not None
    assert {event.sender and event.sender.sdk for event in events} == {"footfall.js"}
    assert site.warnings == []


async def test_visitors_keep_their_id_until_they_are_known(site: Site) -> None:
    await site.page.evaluate("() => { footfall.track(null, 'looked around'); footfall.flush(); }")
    await site.events(1)
    await site.page.reload()
    await site.page.evaluate(
        """() => {
            footfall.page();
            footfall.identify("ada", {plan: "pro"});
            footfall.track(null, "clicked");
            footfall.group("acme", {seats: 25});
            footfall.alias("ada", "old-ada");
        }"""
    )
    by_action = {event.action: event for event in await site.events(6)}
    visitor = by_action["looked around"].anonymous_id
    assert visitor
    assert by_action["viewed page"].anonymous_id == visitor
    assert by_action["viewed page"].properties["title"] == "Reports"
    assert (by_action["identified"].user, by_action["identified"].anonymous_id) == ("ada", visitor)
    assert by_action["identified"].traits == {"plan": "pro"}
    assert by_action["clicked"].user == "ada"
    assert (by_action["joined account"].account, by_action["joined account"].traits) == (
        "acme",
        {"seats": 25},
    )
    alias = next(event for event in by_action.values() if event.kind == "alias")
    assert (alias.user, alias.previous_id) == ("ada", "old-ada")


_POLICY = "default-src 'none'; script-src 'self' INGEST; connect-src INGEST; worker-src 'self'"
_IMPORT = 'import { init, track } from "INGEST/js/footfall.mjs";\n'


async def test_the_module_works_under_a_strict_policy_and_leaves_no_global() -> None:
    def html(_: str, __: str) -> str:
        return '<script type="module" src="/app.js"></script>'

    script = _IMPORT + 'track("ada", "before the key"); init({ key: "KEY" }); track("ada", "after it");'
    async with _site(html, script, _POLICY) as site:
        assert [event.action for event in await site.events(2)] == ["before the key", "after it"]
        assert await site.page.evaluate("typeof footfall") == "undefined"
        assert site.warnings == []


async def test_the_module_can_be_bundled_with_another_files_address() -> None:
    """What a bundler makes of it: the text inside the site's own script, where the origin says nothing."""
    async with _site(lambda _, __: "", policy="") as site:
        text = await site.page.evaluate(
            "address => fetch(address).then(answer => answer.text())", f"{site.ingest}/js/footfall.mjs"
        )
        await site.page.evaluate(
            """async ([text, host, key]) => {
                const bundled = text.replaceAll("import.meta.url", '"file:///app/footfall.mjs"');
                const file = new Blob([bundled], { type: "text/javascript" });
                const { init, track } = await import(URL.createObjectURL(file));
                init({ host: host + "/", key });
                track("ada", "from a bundle");
            }""",
            [text, site.ingest, site.stand.write_key],
        )
        assert [event.action for event in await site.events(1)] == ["from a bundle"]


async def test_the_module_works_where_there_is_no_document() -> None:
    def html(_: str, __: str) -> str:
        return "<script>new Worker('/app.js', { type: 'module' })</script>"

    script = _IMPORT + 'init({ key: "KEY" }); track("ada", "from a worker");'
    async with _site(html, script) as site:
        assert [event.action for event in await site.events(1)] == ["from a worker"]


async def test_too_many_events_are_dropped_with_a_warning(site: Site) -> None:
    site.stand.log.away = True
    await site.page.evaluate("() => { for (let n = 0; n < 1001; n++) footfall.track('ada', 'a' + n); }")
    assert any("dropped" in warning for warning in site.warnings)


async def test_what_was_called_before_loading_is_sent() -> None:
    def html(ingest: str, key: str) -> str:
        early = '(window.footfall = window.footfall || []).push(["track", "ada", "early"])'
        return (
            f'<script>{early}</script><script async src="{ingest}/js/footfall.js" data-key="{key}"></script>'
        )

    async with _site(html) as early_site:
        assert [event.action for event in await early_site.events(1)] == ["early"]


async def test_the_key_may_be_given_later() -> None:
    async with _site(lambda ingest, _: f'<script src="{ingest}/js/footfall.js"></script>') as site:
        await site.page.evaluate("() => { footfall.track('ada', 'before the key'); }")
        await site.page.evaluate("key => footfall.init({key})", site.stand.write_key)
        assert [event.action for event in await site.events(1)] == ["before the key"]


async def test_leaving_the_page_sends_what_waits(site: Site) -> None:
    await site.page.evaluate("() => { footfall.track('ada', 'left'); location.href = 'about:blank'; }")
    assert [event.action for event in await site.events(1)] == ["left"]


async def test_what_cannot_be_sent_is_sent_from_the_next_page_once(site: Site) -> None:
    site.stand.log.away = True
    async with asyncio.timeout(10):
        # Until the page has the answer: left before, it takes a last request for delivered.
        await site.page.evaluate("() => { footfall.track('ada', 'while away'); return footfall.flush(); }")
    assert site.stand.count("footfall_ingest_events_total", outcome="unavailable")
    await site.page.goto("about:blank")
    site.stand.log.away = False
    await site.page.goto(site.url)
    assert [event.action for event in await site.events(1)] == ["while away"]


async def test_rejected_events_are_told_and_not_repeated(site: Site) -> None:
    await site.page.evaluate("() => { footfall.track('ada', ' '); footfall.track('ada', 'good'); }")
    assert [event.action for event in await site.events(1)] == ["good"]
    assert len(await site.stand.rejected()) == 1
    async with asyncio.timeout(10):
        while not any("Footfall" in warning for warning in site.warnings):
            await asyncio.sleep(0.05)


async def test_many_events_go_in_several_requests(site: Site) -> None:
    await site.page.evaluate(
        "() => { for (let n = 0; n < 250; n++) footfall.track('u' + n, 'a', {n, text: '世'.repeat(900)}); }"
    )
    events = await site.events(250)
    assert sorted(event.properties["n"] for event in events) == list(range(250))
    assert site.warnings == []
