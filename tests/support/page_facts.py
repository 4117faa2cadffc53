"""What a page shows, read from it at once as plain data: every figure, row, sentence and alternative text."""

from typing import Any, TypeAlias

from playwright.async_api import Page

Facts: TypeAlias = dict[str, Any]

_READING = """
    const clean = text => text.replace(/\\s+/g, " ").trim();
    const text = (node, selector) => {
        const found = selector ? node?.querySelector(selector) : node;
        return found ? clean(found.textContent) : null;
    };
    const all = (selector, take, node = document) => [...node.querySelectorAll(selector)].map(take);
    const cells = row => [...row.cells].map(cell => text(cell));
    const times = node => all("time", time => time.dateTime, node);
    const timeline = node => node && {
        caption: text(node, ".timeline caption"),
        rows: all(".timeline tbody tr", cells, node),
    };
"""

_PULSE = """
    const tiles = all(".tile", tile => [text(tile, "h2"), {
        figure: text(tile, ".figure"),
        meaning: text(tile, ".meaning"),
        beside: text(tile, ".aside > span"),
        days: tile.querySelector("svg")?.getAttribute("aria-label") ?? null,
    }]);
    return {
        tiles: Object.fromEntries(tiles),
        top: {
            said: text(document, ".top header .soft"),
            rows: all(".top li button", row => [text(row, ".name"), text(row, ".number")]),
            more: text(document, ".top .more"),
        },
        hour: {said: text(document, ".hour header .soft"), ...timeline(document.querySelector(".hour"))},
    };
"""

_CUSTOMER = """
    document.querySelector(".breakdown footer button[aria-expanded=false]")?.click();
    const facts = all(".facts > div", one => [one.children[0].textContent, one.children[1]]);
    const terms = Object.fromEntries(facts.map(([label, told]) => [label, times(told)[0] ?? text(told)]));
    const people = document.querySelector(".people[aria-label=Users]");
    const accounts = document.querySelector(".people[aria-label=Accounts]");
    const identities = document.querySelector(".people[aria-label='Other ids']");
    const table = (panel, row) => panel && {said: text(panel, "header .soft"), rows: all("tbody tr", row, panel)};
    const link = row => row.querySelector(".row-link").title;
    const heat = document.querySelector(".heat");
    return {
        head: all(".customer-head > *", one => text(one)),
        facts: terms,
        period: text(document, ".period p"),
        figures: Object.fromEntries(all(".figure", figure =>
            [text(figure, "h2"), [text(figure, ".value"), text(figure, ".note")]])),
        days: timeline(document.querySelector(".amount")),
        breakdown: table(document.querySelector(".breakdown"), row =>
            [...cells(row), row.querySelector(".change span").title]),
        hours: heat && {
            of: heat.querySelector("table").getAttribute("aria-label"),
            counts: all("tbody tr", row => all("td", cell => text(cell), row), heat),
            told: text(heat, ".told"),
            legend: all(".legend > span", one => text(one), heat),
        },
        people: table(people, row =>
            [link(row), ...cells(row).slice(0, 3), row.querySelector(".doing").title, ...times(row)]),
        accounts: table(accounts, row => [...cells(row).slice(0, 2), ...times(row)]),
        identities: table(identities, row => [...cells(row).slice(0, 2), ...times(row)]),
    };
"""

_LIST = """
    const sorted = document.querySelector("th[aria-sort]");
    return {
        said: text(document, ".page-head [role=status]"),
        foot: text(document, ".customers footer .soft"),
        sorted: sorted && [text(sorted), sorted.getAttribute("aria-sort")],
        rows: all(".customers tbody tr:has(.row-link)", row => [
            ...cells(row).slice(0, -2),
            row.querySelector("svg[role=img]")?.getAttribute("aria-label") ?? null,
            ...times(row),
        ]),
    };
"""

# Only some of the rows are in the document at a time: the reader scrolls.
_STREAM = """
    const found = new Map();
    const collect = () => all(".feed-rows > article", row => found.set(Number(row.dataset.index), {
        at: times(row)[0],
        person: text(row, ".who"),
        account: text(row, ".account"),
        action: text(row, ".action"),
        told: text(row, ".pairs"),
    }));
    const drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    scrollTo(0, 0);
    for (let steps = 0; steps < 200; steps += 1) {
        await drawn();
        collect();
        const held = scrollY;
        if (found.size >= wanted) break;
        scrollBy(0, innerHeight / 2);
        if (scrollY === held && steps > 50) break;
    }
    scrollTo(0, 0);
    return [...found].sort(([one], [other]) => one - other).map(([_, row]) => row).slice(0, wanted);
"""


async def pulse_facts(page: Page) -> Facts:
    """Of Service Pulse without its stream."""
    return await _read(page, _PULSE)


async def customer_facts(page: Page) -> Facts:
    """Of an account, a user or a visitor without the stream; opens all rows of the breakdown."""
    return await _read(page, _CUSTOMER)


async def list_facts(page: Page) -> Facts:
    """Of the accounts or users that are shown."""
    return await _read(page, _LIST)


async def stream_rows(page: Page, wanted: int) -> list[dict[str, str]]:
    """The newest rows of the stream, newest first: `at`, `person`, `account`, `action`, `told`."""
    rows: list[dict[str, str]] = await page.evaluate(f"async wanted => {{ {_READING} {_STREAM} }}", wanted)
    return rows


async def _read(page: Page, script: str) -> Facts:
    facts: Facts = await page.evaluate(f"() => {{ {_READING} {script} }}")
    return facts
