"""Mixpanel's SDKs, unmodified: only the host is ours, and the token is a write key."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from eventmodel import Event
from sdk_stand import ARRIVE_S, SdkStand

_NEW, _OLD = "mixpanel-browser", "mixpanel-browser-2.38"


def _page(sdks: SdkStand, package: str, script: str, **options: object) -> str:
    given = json.dumps({"api_host": sdks.url, **options})
    return (
        f'<script src="/sdk/{package}/dist/mixpanel.umd.js"></script>'
        f'<script>mixpanel.init("{sdks.key}", {given});\n{script}</script>'
    )


def _by_action(events: list[Event]) -> dict[str, Event]:
    found = {event.action: event for event in events}
    assert len(found) == len(events), [event.action for event in events]
    return found


def _check_servers(events: list[Event], sdk: str) -> None:
    """What both server SDKs' programs do."""
    by_action = _by_action([event for event in events if event.kind == "track"])
    track = by_action["Opened Report"]
    assert (track.user, track.anonymous_id, track.account, track.id) == ("ada", None, "acme", "i1")
    assert track.properties == {"rows": 12, "company": "acme"}
    assert track.occurred_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert track.sender is not None
    assert track.sender.sdk == sdk
    name, _, version = sdk.partition("/")
    assert track.context["library"] == {"name": name, "version": version}
    visitor = by_action["Looked Around"]
    assert (visitor.user, visitor.anonymous_id) == (None, "visitor-1")
    imported = by_action["Signed Up"]
    assert (imported.user, imported.properties) == ("ada", {"plan": "pro"})
    assert imported.occurred_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert (imported.origin, imported.run) == ("import", f"mixpanel-import-{imported.received_at:%Y-%m-%d}")
    assert imported.sender == track.sender
    brought = {event.action for event in events if event.origin == "import"}
    assert brought == {"Signed Up", "Was Invited"} & by_action.keys()
    charge = by_action["charged"]
    assert (charge.user, charge.properties) == ("ada", {"amount": 29.99, "sku": "s1"})
    assert charge.occurred_at == datetime(2026, 1, 3, tzinfo=UTC)
    profiles = [event for event in events if event.kind == "identify"]
    assert {event.user for event in profiles} == {"ada"}
    assert {"email": "ada@acme.example", "plan": "pro"} in [event.traits for event in profiles]
    assert {"$add": {"reports": 1}} in [event.context.get("mixpanel") for event in profiles]
    (group,) = (event for event in events if event.kind == "group")
    assert (group.account, group.traits) == ("acme", {"name": "Acme", "seats": 25})
    (alias,) = (event for event in events if event.kind == "alias")
    assert alias.user == "ada"


@pytest.mark.parametrize("buffered", [False, True])
async def test_mixpanel_python_arrives_call_by_call(sdks: SdkStand, buffered: bool) -> None:
    told = await sdks.python("mixpanel_calls.py", buffered=buffered)
    assert told.startswith("Mixpanel error: This is not a key of Footfall's.")
    events = await sdks.events(8)
    assert len(events) == 8
    _check_servers(events, "mixpanel-python/5.4.1")
    assert "ada@acme.example" in {event.previous_id for event in events}


@pytest.mark.parametrize("verbose", [False, True])
async def test_mixpanel_node_arrives_call_by_call(sdks: SdkStand, verbose: bool) -> None:
    told = json.loads(await sdks.node("mixpanel_calls.cjs", verbose=verbose))
    lost = told.pop("lost")
    assert lost == (
        "Mixpanel Server Error: This is not a key of Footfall's." if verbose else "Mixpanel Server Error: 0"
    )
    assert set(told.values()) == {"ok"}, told
    events = await sdks.events(11)
    assert len(events) == 11
    _check_servers(events, "mixpanel-node/0.24.0")
    assert "visitor-0" in {event.previous_id for event in events}
    by_action = _by_action([event for event in events if event.kind == "track"])
    assert by_action["Listed Reports"].properties == {"mark": "??>"}
    assert by_action["Closed Report"].occurred_at == datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC)
    assert by_action["Was Invited"].user == "ada"


_CALLS = """
mixpanel.track("Looked Around", {mark: "??>"});
mixpanel.identify("ada");
mixpanel.set_group("company", "acme");
mixpanel.track("Opened Report", {rows: 12});
mixpanel.people.set({$email: "ada@acme.example", plan: "pro"});
mixpanel.people.track_charge(29.99);
mixpanel.get_group("company", "acme").set("seats", 25);
"""


@pytest.mark.parametrize(
    ("package", "options"),
    [
        (_NEW, {}),
        (_NEW, {"api_payload_format": "json"}),
        (_NEW, {"api_transport": "sendBeacon"}),
        (_NEW, {"batch_requests": False, "api_method": "GET"}),
        (_OLD, {}),
        (_OLD, {"batch_requests": True}),
    ],
)
async def test_mixpanel_browser_arrives_call_by_call(
    sdks: SdkStand, package: str, options: dict[str, object]
) -> None:
    async with sdks.page(_page(sdks, package, _CALLS, **options)) as site:
        device = await site.page.evaluate("mixpanel.get_property('$device_id')")
        # Beside the calls' own: set_group says in the person's profile which groups they are in, and the new
        # SDK where the person came from; it has given up charges.
        events = await sdks.events(7)
        assert site.errors == []
    assert len(events) == 7, [(event.kind, event.action) for event in events]
    assert not [stranger for stranger in site.strangers if "mixpanel" in stranger or "mxpnl" in stranger]
    by_kind = {
        kind: [event for event in events if event.kind == kind] for kind in ("track", "identify", "group")
    }
    by_action = _by_action(by_kind["track"])
    visitor, track = by_action["Looked Around"], by_action["Opened Report"]
    assert (visitor.user, visitor.anonymous_id, visitor.account) == (None, device, None)
    assert visitor.properties == {"mark": "??>"}
    assert visitor.context["page"]["url"] == f"{site.origin}/reports?ref=mail"
    assert visitor.context["browser"]["name"]
    assert (track.user, track.anonymous_id, track.account) == ("ada", device, "acme")
    assert track.properties == {"rows": 12, "company": ["acme"]}
    if package == _OLD:
        charge = by_action["charged"]
        assert (charge.user, charge.properties["amount"]) == ("ada", 29.99)
    for event in (visitor, track):
        assert event.sender is not None
        assert event.sender.sdk == f"mixpanel-web/{'2.83.0' if package == _NEW else '2.38.0'}"
        assert event.sent_at is not None
    (identified,) = (event for event in by_kind["identify"] if "library" in event.context)
    assert (identified.user, identified.anonymous_id) == ("ada", device)
    traits = [event.traits for event in by_kind["identify"]]
    assert any(given.get("email") == "ada@acme.example" and given["plan"] == "pro" for given in traits)
    (group,) = by_kind["group"]
    assert (group.account, group.traits) == ("acme", {"seats": 25})


@pytest.mark.parametrize("fault", ["unavailable", "unconfirmed", "limited"])
async def test_mixpanel_browser_sends_again_what_was_not_taken_and_it_counts_once(
    sdks: SdkStand, fault: str
) -> None:
    getattr(sdks, fault)(times=2)
    calls = 'for (let n = 0; n < 5; n++) mixpanel.track("Clicked", {n});'
    options = {"batch_flush_interval_ms": 200}
    async with sdks.page(_page(sdks, _NEW, calls, **options)) as site:
        async with asyncio.timeout(ARRIVE_S):
            while 200 not in [answer.status for answer in sdks.answered if answer.method == "POST"]:
                await asyncio.sleep(0.05)
    events = await sdks.events(5)
    assert {event.properties["n"] for event in events} == {0, 1, 2, 3, 4}
    assert len({(event.anonymous_id, event.id) for event in events}) == 5
    assert (len(events) > 5) == (fault == "unconfirmed")
    refused = [answer for answer in sdks.answered if answer.status in (429, 503)]
    assert len(refused) == 2
    for answer in refused:
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["access-control-allow-origin"] == site.origin


async def test_mixpanel_browsers_other_calls_are_answered(sdks: SdkStand) -> None:
    script = 'mixpanel.track("Looked Around");'
    options = {"flags": True, "remote_settings_mode": "strict", "batch_requests": False}
    async with sdks.page(_page(sdks, _NEW, script, **options)) as site:
        await sdks.events(1)
        ready = await site.page.evaluate("mixpanel.flags.get_variant_value('checkout', 'default')")
        assert ready == "default"
        assert site.errors == []
    asked = {(answer.method, answer.path): answer.status for answer in sdks.answered}
    assert asked[("GET", "/flags/")] == 200
    assert asked[("GET", "/settings/")] == 200


async def test_the_old_mixpanel_browser_asks_for_decisions_and_its_callbacks_hear_of_success(
    sdks: SdkStand,
) -> None:
    script = """
    window.heard = [];
    mixpanel.identify("ada");
    mixpanel.track("Opened Report", {}, (answer) => heard.push(answer));
    """
    async with sdks.page(_page(sdks, _OLD, script, batch_requests=False)) as site:
        await sdks.events(1)
        await site.page.wait_for_function("heard.length")
        assert await site.page.evaluate("heard") == [1]
