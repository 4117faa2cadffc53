"""@segment/analytics-next 1.84.3 in Chromium, on a page of another origin: only `cdnURL` is ours."""

import pytest

from sdk_stand import SdkPage, SdkStand

_SCRIPT = '<script src="/sdk/@segment/analytics-next/dist/umd/index.js"></script>'
_LOAD = """async ({cdnURL, writeKey, options}) => {
    const [analytics] = await AnalyticsNext.AnalyticsBrowser.load({cdnURL, writeKey}, options);
    window.analytics = analytics;
}"""
_CALLS = """async () => {
    await analytics.track("Looked Around", {rows: 12}, {context: {groupId: "acme"}});
    await analytics.page("Docs", "Pricing", {plan: "pro"});
    await analytics.alias("ada");
    await analytics.identify("ada", {email: "ada@acme.example"});
    await analytics.screen("Home", {dark: true});
    await analytics.group("acme", {seats: 25});
    await analytics.track("Opened Report");
}"""
_BATCHING = {
    "integrations": {"Segment.io": {"deliveryStrategy": {"strategy": "batching", "config": {"size": 3}}}}
}


async def _load(
    sdks: SdkStand, site: SdkPage, options: dict[str, object] | None = None, mount: str = ""
) -> None:
    given = {"cdnURL": sdks.url + mount, "writeKey": sdks.key, "options": options or {}}
    await site.page.evaluate(_LOAD, given)


@pytest.mark.parametrize("mount", ["", "/compat/segment"])
@pytest.mark.parametrize("options", [{}, _BATCHING], ids=["single", "batching"])
async def test_every_call_of_the_browser_sdk_arrives_once(
    sdks: SdkStand, options: dict[str, object], mount: str
) -> None:
    async with sdks.page(_SCRIPT) as site:
        await _load(sdks, site, options, mount)
        await site.page.evaluate(_CALLS)
        visitor = await site.page.evaluate("() => analytics.user().anonymousId()")
        if options:
            await site.page.goto("about:blank")
        events = await sdks.events(7)
    assert (site.strangers, site.errors) == ([], [])
    found = {event.action: event for event in events}
    assert len({event.id for event in events}) == len(events) == len(found) == 7
    for event in events:
        assert event.id.startswith("ajs-next-")
        assert event.anonymous_id == visitor
        assert event.sender is not None
        assert event.sender.sdk == "analytics.js/next-1.84.3"
        assert event.context["page"]["path"] == "/reports"
        assert not {"extra", "integrations", "_metadata"} & set(event.context)
    looked = found["Looked Around"]
    assert (looked.kind, looked.user, looked.account, looked.properties) == (
        "track",
        None,
        "acme",
        {"rows": 12},
    )
    pricing = found["Pricing"]
    assert pricing.kind == "page"
    assert {**pricing.properties, "name": "Pricing", "category": "Docs", "plan": "pro"} == pricing.properties
    assert pricing.properties["search"] == "?ref=mail"
    assert (found["identified"].user, found["identified"].traits) == ("ada", {"email": "ada@acme.example"})
    assert (found["Home"].kind, found["Home"].properties["dark"]) == ("screen", True)
    joined = found["joined account"]
    assert (joined.user, joined.account, joined.traits) == ("ada", "acme", {"seats": 25})
    # The browser SDK names the account only in the group call.
    assert (found["Opened Report"].user, found["Opened Report"].account) == ("ada", None)
    alias = next(event for event in events if event.kind == "alias")
    assert (alias.user, alias.previous_id) == ("ada", visitor)


@pytest.mark.parametrize("options", [{}, _BATCHING], ids=["single", "batching"])
@pytest.mark.parametrize("fault", ["unavailable", "limited"])
async def test_what_the_log_did_not_take_is_sent_again_and_is_there_once(
    sdks: SdkStand, options: dict[str, object], fault: str
) -> None:
    async with sdks.page(_SCRIPT) as site:
        await _load(sdks, site, options)
        getattr(sdks, fault)(2)
        await site.page.evaluate("""async () => {
            for (const n of [1, 2, 3]) void analytics.track(`Step ${n}`);
        }""")
        events = await sdks.events(3)
    assert sorted(event.action for event in events) == ["Step 1", "Step 2", "Step 3"]
    assert len({event.id for event in events}) == 3
    assert sdks.log.refused == 2
    refused = [answer for answer in sdks.answered if answer.status in (429, 503)]
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert all("Retry-After" in answer.headers["access-control-expose-headers"] for answer in refused)
