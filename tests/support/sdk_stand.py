"""ingest-api as the unmodified SDKs of other vendors meet it: a real socket, a log that fails when told to."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, Route, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from eventlog.errors import LogBusy, LogUnavailable
from eventlog.memory import MemoryLog
from eventmodel import Event, topics
from ingest_stand import IngestStand, open_stand, serving
from lifecycle.errors import Problem
from lifecycle.limits import Limits
from lifecycle.server import Server, listening
from sdk_packages import node_packages, python_sdks
from telemetry.metrics import Metrics

PROGRAM_S: Final = 90
"""What a program that uses an SDK may take, its retries included."""
ARRIVE_S: Final = 45

_SDK = Path(__file__).parents[1] / "sdk"
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-blink-features=AutomationControlled",
)
_USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)


class FailingLog:
    """Appends to the memory log, but fails as often as it is told to; `refused` counts how often it did."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._faults: list[tuple[Exception, bool]] = []
        self.refused = 0

    def fail(self, *faults: Exception, stored: bool = False) -> None:
        """Fail the next appends of events with these, in turn; `stored`: the events are in the log all the same."""
        self._faults += [(fault, stored) for fault in faults]

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        if topic != topics.EVENTS or not self._faults:
            await self._log.append(topic, messages)
            return
        fault, stored = self._faults.pop(0)
        self.refused += 1
        if stored:
            await self._log.append(topic, messages)
        raise fault


@dataclass(frozen=True)
class Answered:
    """One request as ingest-api answered it."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]


@dataclass
class SdkStand:
    """A served ingest-api at `url`, its log, and every request it `answered`."""

    stand: IngestStand
    url: str
    log: FailingLog
    answered: list[Answered] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The write key."""
        return self.stand.write_key

    @property
    def host(self) -> str:
        """Host and port, for SDKs that add the scheme themselves."""
        return self.url.removeprefix("http://")

    def unavailable(self, times: int = 1, retry_after_s: int = 1) -> None:
        """Answer the next requests with events 503 and Retry-After; nothing of them is stored."""
        self.log.fail(*(LogBusy("The log is busy.", retry_after_s) for _ in range(times)))

    def unconfirmed(self, times: int = 1, retry_after_s: int = 1) -> None:
        """Answer the next requests with events 503, although they are stored: the worst case of a retry."""
        faults = [LogUnavailable("The log did not confirm.", retry_after_s) for _ in range(times)]
        self.log.fail(*faults, stored=True)

    def limited(self, times: int = 1, retry_after_s: int = 1) -> None:
        """Answer the next requests with events 429 and Retry-After."""
        headers = {"retry-after": str(retry_after_s)}
        self.log.fail(*(Problem(429, "too_many_events", "Slow down.", headers=headers) for _ in range(times)))

    async def events(self, count: int) -> list[Event]:
        """All events in the log, once there are so many, by the sender's time."""
        async with asyncio.timeout(ARRIVE_S):
            while len(found := await self.stand.events()) < count:
                await asyncio.sleep(0.05)
        return sorted(found, key=lambda event: event.occurred_at)

    async def python(self, program: str, **given: Any) -> str:
        """What tests/sdk/python/<program> prints; it finds `host`, `key` and what is given as JSON in argv."""
        return await self._run(python_sdks(), _SDK / "python" / program, given, {})

    async def node(self, program: str, **given: Any) -> str:
        """The same for tests/sdk/node/<program>."""
        return await self._run(
            Path("node"), _SDK / "node" / program, given, {"NODE_PATH": str(node_packages())}
        )

    async def _run(
        self, interpreter: Path, program: Path, given: Mapping[str, Any], environment: Mapping[str, str]
    ) -> str:
        arguments = json.dumps({"host": self.url, "key": self.key, **given})
        process = await asyncio.create_subprocess_exec(
            interpreter,
            program,
            arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )
        try:
            async with asyncio.timeout(PROGRAM_S):
                output, errors = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, errors.decode() or output.decode()
        return output.decode()

    @asynccontextmanager
    async def page(self, html: str) -> AsyncIterator["SdkPage"]:
        """A customer's page of another origin, open in a browser; `/sdk/…` there is `node_modules`."""

        async def answer(_: Request) -> HTMLResponse:
            return HTMLResponse(f"<!doctype html><title>Reports</title><body>{html}</body>")

        routes = [
            Mount("/sdk", StaticFiles(directory=node_packages())),
            StarletteRoute("/{path:path}", answer),
        ]
        site = Server(Starlette(routes=routes), Metrics("site"), Limits())
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
            try:
                # SDKs drop what a headless browser does.
                page = await browser.new_page(user_agent=_USER_AGENT)
                with listening("127.0.0.1", 0) as sockets:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(site.serve(sockets))
                        await site.accepting.wait()
                        # Another name for the same machine, so that the page is of another origin.
                        origin = f"http://localhost:{sockets[0].getsockname()[1]}"
                        opened = SdkPage(page, origin)
                        try:
                            await page.route("**/*", opened.keep_home(self.url))
                            page.on("pageerror", lambda error: opened.errors.append(str(error)))
                            await page.goto(f"{origin}/reports?ref=mail")
                            yield opened
                        finally:
                            await browser.close()
                            site.stop(1)
            finally:
                await browser.close()


@dataclass
class SdkPage:
    """A page with an SDK on it. `strangers` are the addresses elsewhere it asked for; none was reached."""

    page: Page
    origin: str
    strangers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def keep_home(self, ingest: str) -> Any:
        """A handler that lets requests through to the page's own origin and to ingest-api alone."""

        async def handle(route: Route) -> None:
            if route.request.url.startswith((self.origin + "/", ingest + "/", "data:", "blob:")):
                await route.continue_()
            else:
                self.strangers.append(route.request.url)
                await route.abort()

        return handle


@asynccontextmanager
async def sdk_stand(**settings: Any) -> AsyncIterator[SdkStand]:
    """The stand, served until left."""
    memory = MemoryLog(partitions=4)
    log = FailingLog(memory)
    stand = await open_stand(memory, writer=log, **settings)
    answered: list[Answered] = []
    inner = stand.app

    async def recording(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_recorded(message: AsgiMessage) -> None:
            if message["type"] == "http.response.start":
                headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
                path = scope["path"]
                answered.append(Answered(scope["method"], path, message["status"], headers))
            await send(message)

        await inner(scope, receive, send_recorded if scope["type"] == "http" else send)

    stand.app = recording
    async with serving(stand) as url:
        yield SdkStand(stand, url, log, answered)
