"""Sources: every number as sent and refused, the imports with their bad lines, and a project that has nothing yet."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from open_pages import Pages, Suite, open_pages, running_suite
from waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

EXPECT_MS = 20_000
LIBRARIES = {"shop-web/1.4.0": 7, "shop-mobile/2.0.1": 12, "other_one/1": 1}
NOTHING = dict.fromkeys(
    ("received", "stored", "duplicate", "quarantined", "rejected", "limited", "unavailable", "pending"), 0
)
REFUSED = {"shop-mobile/2.0.1": 2, "shop-legacy/0.9": 4}
_GROUPS = """
    bodies => {
    const beneath = (row, kind) => {
        for (let next = row.nextElementSibling; next && !next.matches(":has(.at)"); next = next.nextElementSibling)
            if (next.matches(kind)) return next.textContent.replace(/\\s+/g, " ").trim();
        return null;
    };
    return bodies.map(body => ({
        key: body.querySelector("th").innerText.replace(/\\s+/g, " ").trim(),
        senders: [...body.querySelectorAll("tr:has(.at)")].map(row => ({
            library: row.querySelector(".first").textContent.trim(),
            hour: row.querySelector("svg").getAttribute("aria-label"),
            numbers: [...row.querySelectorAll("[data-unit]")].map(cell => cell.textContent),
            account: beneath(row, ".account"),
            refusal: beneath(row, ".refusal"),
        })),
    }));
    }
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    expect.set_options(timeout=EXPECT_MS)
    with running_suite(tmp_path_factory.mktemp("sources") / "data") as suite:
        yield suite
    expect.set_options(timeout=5_000)


async def _send(pages: Pages, key: str, sdk: str, good: int, bad: int = 0) -> None:
    """So many events and so many that have no action, as this library sends them."""
    async with httpx.AsyncClient(
        base_url=pages.suite.url, headers={"authorization": f"Bearer {key}"}, trust_env=False
    ) as client:
        name, _, version = sdk.rpartition("/")
        said = {"user": "ada", "context": {"library": {"name": name, "version": version}}}
        events = [{**said, "action": "opened report"}] * good + [{**said, "event": "opened report"}] * bad
        answer = await client.post("/v1/events", json=events)
        assert answer.json()["accepted"] == good, answer.text


async def _groups(page: Page) -> dict[str, list[dict[str, Any]]]:
    found = await page.locator(".sources tbody").evaluate_all(_GROUPS)
    return {group["key"]: group["senders"] for group in found}


async def _shows(page: Page, key: str, wanted: dict[str, list[str]]) -> None:
    """Return once the page shows these events, refusals and equations of the key's libraries."""
    seen: dict[str, list[str]] = {}

    async def equal() -> bool:
        nonlocal seen
        groups = await _groups(page)
        seen = {row["library"]: [*row["numbers"][1:], row["account"]] for row in groups.get(key, ())}
        return seen == wanted

    try:
        await eventually(equal)
    except AssertionError:
        assert seen == wanted
        raise


def _equation(stored: int, rejected: int) -> str:
    parts = [f"{stored} stored"] * (stored > 0) + [f"{rejected} rejected"] * (rejected > 0)
    return f"{stored + rejected} received = " + " + ".join(parts)


async def test_every_number_is_what_was_sent_and_refused(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        made = await pages.call(
            "POST", f"/v1/projects/{pages.project}/keys", json={"kind": "write", "label": "shop"}
        )
        labelled = made.json()["key"]
        for sdk in LIBRARIES.keys() | REFUSED.keys():
            await _send(pages, pages.write_key, sdk, LIBRARIES.get(sdk, 0), REFUSED.get(sdk, 0))
        await _send(pages, labelled, "shop-web/1.4.0", 5)
        sent, refused = Counter(LIBRARIES), Counter(REFUSED)
        page = await pages.open("/sources")
        write_key = f"Write key …{pages.write_key[-4:]}"

        await _shows(
            page,
            write_key,
            {
                sdk: [str(sent[sdk]), str(refused[sdk]), _equation(sent[sdk], refused[sdk])]
                for sdk in sent.keys() | refused.keys()
            },
        )
        groups = await _groups(page)
        assert list(groups)[1] == f"shop Write key …{labelled[-4:]}"
        assert [row["numbers"][1:] for row in list(groups.values())[1]] == [["5", "0"]]
        assert re.fullmatch(
            rf"Secret key …{pages.secret_key[-4:]} made .*, nothing sent with it yet", list(groups)[2]
        )
        for row in groups[write_key]:
            number = sent[row["library"]]
            assert row["hour"] == f"{number} event{'' if number == 1 else 's'} in the last hour, by minute"
            assert (row["refusal"] is None) == (row["library"] not in refused)
            if row["refusal"]:
                told = re.fullmatch(r"Refused .*?: (.*)", row["refusal"])
                assert told
                assert told[1] == 'The event has no `action`. You sent "event": call it "action". Correct it'
        values = await page.locator(".arrival .value").all_text_contents()
        assert values[1:] == [str(sent.total() + 5), str(refused.total())]

        await _send(pages, labelled, "shop-web/1.4.0", 1)
        await expect(page.locator(".arrival .value").nth(1)).to_have_text(str(sent.total() + 6))
        revoked = (await pages.call("GET", f"/v1/projects/{pages.project}/keys")).json()["items"]
        [revoked_id] = [key["id"] for key in revoked if key["label"] == "shop"]
        await pages.call("DELETE", f"/v1/projects/{pages.project}/keys/{revoked_id}")
        await page.reload()
        await expect(page.get_by_role("rowheader", name=re.compile("^shop .* revoked$"))).to_be_visible()

        sentence = {"code": "unavailable", "message": "The database does not answer.", "hint": "Wait."}
        pages.expect("503")
        await page.route("**/v1/sources?*", lambda route: route.fulfill(status=503, json=sentence))
        await expect(page.get_by_role("alert")).to_contain_text("The database does not answer. Wait.")
        await expect(page.get_by_text("What is shown is from")).to_be_visible()
        assert write_key in await _groups(page)
        await page.unroute("**/v1/sources?*")
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_the_rate_is_of_the_last_whole_minutes(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        minutes = [0] * 54 + [5, 10, 0, 30, 20, 7]
        now = datetime.now(UTC)
        unknown: dict[str, Any] = dict.fromkeys(
            ("key", "label", "kind", "last_four", "sdk", "last_rejection", "last_error")
        )
        seen = {"first_seen": (now - timedelta(days=3)).isoformat(), "last_seen": now.isoformat()}
        item = {
            **unknown,
            **seen,
            "events": 1_072,
            "rejected": 0,
            "per_minute": minutes,
            "accounting": NOTHING,
        }
        told = {"items": [item], "accounting": NOTHING, "as_of": now.isoformat()}
        page = await pages.context.new_page()
        await page.route("**/v1/sources?*", lambda route: route.fulfill(json=told))
        await page.goto(pages.address("/sources"))
        await expect(page.locator(".arrival .value")).to_have_text(["13", "72", "0"])
        assert await _groups(page) == {
            "No key known": [
                {
                    "library": "does not say",
                    "hour": "72 events in the last hour, by minute",
                    "numbers": ["13", "1,072", "0"],
                    "account": None,
                    "refusal": None,
                }
            ],
            **{key: [] for key in list(await _groups(page))[1:]},
        }


async def test_imports_tell_their_numbers_and_their_bad_lines(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        lines = [json.dumps({"user": "ada", "action": "opened report"}) for _ in range(30)]
        lines[4:4] = ["this is no JSON", *["{}" for _ in range(11)]]
        answer = await pages.call(
            "POST",
            "/v1/imports",
            params={"source": "ndjson", "name": "a <b>file.ndjson"},
            content="\n".join(lines).encode(),
        )
        run = answer.json()["run"]
        page = await pages.open("/sources")
        row = page.get_by_role("table", name="Imports").locator("tbody tr").first
        await expect(row.locator(".state")).to_have_text("done")
        cells = [text.strip() for text in await row.locator("td").all_inner_texts()]
        assert cells[:5] == ["a <b>file.ndjson ndjson", "done", "42", "30", "0"]
        button = row.get_by_role("button", name="12 refused: the lines")
        await button.click()
        shown = page.locator(".bad-lines li")
        await expect(shown).to_have_count(10)
        await expect(shown.first).to_contain_text("line 5")
        await expect(shown.first).to_contain_text("this is no JSON")
        kept = (await pages.call("GET", f"/v1/imports/{run}/rejected")).json()["items"]
        await page.get_by_role("button", name="More").click()
        await expect(shown).to_have_count(len(kept))
        await expect(shown.last).to_contain_text(kept[-1]["message"])
        await button.click()
        await expect(shown).to_have_count(0)


async def test_a_new_project_is_told_what_to_send_and_then_shows_it(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        page = await pages.open("/sources")
        await expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()
        await expect(page.get_by_role("tabpanel")).to_contain_text(pages.write_key)
        await expect(page.get_by_text("No file yet.")).to_be_visible()
        await pages.send([{"user": "ada", "action": "opened report"}])
        await expect(page.locator(".arrival .value").nth(1)).to_have_text("1")
        await expect(page.get_by_role("heading", name="Send your first event")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_has_no_fault_of_accessibility_and_fits(
    suite: Suite, scheme: Literal["light", "dark"]
) -> None:
    async with open_pages(suite, color_scheme=scheme) as pages:
        empty = await pages.open("/sources")
        await expect(empty.get_by_role("tabpanel")).to_contain_text(pages.write_key)
        await _clean(empty)
        await _send(pages, pages.write_key, "shop-web/1.4.0", 3, bad=2)
        await pages.call(
            "POST",
            "/v1/imports",
            params={"source": "ndjson", "name": "x" * 150},
            content=b'{"user":"a","action":"b"}\n{}',
        )
        page = await pages.open("/sources")
        await page.get_by_role("button", name="refused: the lines").click()
        await expect(page.locator(".bad-lines li")).to_have_count(1)
        await expect(
            page.get_by_role("region", name="Arriving now").get_by_text("Live", exact=True)
        ).to_be_visible()
        await _send(pages, pages.write_key, "shop-web/1.4.0", 2, bad=1)
        rows = page.locator(".tail .one")
        await expect(rows).to_have_count(3)
        await rows.filter(has_text="missing_action").get_by_role("button").click()
        await expect(page.get_by_label("JSON")).to_be_visible()
        await _clean(page)


async def test_the_equation_tells_what_is_on_the_way_and_what_could_not_be_taken(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _send(pages, pages.write_key, "shop-web/1.4.0", 3)
        await eventually(lambda: _stored(pages, 3))
        told = (await pages.call("GET", "/v1/sources")).json()
        numbers = {
            "received": 1_241,
            "stored": 1_200,
            "duplicate": 12,
            "quarantined": 3,
            "rejected": 9,
            "limited": 5,
            "pending": 12,
            "unavailable": 40,
        }
        error = {
            "code": "too_many_events",
            "message": "The project sends too much.",
            "hint": "Wait.",
            "rejected": None,
        }
        told["accounting"] = told["items"][0]["accounting"] = numbers
        told["items"][0]["last_error"] = {**error, "at": told["as_of"]}
        page = await pages.context.new_page()
        await page.route("**/v1/sources?*", lambda route: route.fulfill(json=told))
        await page.goto(pages.address("/sources"))
        whole = page.locator(".arrival .equation")
        wanted = (
            "1,241 received = 1,200 stored + 12 duplicate + 3 set aside + 9 rejected + 5 limited + 12 on the way"
            " and 40 could not be taken, to be sent again"
        )
        await expect(whole).to_have_text(re.compile(r"\s*".join(map(re.escape, wanted.split()))))
        await expect(whole.locator(".warn")).to_have_text("12 on the way")
        refusal = page.locator(".refusal")
        await expect(refusal).to_contain_text("The project sends too much. Wait.")
        await expect(refusal.get_by_role("link")).to_have_count(0)
        assert (await Axe().run(page)).violations_count == 0


async def _stored(pages: Pages, number: int) -> bool:
    answer = (await pages.call("GET", "/v1/sources")).json()
    return bool(answer["accounting"]["stored"] == number)


async def test_the_tail_shows_accepted_and_refused_together_from_all_or_one_source(suite: Suite) -> None:
    async with open_pages(suite) as pages:
        await _send(pages, pages.write_key, "shop-web/1.4.0", 1)
        await _send(pages, pages.write_key, "shop-job/2", 1)
        await eventually(lambda: _stored(pages, 2))
        page = await pages.open("/sources")
        tail = page.get_by_role("region", name="Arriving now")
        await expect(tail.get_by_text("Live", exact=True)).to_be_visible()
        await expect(tail.get_by_text("What is sent from now on appears here")).to_be_visible()
        rows = tail.locator("tr.one")
        await _send(pages, pages.write_key, "shop-web/1.4.0", 2, bad=1)
        await expect(rows).to_have_count(3)
        assert sorted(await rows.locator(".outcome").all_inner_texts()) == ["refused", "stored", "stored"]
        refused = rows.filter(has_text="missing_action")
        await expect(refused.locator(".says")).to_contain_text("The event has no `action`.")
        await expect(refused.locator(".with")).to_have_text("shop-web/1.4.0")

        await refused.get_by_role("button").click()
        shown = json.loads(await tail.get_by_label("JSON").inner_text())
        assert (shown["code"], shown["place"]["path"]) == ("missing_action", "/v1/events")

        await tail.get_by_role("button", name="Pause").click()
        await _send(pages, pages.write_key, "shop-job/2", 2)
        resume = tail.get_by_role("button", name="Resume, 2 new")
        await expect(resume).to_be_visible()
        await expect(rows).to_have_count(3)
        await resume.click()
        await expect(rows).to_have_count(5)

        choice = await tail.locator("option", has_text="shop-job/2").get_attribute("value")
        await tail.get_by_label("Source").select_option(choice)
        await expect(tail.get_by_text("Live", exact=True)).to_be_visible()
        await expect(rows).to_have_count(0)
        await _send(pages, pages.write_key, "shop-web/1.4.0", 1)
        await _send(pages, pages.write_key, "shop-job/2", 1, bad=1)
        await expect(rows).to_have_count(2)
        assert set(await rows.locator(".with").all_inner_texts()) == {"shop-job/2"}
        await _clean(page)


async def _clean(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    for width in (1024, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{over} px too wide at {width}"
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
