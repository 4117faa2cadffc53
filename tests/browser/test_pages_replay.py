"""Every number of the pages, in the system's Chromium, is the one counted from the events that were sent.

Two inputs: real-looking traffic as tests/e2e/test_replay.py takes it (REPLAY_FILE names another file), and an
invented stream with sign-ups, traits, visitors, identify, group and alias, around a change of the clock.
"""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, Request, expect

from filled_project import Event, Filled, filled_with, invented
from generated_stream import Sent, Truth, text_of
from open_pages import Pages, Suite, open_pages, running_suite
from page_facts import Facts, customer_facts, list_facts, pulse_facts, stream_rows
from page_truth import (
    account_rows,
    account_said,
    in_order,
    person_said,
    pulse_said,
    sent_of,
    user_rows,
)
from page_words import grouped
from pulse_events import calm_zone
from traffic import traffic
from waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

NEWEST = 200
PERIODS = (30, 7, 90)
READER = "America/Caracas"
ZONES = ("Asia/Kolkata", "Australia/Adelaide", "America/St_Johns")
CHANGING_ZONES = ("America/St_Johns", "Australia/Adelaide")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=20_000)
    with running_suite(tmp_path_factory.mktemp("replayed") / "data") as suite:
        yield suite
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module", params=["traffic", "invented"])
def filled(suite: Suite, request: pytest.FixtureRequest) -> Filled:
    """Once for all tests: none of them sends to this project."""
    now = datetime.now(UTC)
    if request.param == "traffic":
        return filled_with(suite, traffic(), calm_zone(now, ZONES), real_looking=True)
    zone = calm_zone(now, CHANGING_ZONES)
    return filled_with(suite, invented(now, ZoneInfo(zone)), zone, real_looking=False)


class Answers:
    """When the answers that a page shows were given, by the server's clock."""

    def __init__(self, page: Page) -> None:
        self._latest: dict[tuple[str, str | None], Request] = {}
        page.on("requestfinished", self._note)

    def _note(self, request: Request) -> None:
        url = urlsplit(request.url)
        self._latest[unquote(url.path), parse_qs(url.query).get("days", [None])[0]] = request

    async def as_of(self, path: str, days: int | None = None) -> datetime | None:
        """None before the first answer."""
        request = self._latest.get((path, None if days is None else str(days)))
        if request is None or (response := await request.response()) is None:
            return None
        return datetime.fromisoformat((await response.json())["as_of"])


@asynccontextmanager
async def pages_of(filled: Filled, suite: Suite) -> AsyncIterator[Pages]:
    async with open_pages(suite, every_project=True, timezone_id=READER) as pages:
        pages.project = filled.project
        yield pages


async def agree(
    page: Page, read: Callable[[Page], Awaitable[Facts]], wanted: Callable[[], Awaitable[Facts | None]]
) -> None:
    """Return once the page shows exactly what is wanted; tells each difference if it never does."""
    shown: Any = None
    truth: Any = None

    async def same() -> bool:
        nonlocal shown, truth
        shown, truth = await read(page), await wanted()
        return truth is not None and bool(shown == truth)

    try:
        await eventually(same)
    except AssertionError:
        found = list(differences(shown, truth))
        pytest.fail(f"{len(found)} differences:\n" + "\n".join(found[:30]))


def differences(shown: Any, wanted: Any, place: str = "page") -> Iterator[str]:
    """What differs, each as a line."""
    if isinstance(shown, dict) and isinstance(wanted, dict):
        for name in shown | wanted:
            yield from differences(shown.get(name), wanted.get(name), f"{place}.{name}")
    elif isinstance(shown, list) and isinstance(wanted, list) and len(shown) == len(wanted):
        for n, (one, other) in enumerate(zip(shown, wanted, strict=True)):
            yield from differences(one, other, f"{place}[{n}]")
    elif shown != wanted:
        yield f"{place}: shows {shown!r}, counted {wanted!r}"


async def test_pulse(suite: Suite, filled: Filled) -> None:
    async with pages_of(filled, suite) as pages:
        await same_pulse(pages, filled)


async def same_pulse(pages: Pages, filled: Filled) -> None:
    page = await pages.context.new_page()
    answers = Answers(page)
    await page.goto(pages.address("/pulse"))

    @lru_cache(maxsize=2)
    def told(now: datetime, minutes_at: datetime) -> Facts:
        return pulse_said(filled.truth(now), minutes_at, filled.zone, ZoneInfo(READER))

    async def wanted() -> Facts | None:
        now, minutes_at = await answers.as_of("/v1/pulse"), await answers.as_of("/v1/pulse/minutes")
        return None if now is None or minutes_at is None else told(now, minutes_at)

    await agree(page, pulse_facts, wanted)
    await same_stream(page, filled, NEWEST, lambda event: True)
    await page.close()


async def test_pulse_in_the_busiest_hour_of_the_traffic(suite: Suite) -> None:
    """The newest hour of a file may be a quiet one."""
    given = sorted(traffic(), key=lambda event: str(event["time"]))
    times = [datetime.fromisoformat(event["time"]) for event in given]
    oldest, busiest, most = 0, 0, 0
    for n, at in enumerate(times):
        while times[oldest] <= at - HOUR:
            oldest += 1
        if n - oldest >= most:
            busiest, most = n, n - oldest
    by = timedelta(seconds=int((datetime.now(UTC) - times[busiest]).total_seconds()))
    chosen = [
        {**event, "time": text_of(at + by)}
        for event, at in zip(given[: busiest + 1], times, strict=False)
        if at > times[busiest] - timedelta(days=20)
    ]
    filled = filled_with(suite, chosen, calm_zone(datetime.now(UTC), ZONES), real_looking=True)
    async with pages_of(filled, suite) as pages:
        await same_pulse(pages, filled)


async def same_stream(page: Page, filled: Filled, most: int, which: Callable[[Sent], bool]) -> None:
    """The newest rows are the newest events, each once, newest first; at one moment in any order."""
    given: dict[tuple[str, str], Event] = {}
    for event in filled.given:
        given.setdefault((sent_of(event).subject, event["id"]), event)
    by_time: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for event in given.values():
        seen = sent_of(event)
        if which(seen):
            by_time[text_of(seen.at)][_row_of(event, seen)] += 1
    times = sorted((at for at in by_time for _ in by_time[at].elements()), key=datetime.fromisoformat)
    expected = times[::-1][:most]
    await expect(page.locator(".feed article").first).to_be_visible()
    rows = await stream_rows(page, len(expected))
    assert [row["at"] for row in rows] == expected
    for row in rows:
        shown = (row["person"], row["account"], row["action"], row["told"])
        assert by_time[row["at"]][shown] > 0, (row, by_time[row["at"]])
        by_time[row["at"]][shown] -= 1


def _row_of(event: Event, seen: Sent) -> tuple[str, ...]:
    person = seen.user or (f"visitor {seen.anonymous_id}" if seen.anonymous_id else "nobody")
    pairs: Mapping[str, Any] = {**event.get("properties", {}), **event.get("traits", {})}
    if seen.kind == "alias":
        pairs = {"was": event["previous_id"]}
    told = " ".join(f"{name} {_worded(value)}" for name, value in pairs.items())
    return person, seen.account or "", seen.action, " ".join(told.split())


def _worded(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def test_accounts_and_users_in_every_order(suite: Suite, filled: Filled) -> None:
    async with pages_of(filled, suite) as pages:
        truth = filled.truth(datetime.now(UTC))
        lists: dict[str, tuple[str, Mapping[str, Any]]] = {
            "/accounts": ("account", account_rows(truth, filled.zone)),
            "/users": ("user", user_rows(truth)),
        }
        for path, (one, rows) in lists.items():
            page = await pages.open(path)
            by = next(iter(rows.values()))[0]
            heads = ["Last seen", *(column for column in by if column != "Last seen"), one.capitalize()]
            for column in heads:
                natural = ["ascending", "descending"] if column == heads[-1] else ["descending", "ascending"]
                for order in natural:
                    if column != "Last seen" or order == "ascending":
                        await page.get_by_role("columnheader", name=column).get_by_role("button").click()
                    wanted = _listed(in_order(rows, column, order), [column, order], one)
                    await agree(page, list_facts, wanted)
            if len(rows) > 50:
                await page.get_by_role("button", name="Show 50 more").click()
                wanted = _listed(in_order(rows, column, order), [column, order], one, 100)
                await agree(page, list_facts, wanted)
            await page.close()


def _listed(
    rows: Sequence[Any], ordered: Sequence[str], one: str, most: int = 50
) -> Callable[[], Awaitable[Facts]]:
    number = grouped(min(most, len(rows)))
    more = len(rows) > most

    async def wanted() -> Facts:
        return {
            "said": f"{number} {one}s shown" if more else f"{number} {one}s",
            "foot": f"{number} shown, there are more" if more else f"All {number} shown",
            "sorted": list(ordered),
            "rows": rows[:most],
        }

    return wanted


async def test_every_customer_context(suite: Suite, filled: Filled) -> None:
    truth = filled.truth(datetime.now(UTC))
    async with pages_of(filled, suite) as pages:
        for number, account in enumerate(filled.ids("account")):
            path = f"accounts/{account}"
            said = partial(account_said, account=account, zone=filled.zone)
            every = filled.real_looking or account == "acme"
            periods = PERIODS if every else [PERIODS[number % len(PERIODS)]]
            page = await same_customer(pages, filled, path, periods, said)
            await same_stream(page, filled, 40, truth.of(account=account))
            await page.close()


async def test_people_chosen_by_chance(suite: Suite, filled: Filled) -> None:
    truth = filled.truth(datetime.now(UTC))
    async with pages_of(filled, suite) as pages:
        for number, subject in enumerate(some_people(truth)):
            path = f"{'users' if subject.startswith('u:') else 'visitors'}/{subject[2:]}"
            said = partial(person_said, subject=subject, zone=filled.zone)
            periods = [PERIODS[number % len(PERIODS)]] if number else PERIODS
            page = await same_customer(pages, filled, path, periods, said)
            await same_stream(page, filled, 40, truth.of(subject=subject))
            await page.close()


async def same_customer(
    pages: Pages, filled: Filled, path: str, periods: Sequence[int], said: Callable[..., Facts]
) -> Page:
    """The page, of which every period shows what `said` says of a truth and days."""
    page = await pages.context.new_page()
    answers = Answers(page)
    kind, _, id_ = path.partition("/")
    await page.goto(pages.address(f"/{kind}/{quote(id_, safe='')}"))
    for days in periods:
        await page.get_by_role("button", name=f"{days} days").click()

        @lru_cache(maxsize=2)
        def told(now: datetime, days: int = days) -> Facts:
            return said(filled.truth(now), days=days)

        async def wanted(days: int = days, told: Callable[[datetime], Facts] = told) -> Facts | None:
            now = await answers.as_of(f"/v1/{path}", days)
            return None if now is None else told(now)

        await agree(page, customer_facts, wanted)
    return page


def some_people(truth: Truth) -> list[str]:
    """The busiest user, ten by chance, half of them active of late, and three visitors if there are any."""
    choose = random.Random(5)
    events = [event for event in truth.events if event.user is not None]
    [(busiest, _)] = Counter(event.subject for event in events).most_common(1)
    late = truth.now - timedelta(days=120)
    of_late = sorted({event.subject for event in events if event.at > late} - {busiest})
    users = sorted({event.subject for event in events} - {busiest})
    visitors = sorted({event.subject for event in truth.events if event.subject.startswith("a:")})
    chosen = [*choose.sample(of_late, min(5, len(of_late))), *choose.sample(users, 5), *visitors[:3]]
    return list(dict.fromkeys([busiest, *chosen]))
