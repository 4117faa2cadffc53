"""The pages with a million activities behind them: when they paint, when they are full, and how soon an event shows."""

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import uvloop
from playwright.async_api import Browser, StorageState, async_playwright

from footfall_process import Up, footfall_up
from measurement import Row, quantile_ms, show
from open_pages import CHROMIUM

ACTIVITIES = 1_000_000
OPENED = 5
POSTED = 50
_DAYS = 30
_BATCH = 1_000
_SENDERS = 4
_FILL_DEADLINE_S = 1_800
_OPEN_MS = 60_000
_BIG = "account-1"
_ROWS = 20
_FULL = {
    "/pulse": f"count('.feed article') >= {_ROWS} && numbers('.tile .figure') >= 4",
    "/accounts": f"count('tbody .row-link') >= {_ROWS} && numbers('tbody .number') >= {_ROWS}",
    f"/accounts/{_BIG}": f"count('.feed article') >= {_ROWS} && numbers('.figure .value') >= 3",
}
"""By page, when it shows what it is opened for."""
_WATCH = """
    (() => {
        const count = selector => document.querySelectorAll(selector).length;
        const numbers = selector => [...document.querySelectorAll(selector)]
            .filter(node => /\\d/.test(node.textContent)).length;
        const look = () => {
            if (!(%s)) return requestAnimationFrame(look);
            requestAnimationFrame(() => {
                const own = performance.getEntriesByType("navigation")[0];
                const all = performance.getEntriesByType("resource");
                window.__full = {
                    full_ms: performance.now(),
                    paint_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime,
                    bytes: all.reduce((sum, one) => sum + one.transferSize, own.transferSize),
                    requests: all.length + 1,
                };
            });
        };
        requestAnimationFrame(look);
    })();
"""
_NOTE = """
    window.__seen = {};
    new MutationObserver(() => {
        for (const [, number] of document.querySelector(".feed").textContent.matchAll(/probe (\\d+)\\./g)) {
            if (!(number in window.__seen)) {
                window.__seen[number] = null;
                requestAnimationFrame(() => (window.__seen[number] = Date.now() / 1000));
            }
        }
    }).observe(document.querySelector(".feed"), {childList: true, subtree: true, characterData: true});
"""


@dataclass(frozen=True)
class _Opened:
    """One page, opened once with nothing in the browser's cache."""

    paint_ms: float
    full_ms: float
    bytes: int
    requests: int


async def run(activities: int = ACTIVITIES) -> list[Row]:
    """Two rows for each page, and one for events that are sent while Service Pulse is open."""
    with (
        tempfile.TemporaryDirectory() as directory,
        footfall_up(Path(directory) / "data", environ={"FOOTFALL_LOG_LEVEL": "error"}) as up,
    ):
        began = time.perf_counter()
        await _fill(up, activities)
        filled_s = time.perf_counter() - began
        rows = [
            Row(
                what=f"{activities:,} activities sent and projected",
                per_s=round(activities / filled_s),
                remark=f"{_BATCH:,} a request, {_SENDERS} at once, {_DAYS} days",
            )
        ]
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            state = await _log_in(browser, up)
            for path, full in _FULL.items():
                rows += _page_rows(path, [await _open(browser, state, up, path, full) for _ in range(OPENED)])
            rows.append(await _live(browser, state, up))
            await browser.close()
    return rows


def _events(count: int) -> Iterator[dict[str, Any]]:
    """So many, of the last 30 days and more of the last ones: 20,000 users in 500 accounts, few of them busy."""
    choose = random.Random(11)
    now = datetime.now(UTC)
    for n in range(count):
        user = int(choose.paretovariate(0.8)) % 20_000
        ago_s = _DAYS * 86_400 * choose.random() ** 2
        yield {
            "id": f"bench-{n}",
            "user": f"user-{user}",
            "account": f"account-{user % 500}",
            "action": f"action {int(choose.paretovariate(0.9)) % 30}",
            "time": (now - timedelta(seconds=ago_s)).isoformat(),
            "properties": {"page": "/reports/42", "n": n},
        }


async def _fill(up: Up, count: int) -> None:
    """Send the events and wait until the projector has them all."""
    source = _events(count)
    headers = {"authorization": f"Bearer {up.facts['write_key']}"}
    async with httpx.AsyncClient(base_url=up.url, headers=headers, timeout=60, trust_env=False) as client:

        async def send() -> None:
            while batch := list(islice(source, _BATCH)):
                answer = await client.post("/v1/events", content=json.dumps(batch).encode())
                while answer.status_code in (429, 503):
                    await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
                    answer = await client.post("/v1/events", content=json.dumps(batch).encode())
                assert answer.json()["accepted"] == len(batch), answer.text

        async with asyncio.TaskGroup() as group:
            for _ in range(_SENDERS):
                group.create_task(send())
        reader = {"authorization": f"Bearer {up.facts['secret_key']}"}
        first = (datetime.now(UTC) - timedelta(days=_DAYS + 1)).date().isoformat()
        async with asyncio.timeout(_FILL_DEADLINE_S):
            while True:
                told = await client.get("/v1/pulse/days", params={"from": first}, headers=reader)
                if sum(item["count"] for item in told.json()["items"]) >= count:
                    return
                await asyncio.sleep(1)


async def _log_in(browser: Browser, up: Up) -> StorageState:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(str(up.facts["login_url"]))
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(re.compile("/pulse"))
    state = await context.storage_state()
    await context.close()
    return state


def _address(up: Up, path: str) -> str:
    return f"{up.url}{path}?project={up.facts['project']}"


async def _open(browser: Browser, state: StorageState, up: Up, path: str, full: str) -> _Opened:
    context = await browser.new_context(storage_state=state, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.add_init_script(_WATCH % full)
    await page.goto(_address(up, path))
    found = await page.wait_for_function("() => window.__full", timeout=_OPEN_MS)
    opened = _Opened(**await found.json_value())
    await context.close()
    return opened


def _page_rows(path: str, opened: list[_Opened]) -> list[Row]:
    last = opened[-1]
    loaded = f"{last.bytes / 1024:.1f} KB in {last.requests} requests"
    return [
        Row(
            what=f"{path}, {what}",
            p50_ms=quantile_ms([value / 1000 for value in values], 0.5),
            p99_ms=quantile_ms([value / 1000 for value in values], 1),
            remark=remark,
        )
        for what, values, remark in (
            ("first contentful paint", [one.paint_ms for one in opened], f"opened {len(opened)} times"),
            (f"numbers and {_ROWS} rows", [one.full_ms for one in opened], loaded),
        )
    ]


async def _live(browser: Browser, state: StorageState, up: Up) -> Row:
    """How long after its POST began an event is painted."""
    context = await browser.new_context(storage_state=state, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(_address(up, "/pulse"))
    await page.locator(".feed article").first.wait_for()
    await page.get_by_text("Live", exact=True).first.wait_for()
    await page.evaluate(_NOTE)
    choose = random.Random(3)
    headers = {"authorization": f"Bearer {up.facts['write_key']}"}
    latencies = []
    async with httpx.AsyncClient(base_url=up.url, headers=headers, trust_env=False) as client:
        for number in range(POSTED):
            began = time.time()
            await client.post("/v1/events", json={"user": "ada", "action": f"probe {number}."})
            seen = await page.wait_for_function(f"() => window.__seen[{number}]", timeout=_OPEN_MS)
            latencies.append(float(await seen.json_value()) - began)
            await asyncio.sleep(choose.uniform(0.05, 0.4))
    await context.close()
    return Row(
        what="from POST to the painted row",
        p50_ms=quantile_ms(latencies, 0.5),
        p99_ms=quantile_ms(latencies, 0.99),
        remark=f"{POSTED} events, one at a time, Service Pulse open",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--activities", type=int, default=ACTIVITIES)
    arguments = parser.parse_args()
    show(uvloop.run(run(arguments.activities)))
