"""PostHog's SDKs, unmodified: only the host is ours."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from eventmodel import Event, EventId
from sdk_stand import SdkPage, SdkStand

_SCRIPT = """<button>Save</button>
<script type="module">import posthog from "/sdk/posthog-js/dist/module.js"; window.posthog = posthog;</script>"""
_INIT = "async ([host, key, options]) => posthog.init(key, {api_host: host, ...options})"


def _check_server(events: list[Event], sdk: str) -> None:
    assert {event.sender and event.sender.sdk for event in events} == {sdk}
    assert all(event.sent_at for event in events)
    found = {event.action: event for event in events}
    assert len(found) == len(events), "an event came twice"
    known = found["identified"]
    assert (known.user, known.traits) == ("ada", {"email": "ada@acme.example", "plan": "pro"})
    track = found["Opened Report"]
    assert (track.user, track.account, track.properties) == ("ada", "acme", {"rows": 12})
    assert track.occurred_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    page = found["viewed page"]
    assert (page.kind, page.properties) == ("page", {"url": "https://app.example/p", "path": "/p"})
    group = found["joined account"]
    assert (group.user, group.anonymous_id, group.account, group.traits) == (
        None,
        None,
        "acme",
        {"seats": 25},
    )
    alias = found["merged identity"]
    assert (alias.kind, alias.user, alias.previous_id) == ("alias", "ada", "visitor-0")


@pytest.mark.parametrize("fault", [None, "unavailable", "limited", "unconfirmed"])
@pytest.mark.parametrize(("mode", "gzip"), [("v0", False), ("v0", True), ("v1", True)])
async def test_posthog_python_arrives_call_by_call_and_each_once(
    sdks: SdkStand, mode: str, gzip: bool, fault: str | None
) -> None:
    if fault is not None:
        getattr(sdks, fault)(1)
    ids = {"set": str(uuid4()), "track": str(uuid4())}
    await sdks.python("posthog_calls.py", gzip=gzip, mode=mode, ids=ids, historical=False)
    events = {event.id: event for event in await sdks.events(6)}
    assert {event.origin for event in events.values()} == {"live"}
    assert len(events) == 6
    assert ids["set"] in events
    assert ids["track"] in events
    _check_server(list(events.values()), "posthog-python/7.91.1")
    visitor = next(event for event in events.values() if event.action == "Looked Around")
    assert visitor.user is None
    assert visitor.anonymous_id


@pytest.mark.parametrize("mode", ["v0", "v1"])
async def test_a_migration_of_posthog_python_is_history_where_it_is_old(sdks: SdkStand, mode: str) -> None:
    ids = {"set": str(uuid4()), "track": str(uuid4())}
    await sdks.python("posthog_calls.py", gzip=False, mode=mode, ids=ids, historical=True)
    events = {event.id: event for event in await sdks.events(6)}
    old = events.pop(EventId(ids["track"]))
    assert (old.origin, old.run) == ("import", f"posthog-import-{old.received_at:%Y-%m-%d}")
    assert {event.origin for event in events.values()} == {"live"}


@pytest.mark.parametrize("fault", [None, "unavailable"])
async def test_posthog_node_arrives_call_by_call_and_each_once(sdks: SdkStand, fault: str | None) -> None:
    if fault is not None:
        getattr(sdks, fault)(1)
    await sdks.node("posthog_calls.cjs")
    events = await sdks.events(5)
    assert len({event.id for event in events}) == len(events) == 5
    _check_server(events, "posthog-node/5.70.0")


async def _init(sdks: SdkStand, site: SdkPage, mount: str = "", **options: Any) -> None:
    await site.page.wait_for_function("window.posthog")
    await site.page.evaluate(_INIT, [sdks.url + mount, sdks.key, options])


@pytest.mark.parametrize("mount", ["", "/compat/posthog"])
async def test_every_call_of_the_browser_sdk_arrives_once(sdks: SdkStand, mount: str) -> None:
    async with sdks.page(_SCRIPT) as site:
        await _init(sdks, site, mount)
        visitor = await site.page.evaluate("() => posthog.get_distinct_id()")
        await site.page.evaluate(
            """() => {
                posthog.capture("Looked Around", {rows: 12});
                posthog.identify("ada", {email: "ada@acme.example"}, {first_plan: "pro"});
                posthog.group("company", "acme", {seats: 25});
                posthog.capture("Opened Report", {$set: {plan: "pro"}});
                posthog.alias("ada@acme.example");
            }"""
        )
        await site.page.click("button")
        events = await sdks.events(8)
    assert (site.strangers, site.errors) == ([], [])
    assert len({event.id for event in events}) == len(events) == 8
    assert {event.sender and event.sender.sdk for event in events} == {"posthog-js/1.449.2"}
    for event in events:
        assert event.context["page"]["path"] == "/reports"
        assert event.context["device"] == {"id": visitor}
    by_kind = {event.kind: event for event in events}
    page, known, group, alias = (by_kind[kind] for kind in ("page", "identify", "group", "alias"))
    assert (page.user, page.anonymous_id, page.properties["path"]) == (None, visitor, "/reports")
    looked, opened, clicked = (event for event in events if event.kind == "track")
    assert (looked.user, looked.anonymous_id, looked.properties) == (None, visitor, {"rows": 12})
    assert known.user == "ada"
    first = next(event for event in events if event.kind == "identify")
    assert (first.user, first.anonymous_id) == ("ada", visitor)
    assert first.traits == {"email": "ada@acme.example", "first_plan": "pro"}
    assert (group.user, group.account, group.traits) == ("ada", "acme", {"seats": 25})
    assert (opened.action, opened.user, opened.account) == ("Opened Report", "ada", "acme")
    assert (known.id, known.traits) == (f"{opened.id}:set", {"plan": "pro"})
    assert (alias.user, alias.previous_id) == ("ada@acme.example", "ada")
    assert (clicked.action, clicked.context["posthog"]["$el_text"]) == ("$autocapture", "Save")


@pytest.mark.parametrize("compressed", [True, False])
async def test_what_the_log_did_not_take_the_browser_sdk_sends_again_once(
    sdks: SdkStand, compressed: bool
) -> None:
    async with sdks.page(_SCRIPT) as site:
        sdks.unavailable(1)
        await _init(sdks, site, capture_pageview=False, autocapture=False, disable_compression=not compressed)
        await site.page.evaluate("() => { for (const n of [1, 2, 3]) posthog.capture(`Step ${n}`); }")
        events = await sdks.events(3)
    assert sorted(event.action for event in events) == ["Step 1", "Step 2", "Step 3"]
    assert len({event.id for event in events}) == 3
    assert sdks.log.refused == 1


async def test_leaving_the_page_sends_what_waits(sdks: SdkStand) -> None:
    async with sdks.page(_SCRIPT) as site:
        await _init(sdks, site, capture_pageview=False, capture_pageleave=True, autocapture=False)
        await site.page.evaluate("() => { posthog.capture('Left'); location.href = 'about:blank'; }")
        events = await sdks.events(1)
    assert "Left" in {event.action for event in events}
