"""The CloudEvents SDK for Python, unmodified."""

from datetime import UTC, datetime

from sdk_stand import SdkStand


async def test_cloudevents_python_arrives_in_both_of_its_modes(sdks: SdkStand) -> None:
    await sdks.python("cloudevents_calls.py")
    events = await sdks.events(2)
    assert sorted(event.id for event in events) == ["/crm b1", "/crm s1"]
    for event in events:
        assert (event.kind, event.action, event.user) == ("track", "deal.won", "Jürgen 100%")
        assert event.occurred_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
        assert event.properties == {"value": 12, "name": "Ünal"}
