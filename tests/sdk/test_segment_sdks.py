"""Segment's server SDKs, unmodified: only the host is ours."""

from datetime import UTC, datetime

import pytest

from eventmodel import Event
from sdk_stand import SdkStand

_CALLS = ("identify", "track", "page", "screen", "group", "alias", "track")


def _by_action(events: list[Event]) -> dict[str, Event]:
    found = {event.action: event for event in events}
    assert len(found) == len(events), "an event came twice"
    return found


def _check(events: list[Event], sdk: str) -> None:
    by_action = _by_action(events)
    assert sorted(event.kind for event in events) == sorted(_CALLS)
    for event in events:
        assert event.sender is not None
        assert (event.sender.sdk, event.sent_at is not None) == (sdk, True)
    track = by_action["Opened Report"]
    assert (track.kind, track.user, track.account, track.properties) == ("track", "ada", "acme", {"rows": 12})
    assert track.occurred_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    identify = by_action["identified"]
    assert (identify.user, identify.traits) == ("ada", {"email": "ada@acme.example", "plan": "pro"})
    page, screen = by_action["Pricing"], by_action["Home"]
    assert (page.kind, page.user, page.anonymous_id) == ("page", "ada", "visitor-1")
    assert page.properties == {"category": "Docs", "name": "Pricing", "path": "/pricing"}
    assert (screen.kind, screen.properties) == ("screen", {"name": "Home", "dark": True})
    group = by_action["joined account"]
    assert (group.user, group.account, group.traits) == ("ada", "acme", {"seats": 25})
    alias = next(event for event in events if event.kind == "alias")
    assert (alias.user, alias.previous_id) == ("ada", "visitor-0")
    visitor = by_action["Looked Around"]
    assert (visitor.user, visitor.anonymous_id, visitor.account) == (None, "visitor-1", None)


@pytest.mark.parametrize("gzip", [False, True])
async def test_segment_python_arrives_call_by_call(sdks: SdkStand, gzip: bool) -> None:
    await sdks.python("segment_calls.py", gzip=gzip)
    events = await sdks.events(len(_CALLS))
    _check(events, "analytics-python/2.4.0")
    assert {event.id for event in events} == {
        "m-identify",
        "m-track",
        "m-page",
        "m-screen",
        "m-group",
        "m-alias",
        "m-visitor",
    }


@pytest.mark.parametrize("flush_at", [1, 15])
async def test_segment_node_arrives_call_by_call(sdks: SdkStand, flush_at: int) -> None:
    await sdks.node("segment_calls.cjs", flushAt=flush_at)
    events = await sdks.events(len(_CALLS))
    _check(events, "@segment/analytics-node/3.1.0")


@pytest.mark.parametrize("fault", ["unavailable", "limited", "unconfirmed"])
@pytest.mark.parametrize("language", ["python", "node"])
async def test_what_was_refused_for_a_while_is_sent_again_with_the_same_ids(
    sdks: SdkStand, language: str, fault: str
) -> None:
    getattr(sdks, fault)(2)
    if language == "python":
        await sdks.python("segment_calls.py", gzip=False)
    else:
        await sdks.node("segment_calls.cjs", flushAt=15)
    assert sdks.log.refused == 2
    times = 3 if fault == "unconfirmed" else 1
    events = await sdks.events(len(_CALLS) * times)
    assert len(events) == len(_CALLS) * times
    assert len({(event.user, event.anonymous_id, event.id) for event in events}) == len(_CALLS)
