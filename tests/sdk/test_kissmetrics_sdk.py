"""KISSmetrics' Python library, unmodified: only the host is ours, and the key is a write key."""

from datetime import UTC, datetime

from sdk_stand import SdkStand


async def test_py_kissmetrics_arrives_call_by_call(sdks: SdkStand) -> None:
    told = await sdks.python("kissmetrics_calls.py")
    assert told.strip() == "[200, 200, 200, 200, 200] {'image/gif'}"
    events = await sdks.events(4)
    assert len(events) == 4
    dated, plain = events[0], events[1]
    assert (dated.user, dated.action) == ("bob", "Signed Up")
    assert dated.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert dated.properties == {"Plan Name": "Pro +", "name": "Jürgen & Co"}
    assert (plain.user, plain.action, plain.properties) == ("bob", "Opened Report", {})
    (identify,) = (event for event in events if event.kind == "identify")
    assert (identify.user, identify.traits) == ("bob", {"Plan Name": "Pro +"})
    (alias,) = (event for event in events if event.kind == "alias")
    assert (alias.user, alias.previous_id) == ("bob", "bob@acme.example")
    assert all(event.sender and event.sender.key for event in events)


async def test_py_kissmetrics_sends_again_what_was_not_confirmed_and_it_counts_once(sdks: SdkStand) -> None:
    sdks.unconfirmed()
    told = await sdks.python("kissmetrics_calls.py")
    assert told.startswith("[200, 200, 200, 200, 200]")
    assert [answer.status for answer in sdks.answered][:2] == [503, 200]
    assert sdks.answered[0].headers["retry-after"] == "1"
    events = await sdks.events(5)
    assert len(events) == 5
    assert len({(event.user, event.id) for event in events}) == 4
