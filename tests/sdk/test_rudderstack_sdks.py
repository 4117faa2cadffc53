"""RudderStack's SDKs, unmodified: only the host is ours."""

from datetime import UTC, datetime

import pytest

from sdk_stand import SdkPage, SdkStand

_SCRIPT = '<script src="/sdk/@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js"></script>'
_LOAD = """([host, key]) => {
    window.analytics = new rudderanalytics.RudderAnalytics();
    analytics.load(key, host, {configUrl: host});
}"""


@pytest.mark.parametrize("gzip", [True, False])
@pytest.mark.parametrize("fault", [None, "unavailable", "limited"])
async def test_rudderstack_python_arrives_call_by_call_and_each_once(
    sdks: SdkStand, gzip: bool, fault: str | None
) -> None:
    if fault is not None:
        getattr(sdks, fault)(1)
    await sdks.python("rudderstack_calls.py", gzip=gzip)
    events = {str(event.id): event for event in await sdks.events(7)}
    assert len(await sdks.stand.events()) == 7
    assert {event.sender and event.sender.sdk for event in events.values()} == {"analytics-python/2.1.9"}
    assert all(event.sent_at for event in events.values())
    identify, track, page = events["m-identify"], events["m-track"], events["m-page"]
    assert (identify.user, identify.traits) == ("ada", {"email": "ada@acme.example", "plan": "pro"})
    assert (track.action, track.account, track.properties) == ("Opened Report", "acme", {"rows": 12})
    assert track.occurred_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert (page.kind, page.action, page.anonymous_id) == ("page", "Pricing", "visitor-1")
    assert (events["m-screen"].kind, events["m-screen"].action) == ("screen", "Home")
    assert (events["m-group"].account, events["m-group"].traits) == ("acme", {"seats": 25})
    assert (events["m-alias"].user, events["m-alias"].previous_id) == ("ada", "visitor-0")
    assert (events["m-visitor"].user, events["m-visitor"].anonymous_id) == (None, "visitor-1")


async def _load(sdks: SdkStand, site: SdkPage, mount: str = "") -> None:
    await site.page.evaluate(_LOAD, [sdks.url + mount, sdks.key])


@pytest.mark.parametrize("mount", ["", "/compat/rudderstack"])
async def test_every_call_of_the_browser_sdk_arrives_once(sdks: SdkStand, mount: str) -> None:
    async with sdks.page(_SCRIPT) as site:
        await _load(sdks, site, mount)
        visitor = await site.page.evaluate(
            """() => new Promise((done) => analytics.ready(() => {
                analytics.track("Looked Around", {rows: 12});
                analytics.page("Docs", "Pricing", {plan: "pro"});
                analytics.identify("ada", {email: "ada@acme.example"});
                analytics.group("acme", {seats: 25});
                analytics.track("Opened Report");
                analytics.alias("ada@acme.example", "ada");
                done(analytics.getAnonymousId());
            }))"""
        )
        events = await sdks.events(6)
    assert (site.strangers, site.errors) == ([], [])
    found = {event.action: event for event in events}
    assert len({event.id for event in events}) == len(events) == len(found) == 6
    for event in events:
        assert event.anonymous_id == visitor
        assert event.sender is not None
        assert event.sender.sdk == "RudderLabs-JavaScript-SDK/3.34.1"
        assert event.context["page"]["path"] == "/reports"
        assert event.sent_at is not None
    assert (found["Looked Around"].user, found["Looked Around"].properties) == (None, {"rows": 12})
    assert (found["Pricing"].kind, found["Pricing"].properties["plan"]) == ("page", "pro")
    assert (found["identified"].user, found["identified"].traits) == ("ada", {"email": "ada@acme.example"})
    joined = found["joined account"]
    assert (joined.user, joined.account, joined.traits) == ("ada", "acme", {"seats": 25})
    # The SDK repeats the person's traits on every event: they are said once, by identify.
    assert (found["Opened Report"].user, found["Opened Report"].traits) == ("ada", {})
    assert (found["merged identity"].user, found["merged identity"].previous_id) == (
        "ada@acme.example",
        "ada",
    )


@pytest.mark.parametrize("fault", ["unavailable", "limited"])
async def test_what_the_log_did_not_take_the_browser_sdk_sends_again_once(sdks: SdkStand, fault: str) -> None:
    async with sdks.page(_SCRIPT) as site:
        await _load(sdks, site)
        getattr(sdks, fault)(2)
        await site.page.evaluate("() => { for (const n of [1, 2, 3]) analytics.track(`Step ${n}`); }")
        events = await sdks.events(3)
    assert sorted(event.action for event in events) == ["Step 1", "Step 2", "Step 3"]
    assert len({event.id for event in events}) == 3
    assert sdks.log.refused == 2
