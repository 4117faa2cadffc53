"""Pages of a running `footfall up` in the system's Chromium, as a logged-in person has them open.

    def suite(tmp_path_factory):                                 # once per module or session
        with running_suite(tmp_path_factory.mktemp("pages") / "data") as suite:
            yield suite

    async with open_pages(suite, color_scheme="dark") as pages:  # a project, a browser and a login of its own
        page = await pages.open("/pulse", account="acme")
        await pages.send([{"user": "ada", "action": "opened report", "account": "acme"}])

Leaving `open_pages` fails when a page logged an error, broke its content security policy or asked a third
party; what a test provokes on purpose it names with `pages.expect("503")`.
"""

import contextlib
import json
import re
import signal
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    async_playwright,
)

from access.requests import SESSION_COOKIE
from footfall_process import Up, footfall_up
from waiting import eventually

CHROMIUM = "/usr/bin/chromium"
INSECURE_HOST = "footfall.test"
"""A name of this machine that is not `localhost`: over http its pages are no secure context."""


_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
]

# Headless tabs are all visible; this lets a test hide one.
_HIDING = """
(() => {
    let hidden = false;
    Object.defineProperty(document, "hidden", {get: () => hidden});
    Object.defineProperty(document, "visibilityState", {get: () => (hidden ? "hidden" : "visible")});
    window.__hide = (value) => {
        hidden = value;
        document.dispatchEvent(new Event("visibilitychange"));
    };
})();
"""


class Suite:
    """`footfall up` on one directory and one port, which may go down and come back. Its calls block."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self._environ = dict(environ)
        self._up: Up | None = None
        self._exits = contextlib.ExitStack()
        self._port = 0
        self._own_environ = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def facts(self) -> Mapping[str, Any]:
        """The ready file."""
        assert self._up is not None, "the suite is down"
        return self._up.facts

    @property
    def is_up(self) -> bool:
        return self._up is not None

    def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Start it, at the port of the last time; with other settings if given."""
        assert self._up is None, "the suite is up"
        port = ("--port", str(self._port)) if self._port else ()
        self._own_environ = not arguments and environ is None
        self._up = self._exits.enter_context(
            footfall_up(self.directory, *port, *arguments, environ={**self._environ, **(environ or {})})
        )
        self._port = self._up.port

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by the signal; returns when it is gone."""
        assert self._up is not None, "the suite is down"
        self._up.stop(number)
        self._exits.close()
        self._up = None

    def restart(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self.stop()
        self.start(*arguments, environ=environ)

    def restore(self) -> None:
        """Up again with its own settings, whatever a test left behind."""
        if self._up is not None and (self._up.process.poll() is not None or not self._own_environ):
            self.stop()
        if self._up is None:
            self.start()

    def admin(self) -> httpx.Client:
        """A client with the admin token."""
        token = json.loads((self.directory / "run.json").read_text())["admin_token"]
        return self.client(token)

    def client(self, credential: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {credential}"},
            timeout=30,
            trust_env=False,
        )

    def streams(self, channel: str = "activity") -> int:
        """How many streams are open, as the server counts them."""
        page = httpx.get(f"{self.url}/metrics", trust_env=False).text
        found = re.search(
            rf'^footfall_stream_connections{{[^}}]*channel="{channel}"[^}}]*}} (\S+)$', page, re.M
        )
        return int(float(found[1])) if found else 0


@contextmanager
def running_suite(directory: Path, environ: Mapping[str, str] | None = None) -> Iterator[Suite]:
    """Start `footfall up` with its embedded database and no demo; stop it on leaving."""
    suite = Suite(directory, {"FOOTFALL_LOG_LEVEL": "error", **(environ or {})})
    suite.start()
    try:
        yield suite
    finally:
        if suite.is_up:
            suite.stop()


@dataclass
class Pages:
    """A browser context logged in to one fresh project; `problems` is what its pages complained about."""

    suite: Suite
    project: str
    write_key: str
    secret_key: str
    url: str
    browser: Browser
    context: BrowserContext
    problems: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    async def open(
        self, path: str = "/pulse", *, wait_until: Literal["load", "commit"] = "load", **query: str
    ) -> Page:
        """A new tab at a page of the project."""
        page = await self.context.new_page()
        await page.goto(self.address(path, **query), wait_until=wait_until)
        return page

    def address(self, path: str = "/pulse", **query: str) -> str:
        """The whole address of a page of the project."""
        return f"{self.url}{path}?{urlencode({'project': self.project, **query})}"

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Send events to the project; returns when they are accepted."""
        answer = await self.call("POST", "/v1/events", key=self.write_key, json=list(events))
        assert answer.json()["rejected"] == [], answer.text

    async def shown(self, count: int) -> None:
        """Return once history holds so many events of the project (at most 1,000 are counted)."""
        await eventually(lambda: self._held(count))

    async def call(self, method: str, path: str, *, key: str | None = None, **request: Any) -> httpx.Response:
        """Ask the suite with the project's secret key, or another credential; fails unless the answer is 2xx."""
        credential = key or self.secret_key
        headers = {"authorization": f"Bearer {credential}"}
        async with httpx.AsyncClient(
            base_url=self.suite.url, headers=headers, timeout=30, trust_env=False
        ) as client:
            answer = await client.request(method, path, **request)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def expect(self, *parts: str) -> None:
        """What the test provokes: problems that hold one of these texts are none."""
        self._expected += parts

    async def hide(self, page: Page, hidden: bool = True) -> None:
        """Make the tab hidden, as far as its scripts can tell, or visible again."""
        await page.evaluate("hidden => window.__hide(hidden)", hidden)

    def unexpected(self) -> list[str]:
        """The problems that nobody expects."""
        return [text for text in self.problems if not any(part in text for part in self._expected)]

    async def _held(self, count: int) -> bool:
        answer = await self.call("GET", "/v1/activity", params={"limit": 1000})
        return len(answer.json()["items"]) >= count

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            place = message.location.get("url", "")
            self.problems.append(f"{message.type}: {message.text} ({place})")

    def _uncaught(self, error: WebError) -> None:
        self.problems.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", "about:")):
            self.problems.append(f"a request to a third party: {request.url}")


@asynccontextmanager
async def open_pages(
    suite: Suite,
    *,
    viewport: tuple[int, int] = (1440, 900),
    color_scheme: Literal["light", "dark"] = "light",
    timezone_id: str = "UTC",
    reduced_motion: Literal["reduce", "no-preference"] = "no-preference",
    insecure: bool = False,
    every_project: bool = False,
    name: str = "",
) -> AsyncIterator[Pages]:
    """A fresh project and a browser logged in to it.

    `viewport` is width and height in px. `insecure` reaches the pages under a name that is no secure context.
    `every_project` logs in to all projects of the suite, else to the fresh one alone. `name` is the project's.
    """
    suite.restore()
    with suite.admin() as admin:
        made = admin.post("/v1/projects", json={"name": name or f"pages {uuid.uuid4().hex[:8]}"})
        made.raise_for_status()
        created = made.json()
    url = f"http://{INSECURE_HOST}:{suite.port}" if insecure else suite.url
    width, height = viewport

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=color_scheme,
                timezone_id=timezone_id,
                reduced_motion=reduced_motion,
                locale="en-GB",
            )
            await context.add_init_script(_HIDING)
            session = _session(suite, None if every_project else created["project"])
            await context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": url}])
            pages = Pages(
                suite, created["project"], created["write_key"], created["secret_key"], url, browser, context
            )
            context.on("console", pages._console)
            context.on("weberror", pages._uncaught)
            context.on("request", pages._request)
            yield pages
            assert pages.unexpected() == []
        finally:
            await browser.close()


def _session(suite: Suite, project: str | None) -> str:
    """What a login link's button puts into the cookie; without a project, for all of them."""
    with suite.admin() as admin:
        link = admin.post("/v1/logins", json={} if project is None else {"project": project})
    token = parse_qs(urlsplit(link.raise_for_status().json()["path"]).query)["token"][0]
    return httpx.post(f"{suite.url}/login", data={"token": token}, trust_env=False).cookies[SESSION_COOKIE]
