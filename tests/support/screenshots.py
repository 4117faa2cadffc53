"""Pictures of the pages: `make screenshots` starts Footfall with its demo and photographs every page.

    python tests/support/screenshots.py [--out DIR] [--url URL --login LINK]

Writes DIR/<page>-<width>-<scheme>.png (default build/screenshots) and, with --readme, docs/images/.
"""

import argparse
import asyncio
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import httpx
from playwright.async_api import Browser, Page, async_playwright

from footfall_process import footfall_up
from open_pages import CHROMIUM

_WIDTHS: Final = {1440: 900, 1024: 768, 390: 844}
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_LISTS: Final = {
    "pulse": "/pulse",
    "accounts": "/accounts",
    "users": "/users",
    "sources": "/sources",
    "rejected": "/rejected",
    "actions": "/actions",
}
_DEMO_DEADLINE_S: Final = 180
_README: Final = Path("docs/images")


@contextmanager
def _suite() -> Iterator[tuple[str, str]]:
    """The address and a login link of a fresh installation with its demo."""
    with (
        tempfile.TemporaryDirectory() as directory,
        footfall_up(Path(directory) / "data", "--demo") as up,
    ):
        yield up.url, str(up.facts["login_url"])


async def _main(out: Path, url: str, login: str, readme: bool) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(login)
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url(re.compile("/pulse"))
        project = page.url.partition("project=")[2]
        cookies = (await context.cookies())[0]
        account, user = await _imported(url, project, {cookies["name"]: cookies["value"]})
        state = await context.storage_state()
        places = {
            **_LISTS,
            "account": f"/accounts/{account}",
            "user": f"/users/{user}",
        }
        for scheme in _SCHEMES:
            for width, height in _WIDTHS.items():
                shots = await browser.new_context(
                    storage_state=state, color_scheme=scheme, viewport={"width": width, "height": height}
                )
                for name, path in places.items():
                    target = out / f"{name}-{width}-{scheme}.png"
                    await _photograph(await shots.new_page(), f"{url}{path}?project={project}", target)
                await shots.close()
        if readme:
            await _photograph_for_readme(browser, state, f"{url}/pulse?project={project}")
        await browser.close()


async def _imported(url: str, project: str, cookies: dict[str, str]) -> tuple[str, str]:
    """Wait for the demo's history; an account and a user worth a picture."""
    async with httpx.AsyncClient(base_url=url, cookies=cookies, trust_env=False) as client:
        async with asyncio.timeout(_DEMO_DEADLINE_S):
            while True:
                runs = (await client.get("/v1/imports", params={"project": project})).json()["items"]
                if len(runs) > 1 and all(run["state"] == "done" for run in runs):
                    break
                await asyncio.sleep(1)
        names = []
        for kind in ("account", "user"):
            query = {"project": project, "sort": "activities", "limit": "1"}
            answer = await client.get(f"/v1/{kind}s", params=query)
            names.append(str(answer.json()["items"][0][kind]))
    return names[0], names[1]


async def _photograph(page: Page, address: str, target: Path) -> None:
    await page.goto(address)
    await page.locator("main h1").wait_for()
    await page.wait_for_load_state("load")
    await asyncio.sleep(1.5)
    target.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=target, full_page=False)
    await page.close()


async def _photograph_for_readme(browser: Browser, state: object, address: str) -> None:
    for scheme in _SCHEMES:
        context = await browser.new_context(
            storage_state=state,  # type: ignore[arg-type]
            color_scheme=scheme,
            viewport={"width": 1280, "height": 800},
            device_scale_factor=1.5,
        )
        await _photograph(await context.new_page(), address, _README / f"pulse-{scheme}.png")
        await context.close()


def main() -> None:
    """Photograph a fresh demo, or what runs at --url."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--url", help="a Footfall that runs, instead of a fresh one")
    parser.add_argument("--login", help="its one-time login link")
    parser.add_argument("--readme", action="store_true", help="also write docs/images")
    options = parser.parse_args()
    if options.url:
        asyncio.run(_main(options.out, options.url, options.login, options.readme))
    else:
        with _suite() as (url, login):
            asyncio.run(_main(options.out, url, login, options.readme))


if __name__ == "__main__":
    main()
