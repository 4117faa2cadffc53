"""The lists of accounts and users, and the page of each: every number as counted from the events themselves."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect

from customer_events import ODD_IDS, Period, Recount, Subject, customer_events, half_hour_zone
from footfall_process import eventually as wait_until
from open_pages import Pages, Suite, open_pages, running_suite
from page_words import changed, counted

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

BATCH = 1000
EXPECT_MS = 20_000
_ROWS = """
    rows => rows.map(row => ({
        id: row.querySelector(".row-link")?.title ?? null,
        href: row.querySelector(".row-link")?.getAttribute("href") ?? null,
        cells: [...row.cells].map(cell => cell.textContent.replace(/\\s+/g, " ").trim()),
        times: [...row.querySelectorAll("time")].map(time => time.dateTime),
        trend: row.querySelector("svg[role=img]")?.getAttribute("aria-label") ?? null,
    }))
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=EXPECT_MS)
    with running_suite(tmp_path_factory.mktemp("customers") / "data") as suite:
        yield suite


@dataclass(frozen=True)
class Customers:
    """A project with half a year of customers in it, and what is known of them."""

    project: Mapping[str, str]
    now: datetime
    zone: ZoneInfo
    recount: Recount

    def period(self, days: int) -> Period:
        return Period(self.now, self.zone, days)


@pytest.fixture(scope="module")
def customers(suite: Suite) -> Customers:
    """Once for all tests: none of them sends to this project."""
    now = datetime.now(UTC)
    zone = ZoneInfo(half_hour_zone(now))
    events = customer_events(zone, now)
    recount = Recount(events, zone)
    with suite.admin() as admin:
        project = admin.post("/v1/projects", json={"name": "customers"}).raise_for_status().json()
        admin.patch(f"/v1/projects/{project['project']}", json={"time_zone": zone.key}).raise_for_status()
    with suite.client(project["secret_key"]) as client:
        for start in range(0, len(events), BATCH):
            answer = client.post("/v1/events", json=events[start : start + BATCH]).raise_for_status()
            assert answer.json()["rejected"] == []
        wanted = sum(seen.counts for seen in recount.all)

        def counted_all() -> bool:
            items = client.get("/v1/accounts", params={"limit": 1000}).json()["items"]
            return sum(int(item["activities"]) for item in items) == wanted

        wait_until(counted_all)
    return Customers(project, now, zone, recount)


@asynccontextmanager
async def pages_of(customers: Customers, suite: Suite, **options: Any) -> AsyncIterator[Pages]:
    """Pages of that project, for somebody who may see all projects."""
    async with open_pages(suite, every_project=True, **options) as pages:
        pages.project = customers.project["project"]
        yield pages


async def rows_of(table: Locator) -> list[Mapping[str, Any]]:
    await expect(table.locator("tbody tr").first).to_be_visible()
    await expect(table.locator(".waiting")).to_have_count(0)
    rows: list[Mapping[str, Any]] = await table.locator("tbody tr").evaluate_all(_ROWS)
    return rows


async def every_row(page: Page, label: str) -> list[Mapping[str, Any]]:
    """All rows of a list, after showing more as often as there is more."""
    table = page.get_by_role("table", name=label)
    more = page.get_by_role("button", name="Show 50 more")
    rows = await rows_of(table)
    while await more.is_visible():
        shown = len(rows)
        await more.click()
        await expect(table.locator("tbody tr").nth(shown)).to_be_visible()
        rows = await rows_of(table)
    return rows


def number(text: str) -> int:
    return int(text.replace(",", ""))


def moments(texts: Sequence[str]) -> list[datetime]:
    return [datetime.fromisoformat(text) for text in texts]


def named(subject: Subject, kind: str, name: str) -> str:
    called = subject.name(kind)
    return name if called is None else f"{called} {name}"


def worded(day: date, *, weekday: bool) -> str:
    """A day as the pages write it."""
    short = f"{day.day} {day:%b}".replace("Sep", "Sept")
    return f"{day:%a} {short}" if weekday else short


async def test_lists_tell_of_every_account_and_user_what_the_events_tell(
    suite: Suite, customers: Customers
) -> None:
    async with pages_of(customers, suite) as pages:
        page = await pages.open("/accounts", sort="account")
        await expect(page.get_by_role("status").first).to_have_text("50 accounts shown")
        rows = await every_row(page, "Accounts")
        days = customers.period(14)
        accounts = customers.recount.accounts()
        for row, (account, subject) in zip(rows, sorted(accounts.items(), key=_by_bytes), strict=True):
            activities = len(subject.within(days.holds).events)
            today = subject.by_day()[days.last]
            assert row["cells"] == [
                named(subject, "group", account),
                row["trend"],
                f"{subject.activities:,}",
                f"{len(subject.people()):,}",
                *row["cells"][4:],
            ]
            assert (
                row["trend"] == f"{counted(activities, 'activity', 'activities')} in 14 days, {today:,} today"
            )
            assert moments(row["times"]) == [subject.first, subject.last]
        await expect(page.get_by_role("status").first).to_have_text(f"{len(accounts)} accounts")

        await page.goto(pages.address("/users", sort="user"))
        rows = await every_row(page, "Users")
        users = customers.recount.users()
        for row, (user, subject) in zip(rows, sorted(users.items(), key=_by_bytes), strict=True):
            expected = [
                named(subject, "identify", user),
                subject.events[-1].account,
                f"{subject.activities:,}",
            ]
            assert row["cells"][:3] == expected
            assert moments(row["times"]) == [subject.first, subject.last]


def _by_bytes(item: tuple[str, Any]) -> bytes:
    return item[0].encode()


async def test_lists_are_sorted_by_their_heads_and_keep_it_in_the_address(
    suite: Suite, customers: Customers
) -> None:
    async with pages_of(customers, suite) as pages:
        page = await pages.open("/accounts")
        table = page.get_by_role("table", name="Accounts")
        accounts = customers.recount.accounts()
        assert await _order(page, "Last seen") == "descending"
        keys: dict[str, Callable[[tuple[str, Subject]], Any]] = {
            "Last seen": lambda item: item[1].last,
            "Activities": lambda item: item[1].activities,
            "Users": lambda item: len(item[1].people()),
            "First seen": lambda item: item[1].first,
        }
        for label, key in keys.items():
            names = sorted(accounts.items(), key=_by_bytes)
            for order in ("descending", "ascending"):
                if label != "Last seen" or order == "ascending":
                    await table.get_by_role("button", name=label).click()
                assert await _order(page, label) == order
                await expect(page.locator(".customers")).to_have_attribute("aria-busy", "false")
                expected = sorted(names, key=key, reverse=order == "descending")
                values = [key(item) for item in expected[:50]]
                if order == "descending":
                    expected = sorted(names, key=_by_bytes)
                    expected.sort(key=key, reverse=True)
                shown = [_account_of(row) for row in await rows_of(table)]
                assert [key((name, accounts[name])) for name in shown] == values
                if len(set(values)) == len(values):
                    assert shown == [name for name, _ in expected[:50]]
        assert parse_qs(urlsplit(page.url).query)["order"] == ["asc"]
        await page.reload()
        assert await _order(page, "First seen") == "ascending"
        assert [_account_of(row) for row in await rows_of(table)] == shown


def _account_of(row: Mapping[str, Any]) -> str:
    """The account a row's link leads to."""
    return unquote(urlsplit(row["href"]).path.removeprefix("/accounts/"))


async def _order(page: Page, label: str) -> str | None:
    head = page.get_by_role("columnheader", name=label)
    await expect(head).to_have_attribute("aria-sort", re.compile("."))
    return await head.get_attribute("aria-sort")


async def test_search_finds_ids_and_names_of_any_letters(suite: Suite, customers: Customers) -> None:
    async with pages_of(customers, suite) as pages:
        page = await pages.open("/accounts")
        field = page.get_by_role("searchbox")
        table = page.get_by_role("table", name="Accounts")
        await expect(table.locator(".row-link").first).to_be_visible()
        for odd in (*ODD_IDS, "QUICK", "%", "_"):
            await page.keyboard.press("/") if odd == ODD_IDS[0] else await field.focus()
            await field.fill(odd)
            accounts = customers.recount.accounts().items()
            expected = {
                name
                for name, subject in accounts
                if odd.lower() in name.lower() or odd.lower() in (subject.name("group") or "").lower()
            }
            status = counted(len(expected), "account", "accounts")
            await expect(page.get_by_role("status").first).to_have_text(f"{status} with “{odd}”")
            assert {_account_of(row) for row in await rows_of(table)} == expected
            assert parse_qs(urlsplit(page.url).query)["q"] == [odd]
        await page.reload()
        await expect(field).to_have_value("_")
        await field.fill("nobody has this")
        await expect(page.get_by_text("No account has “nobody has this” in its name or id.")).to_be_visible()
        await page.get_by_role("button", name="Show all accounts").click()
        await expect(page.get_by_role("status").first).to_have_text("50 accounts shown")
        assert "q" not in parse_qs(urlsplit(page.url).query)


async def test_a_context_tells_what_the_events_tell_in_every_period(
    suite: Suite, customers: Customers
) -> None:
    async with pages_of(customers, suite) as pages:
        page = await pages.open("/accounts/account-00")
        subject = customers.recount.account("account-00")
        await expect(page.get_by_role("heading", level=1)).to_have_text(subject.name("group") or "")
        for days in (30, 7, 90):
            await page.get_by_role("button", name=f"{days} days").click()
            await _same_period(page, subject, customers.period(days), people=True)
        assert parse_qs(urlsplit(page.url).query)["days"] == ["90"]
        await page.reload()
        await _same_period(page, subject, customers.period(90), people=True)
        await _same_people(page, subject)
        facts = await _facts(page)
        plan = next(seen.traits for seen in subject.events if seen.kind == "group")
        assert facts["Plan"] == plan["plan"]
        assert facts["Seats"] == str(plan["seats"])
        assert facts["In all"] == f"{subject.activities:,} activities"
        started, used = await page.locator(".facts time").evaluate_all("all => all.map(one => one.dateTime)")
        assert moments([started, used]) == [subject.first, subject.last]

        [user] = [name for name in subject.people() if name == "user-00-0"]
        subject = customers.recount.user(user)
        await page.goto(pages.address(f"/users/{user}", days="90"))
        await expect(page.get_by_role("heading", level=1)).to_have_text(subject.name("identify") or "")
        await _same_period(page, subject, customers.period(90), people=False)
        assert (await _facts(page))["Beta"] == "yes"
        assert (await _facts(page))["Account"] == "account-00"

        visitor = next(seen.visitor for seen in customers.recount.all if seen.user is None) or ""
        subject = customers.recount.visitor(visitor)
        await page.goto(pages.address(f"/visitors/{quote(visitor, safe='')}", days="90"))
        await expect(page.locator(".customer-head")).to_have_text(f"{visitor}anonymous visitor")
        await _same_period(page, subject, customers.period(90), people=False)


async def _facts(page: Page) -> dict[str, str]:
    facts: dict[str, str] = await page.locator(".facts > div").evaluate_all(
        "all => Object.fromEntries(all.map(one => [one.children[0].textContent, one.children[1].textContent]))"
    )
    return facts


async def _same_period(page: Page, subject: Subject, period: Period, *, people: bool) -> None:
    """All that the page says of a period is so."""
    within, before = subject.within(period.holds), subject.within(period.held_before)
    said = (
        f"{worded(period.first, weekday=False)} – {worded(period.last, weekday=False)} against the"
        f" {period.days} days before, up to the same time of day."
    )
    await expect(page.locator(".period p")).to_contain_text(said)
    await expect(page.locator(".numbers")).to_have_attribute("aria-busy", "false")
    figure = page.locator(".figure").filter(has=page.get_by_role("heading", name="Activities"))
    await expect(figure.locator(".value")).to_have_text(f"{len(within.events):,}")
    await expect(figure.locator(".change")).to_have_text(changed(len(within.events), len(before.events)))
    if people:
        figure = page.locator(".figure").filter(has=page.get_by_role("heading", name="People"))
        await expect(figure.locator(".value")).to_have_text(f"{len(within.people()):,}")
        await expect(figure.locator(".note")).to_have_text(f"of {len(subject.people()):,} ever")
    by_day = within.by_day()
    figure = page.locator(".figure").filter(has=page.get_by_role("heading", name="Days in use"))
    await expect(figure.locator(".value")).to_have_text(f"{len(by_day):,}")
    await expect(figure.locator(".note")).to_have_text(f"of {period.days}")
    rows = page.locator(".timeline tbody tr")
    await expect(rows).to_have_count(len(by_day))
    shown = await rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    assert shown == [[worded(day, weekday=True), f"{count:,}"] for day, count in sorted(by_day.items())]

    everything = page.locator(".breakdown").get_by_role("button", name="Show all")
    if await everything.is_visible():
        await everything.click()
    counts, earlier = dict(within.actions()), dict(before.actions())
    actions = sorted(counts.keys() | earlier.keys(), key=lambda name: (-counts.get(name, 0), name.encode()))
    breakdown = await rows_of(page.get_by_role("region", name="Activities by action").locator("table"))
    assert {row["cells"][0]: row["cells"][1:] for row in breakdown} == {
        action: [
            f"{counts.get(action, 0):,}",
            changed(counts.get(action, 0), earlier.get(action, 0)),
        ]
        for action in actions
    }
    assert [number(row["cells"][1]) for row in breakdown] == [counts.get(action, 0) for action in actions]

    cells = await page.locator(".heat tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent.trim()))"
    )
    hours = within.by_hour()
    assert [[number(cell) for cell in row] for row in cells] == [
        [hours[weekday, hour] for hour in range(24)] for weekday in range(1, 8)
    ]


async def _same_people(page: Page, subject: Subject) -> None:
    rows = await rows_of(page.get_by_role("region", name="Users").locator("table"))
    people = subject.people()
    for row, (name, person) in zip(rows, people.items(), strict=True):
        often = "".join(f"{action} {count:,}" for action, count in person.actions()[:3])
        assert row["cells"][:3] == [named(person, "identify", name), often, f"{person.activities:,}"]
        assert moments(row["times"]) == [person.last]


async def test_odd_ids_are_text_and_lead_to_their_own_pages(suite: Suite, customers: Customers) -> None:
    async with pages_of(customers, suite) as pages:
        page = await pages.open("/accounts")
        for odd in ODD_IDS:
            await page.goto(pages.address("/accounts", q=odd))
            links = page.locator(".row-link")
            await expect(links.first).to_be_visible()
            titles = await links.evaluate_all("links => links.map(link => link.title)")
            await links.nth(titles.index(odd)).click()
            await expect(page.get_by_role("heading", level=1)).to_have_text(odd)
            await expect(page).to_have_title(f"{odd} · Footfall")
            people = page.get_by_role("region", name="Users")
            await expect(people.locator(".row-link")).to_have_count(2)
            await people.locator(".row-link").filter(has_not_text="anonymous").click()
            await expect(page.locator(".customer-head")).to_have_text(f"{odd}user")
            await page.locator(".facts").get_by_role("link", name=odd, exact=True).click()
            await people.locator(".row-link").filter(has_text="anonymous").click()
            await expect(page.locator(".customer-head")).to_have_text(f"{odd}anonymous visitor")
            await expect(page.locator(".breakdown tbody tr")).to_have_count(1)
            await expect(page.locator(".breakdown tbody td").first).to_have_text(odd)


async def test_the_readers_zone_moves_time_stamps_and_no_days_or_hours(
    suite: Suite, customers: Customers
) -> None:
    async with pages_of(customers, suite, timezone_id="Pacific/Auckland") as pages:
        subject = customers.recount.account("account-00")
        page = await pages.open("/accounts/account-00")
        await _same_period(page, subject, customers.period(30), people=True)
        used = page.locator(".facts > div").filter(has_text="Last used")
        here = subject.last.astimezone(ZoneInfo("Pacific/Auckland"))
        await expect(used).to_contain_text(here.strftime("%H:%M"))
        await page.get_by_role("button", name="Time stamps in Auckland").click()
        await page.get_by_role("menuitemradio", name="The project's").click()
        await expect(used).to_contain_text(subject.last.astimezone(customers.zone).strftime("%H:%M"))
        await _same_period(page, subject, customers.period(30), people=True)


async def test_the_numbers_follow_the_customers_own_events_and_nobody_elses(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        event = {"user": "ada", "account": "acme", "action": "opened report"}
        await pages.send([event, {**event, "account": "globex"}])
        await pages.shown(2)
        page = await pages.open("/accounts/acme")
        value = page.locator(".figure .value").first
        await expect(value).to_have_text("1")
        await pages.send([{**event, "user": "bob"}, {**event, "account": "globex"}])
        await expect(value).to_have_text("2")
        await expect(page.get_by_role("region", name="Users").locator("tbody tr")).to_have_count(2)


async def test_nobody_yet_unknown_ids_and_failures_are_told_with_a_way_on(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/accounts")
        await expect(page.get_by_text("No account has done anything yet.")).to_be_visible()
        await page.goto(pages.address("/users"))
        await expect(page.get_by_text("No user has done anything yet.")).to_be_visible()
        pages.expect("404", "503")
        await page.goto(pages.address("/accounts/no%2Fbody"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("No account is known by this id")
        await expect(page.get_by_text("no/body", exact=True)).to_be_visible()
        await page.get_by_role("link", name="Search accounts for it").click()
        await expect(page.get_by_text("No account has “no/body” in its name or id.")).to_be_visible()
        sentence = {"code": "unavailable", "message": "The database does not answer.", "hint": "Wait."}
        await page.route("**/v1/users?*", lambda route: route.fulfill(status=503, json=sentence))
        await page.goto(pages.address("/users"))
        await expect(page.get_by_role("alert")).to_contain_text("The database does not answer.")
        await page.unroute("**/v1/users?*")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_hours_of_the_week_are_walked_with_the_arrow_keys(suite: Suite, customers: Customers) -> None:
    async with pages_of(customers, suite) as pages:
        page = await pages.open("/accounts/account-00", days="90")
        grid = page.get_by_role("grid")
        hours = customers.recount.account("account-00").within(customers.period(90).holds).by_hour()
        await grid.locator("td[tabindex='0']").focus()
        await page.keyboard.press("Home")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("ArrowDown")
        said = counted(hours[2, 1], "activity", "activities")
        await expect(page.locator(".heat .told")).to_have_text(f"Tue 01:00–02:00: {said}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_have_no_fault_of_accessibility(
    suite: Suite, customers: Customers, scheme: Literal["light", "dark"]
) -> None:
    async with pages_of(customers, suite, color_scheme=scheme, viewport=(1440, 1000)) as pages:
        for path in ("/accounts", "/accounts/account-00", "/visitors/a%2Fb"):
            page = await pages.open(path)
            await expect(page.locator("tbody tr .number").first).to_be_visible()
            await expect(page.locator("[aria-busy=true]")).to_have_count(0)
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            for width in (1024, 390):
                await page.set_viewport_size({"width": width, "height": 844})
                # A chart is told of its new width a frame after the page.
                await page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
            await page.close()
