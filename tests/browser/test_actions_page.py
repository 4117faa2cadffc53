"""Actions: what rules do shows without a reload, what they held back says why, and the rules stand beside it."""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect

from open_pages import Pages, Suite, open_pages, running_suite

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

EXPECT_MS = 20_000
RULES = """
rule "big order" {
  on order_paid where $event.amount >= 1000
  do dashboard(note: "{{ user }} of {{ account }} paid {{ event.amount }}")
}
rule "<i>any</i> order" { on order_paid do dashboard(note: "{{ user }} paid") }
rule "exports" { on exported do dashboard(note: "{{ account }} exports") mode shadow }
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=EXPECT_MS)
    with running_suite(tmp_path_factory.mktemp("actions") / "data") as suite:
        yield suite
    expect.set_options(timeout=5_000)


def _order(user: str, amount: int) -> dict[str, object]:
    return {"user": user, "account": "acme", "action": "order_paid", "properties": {"amount": amount}}


def _rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Actions taken").locator("tbody tr")


async def _put_rules(pages: Pages) -> None:
    await pages.call("POST", "/v1/rules", json={"text": RULES})


async def test_a_rule_that_acts_shows_without_a_reload(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/actions")
        await expect(page.get_by_text("There is no rule yet.")).to_be_visible()
        await expect(page.locator("pre").first).to_contain_text('rule "upgrade"')
        await expect(page.get_by_role("region", name="Active rules")).to_have_count(0)
        await _put_rules(pages)
        await page.reload()
        await expect(page.get_by_text("No rule did anything yet.")).to_be_visible()
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()

        await pages.send([_order("ada", 1200)])
        await expect(_rows(page)).to_have_count(2)
        big = _rows(page).filter(has_text="big order")
        await expect(big.locator(".says")).to_have_text("ada of acme paid 1200")
        await expect(big.get_by_role("link")).to_have_text(["order_paid", "ada", "acme"])
        await expect(big.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
        await expect(_rows(page).filter(has_text="<i>any</i> order").locator(".says")).to_have_text(
            "ada paid"
        )

        await pages.send([{"user": "bob", "account": "globex", "action": "exported"}])
        held = _rows(page).filter(has_text="exports")
        await expect(held.locator(".says")).to_have_text("only watched globex exports")
        await expect(held.locator(".tag")).to_have_attribute("title", re.compile("mode shadow"))
        await expect(_rows(page)).to_have_count(3)
        await expect(_rows(page).first.locator(".rule button")).to_have_text("exports")

        await page.get_by_role("button", name="Pause").click()
        await pages.send([_order("cleo", 1), {"user": "cleo", "action": "exported"}])
        await expect(page.get_by_role("button", name="Resume, 1 new")).to_be_visible()
        await expect(_rows(page)).to_have_count(3)
        await page.get_by_role("button", name="Resume, 1 new").click()
        await expect(_rows(page)).to_have_count(5)

        await big.get_by_role("link", name="acme").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("acme")
        await page.go_back()
        await expect(_rows(page)).to_have_count(5)


async def test_one_rule_is_chosen_and_the_address_keeps_it(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _put_rules(pages)
        await pages.send([_order("ada", 1), _order("bob", 5000), {"user": "ada", "action": "exported"}])
        page = await pages.open("/actions")
        await expect(_rows(page)).to_have_count(4)
        await _rows(page).get_by_role("button", name="exports").click()
        await expect(_rows(page)).to_have_count(1)
        assert parse_qs(urlsplit(page.url).query)["rule"] == ["exports"]

        rules = page.get_by_role("region", name="Active rules")
        rule = rules.get_by_role("listitem").filter(has_text="<i>any</i> order")
        await expect(rules.get_by_role("listitem")).to_have_count(3)
        await expect(rules.get_by_role("listitem").filter(has_text="exports")).to_contain_text("watches only")
        await rule.locator("summary").click()
        await expect(rule.locator("pre")).to_have_text(
            'rule "<i>any</i> order" { on order_paid do dashboard(note: "{{ user }} paid") }'
        )
        await rule.get_by_role("button", name="Only this rule").click()
        await expect(_rows(page)).to_have_count(2)
        await page.reload()
        await expect(_rows(page)).to_have_count(2)
        await pages.send([_order("cleo", 2000)])
        await expect(_rows(page)).to_have_count(3)
        await expect(_rows(page).first.locator(".says")).to_have_text("cleo paid")
        await page.get_by_role("button", name="Rule <i>any</i> order: show all").click()
        await expect(_rows(page)).to_have_count(6)
        assert "rule" not in parse_qs(urlsplit(page.url).query)
        await page.goto(pages.address("/actions", rule="gone"))
        await expect(page.get_by_text("Rule “gone” did nothing yet.")).to_be_visible()
        await page.get_by_role("button", name="Show what all rules did").click()
        await expect(_rows(page)).to_have_count(6)


async def test_more_than_one_page_of_actions_can_be_read(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _put_rules(pages)
        for start in range(0, 220, 20):
            await pages.send([_order(f"user-{start + n}", 1) for n in range(20)])
        await pages.shown(220)
        page = await pages.open("/actions")
        await expect(_rows(page)).to_have_count(200)
        await page.get_by_role("button", name="Older").click()
        await expect(_rows(page)).to_have_count(220)
        await expect(page.get_by_text("Nothing older.")).to_be_visible()
        said = await _rows(page).locator(".says").all_text_contents()
        assert sorted(said) == sorted(f"user-{n} paid" for n in range(220))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_has_no_fault_of_accessibility_and_fits(
    suite: Suite, scheme: Literal["light", "dark"]
) -> None:
    async with open_pages(suite, color_scheme=scheme, reduced_motion="reduce") as pages:
        page = await pages.open("/actions")
        await expect(page.get_by_text("There is no rule yet.")).to_be_visible()
        await _clean(page)
        await _put_rules(pages)
        await pages.send([_order("a" * 120, 1), {"user": "bob", "account": "b" * 120, "action": "exported"}])
        await page.set_viewport_size({"width": 1440, "height": 900})
        await page.reload()
        await expect(_rows(page)).to_have_count(2)
        await page.locator("summary").first.click()
        await pages.send([_order("live", 1)])
        await expect(_rows(page)).to_have_count(3)
        moving = "document.getAnimations().filter(animation => animation.playState === 'running').length"
        assert await page.evaluate(moving) == 0
        await _clean(page)


async def _clean(page: Page) -> None:
    for width in (1440, 1024, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{over} px too wide at {width}"
        if width != 1024:
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
