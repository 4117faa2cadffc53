"""What a vendor's import call brings: old events go to the backfill, fresh ones are live."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from eventlog.errors import LogBusy, LogUnavailable
from eventlog.memory import MemoryLog
from eventmodel import Event, topics, wire
from ingest_api.spool.segments import Segments
from ingest_api.spool.spool import Spool
from ingest_stand import IngestStand, open_stand
from telemetry.metrics import Metrics

OLD: Final = timedelta(days=5, minutes=1)
FRESH: Final = timedelta(days=4, hours=23)


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(stand) as client:
        yield client


def _client(stand: IngestStand) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://ingest")


def _ago(age: timedelta) -> datetime:
    return datetime.now(UTC) - age


def _mixpanel(stand: IngestStand, name: str, age: timedelta, **properties: Any) -> dict[str, Any]:
    told = {"token": stand.write_key, "distinct_id": "ada", "$insert_id": name, "time": _ago(age).timestamp()}
    return {"event": "Paid", "properties": {**told, **properties}}


def _posthog(name: str, age: timedelta, **properties: Any) -> dict[str, Any]:
    told = {"event": "Paid", "distinct_id": "ada", "uuid": name, "timestamp": _ago(age).isoformat()}
    return {**told, "properties": properties}


async def _in(stand: IngestStand, topic: str) -> Mapping[str, Event]:
    events = [wire.decode(record.value) for record in await stand.records(topic)]
    return {event.id: event for event in events}


async def test_old_events_of_an_import_are_history_and_fresh_ones_live(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    sent = [
        _mixpanel(stand, "old", OLD),
        _mixpanel(stand, "fresh", FRESH),
        _mixpanel(stand, "older", OLD * 70),
    ]
    answer = await client.post("/import", json=sent, headers={"user-agent": "mixpanel-python/5"})
    assert answer.json() == {"code": 200, "num_records_imported": 3, "status": "OK"}
    assert answer.headers["footfall-durability"] == "log"
    live, past = await _in(stand, topics.EVENTS), await _in(stand, topics.BACKFILL)
    assert (list(live), list(past)) == (["fresh"], ["old", "older"])
    assert (live["fresh"].origin, live["fresh"].run) == ("live", None)
    for event in past.values():
        assert (event.origin, event.run) == ("import", f"mixpanel-import-{event.received_at:%Y-%m-%d}")
        assert event.sender == live["fresh"].sender is not None
    assert stand.count("footfall_ingest_events_total", outcome="accepted") == 3


async def test_the_same_old_event_is_live_when_no_import_brings_it(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    await client.post("/track", json=_mixpanel(stand, "tracked", OLD))
    for flag in ({}, {"historical_migration": False}, {"historical_migration": "true"}):
        name = f"sent-{len(flag)}-{flag.get('historical_migration')}"
        body = {"api_key": stand.write_key, **flag, "batch": [_posthog(name, OLD)]}
        assert (await client.post("/batch/", json=body)).status_code == 200
    assert len(await _in(stand, topics.EVENTS)) == 4
    assert not await _in(stand, topics.BACKFILL)


@pytest.mark.parametrize("path", ["/batch/", "/i/v1/analytics/events", "/compat/posthog/batch"])
async def test_a_historical_migration_is_history(
    stand: IngestStand, client: httpx.AsyncClient, path: str
) -> None:
    batch = [_posthog("old", OLD, **{"$set": {"plan": "pro"}}), _posthog("fresh", FRESH)]
    body = {"historical_migration": True, "batch": batch}
    answer = await client.post(path, json=body, headers=stand.authorization)
    ok = {uuid: {"result": "ok"} for uuid in ("old", "fresh")}
    assert answer.json() == ({"results": ok} if "v1" in path else {"status": "Ok"})
    past = await _in(stand, topics.BACKFILL)
    assert list(past) == ["old", "old:set"]
    assert {event.run for event in past.values()} == {f"posthog-import-{past['old'].received_at:%Y-%m-%d}"}
    assert list(await _in(stand, topics.EVENTS)) == ["fresh"]


async def test_a_wrong_clock_is_corrected_before_the_age_is_known(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    batch = [_posthog("fast", OLD - timedelta(days=1)), _posthog("slow", OLD + timedelta(hours=1))]
    for message, ahead in zip(batch, (timedelta(days=2), timedelta(days=-2)), strict=True):
        body = {"api_key": stand.write_key, "historical_migration": True, "batch": [message]}
        assert (
            await client.post("/batch/", json=body | {"sent_at": _ago(-ahead).isoformat()})
        ).status_code == 200
    assert list(await _in(stand, topics.BACKFILL)) == ["fast"]
    assert list(await _in(stand, topics.EVENTS)) == ["slow"]


async def test_refused_and_quarantined_items_of_an_import_are_kept_as_ever() -> None:
    stand = await open_stand(plan={"mode": "quarantine", "actions": {"Paid": {}}})
    async with _client(stand) as client:
        sent = [
            _mixpanel(stand, "good", OLD),
            {**_mixpanel(stand, "unknown", OLD), "event": "Clicked"},
            _mixpanel(stand, "bad", OLD, distinct_id="null"),
        ]
        answer = await client.post("/import", json=sent)
    assert (answer.status_code, answer.json()["num_records_imported"]) == (400, 2)
    assert [failed["insert_id"] for failed in answer.json()["failed_records"]] == ["bad"]
    assert list(await _in(stand, topics.BACKFILL)) == ["good"]
    kept = {record.place["index"]: record.quarantined for record in await stand.rejected()}
    assert kept == {1: True, 2: False}


@pytest.mark.parametrize("mode", ["observe", "warn"])
async def test_history_that_departs_from_the_plan_and_is_stored_is_history_still(mode: str) -> None:
    stand = await open_stand(plan={"mode": mode, "actions": {"Clicked": {}}})
    async with _client(stand) as client:
        sent = [_mixpanel(stand, "old", OLD), _mixpanel(stand, "fresh", FRESH)]
        assert (await client.post("/import", json=sent)).json()["num_records_imported"] == 2
    assert list(await _in(stand, topics.BACKFILL)) == ["old"]
    assert list(await _in(stand, topics.EVENTS)) == ["fresh"]


async def test_an_import_never_uses_up_the_share_of_live_events() -> None:
    stand = await open_stand(project_events_per_s=1)
    async with _client(stand) as client:
        sent = [_mixpanel(stand, f"i{n}", OLD) for n in range(60)]
        assert (await client.post("/import", json=sent)).status_code == 200
        again = await client.post("/import", json=sent)
        assert (again.status_code, again.json()["status"]) == (429, "Too Many Requests")
        assert int(again.headers["retry-after"]) > 0
        assert again.headers["ratelimit-remaining"] == "0"
        assert (await client.post("/track", json=_mixpanel(stand, "live", FRESH))).status_code == 200
    assert list(await _in(stand, topics.EVENTS)) == ["live"]
    assert stand.count("footfall_ingest_events_total", outcome="limited") == 1


class _Away:
    """A log that takes the past alone, or nothing."""

    def __init__(self, *topics_away: str) -> None:
        self.log = MemoryLog(partitions=4)
        self.away = topics_away
        self.error: LogUnavailable = LogUnavailable("The log is away.")

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        if topic in self.away:
            raise self.error
        await self.log.append(topic, messages)


async def test_history_is_never_spooled_and_live_events_are(tmp_path: Path) -> None:
    away, metrics = _Away(topics.EVENTS, topics.BACKFILL), Metrics("ingest-api")
    with closing(Segments(tmp_path, 1024 * 1024)) as segments:
        spool = Spool(away, segments, metrics)
        stand = await open_stand(away.log, writer=away, spool=spool, metrics=metrics, ack_timeout_s=8)
        running = asyncio.create_task(spool.run())
        try:
            await _import_without_the_log(stand, spool, away)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert list(await _in(stand, topics.BACKFILL)) == ["old"]


async def _import_without_the_log(stand: IngestStand, spool: Spool, away: _Away) -> None:
    async with _client(stand) as client:
        both = [_mixpanel(stand, "old", OLD), _mixpanel(stand, "fresh", FRESH)]
        refused = await client.post("/import", content=json.dumps(both))
        assert (refused.status_code, refused.json()["status"]) == (503, "Service Unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert not spool.holds
        away.away = (topics.EVENTS,)
        taken = await client.post("/import", content=json.dumps(both))
        assert (taken.status_code, taken.headers["footfall-durability"]) == (200, "spool")
        assert spool.holds


async def test_an_import_whose_past_alone_was_stored_says_so() -> None:
    away = _Away(topics.EVENTS)
    away.error = LogBusy("Too much is waiting.")
    stand = await open_stand(away.log, writer=away)
    async with _client(stand) as client:
        old = [_mixpanel(stand, f"old-{number}", OLD) for number in range(2)]
        refused = await client.post("/import", content=json.dumps([*old, _mixpanel(stand, "fresh", FRESH)]))
        assert refused.status_code == 503
        assert "2 of the request's events are stored already" in refused.text
        assert "Nothing" not in refused.text
        refused = await client.post("/import", content=json.dumps([_mixpanel(stand, "fresh", FRESH)]))
        assert "Nothing of this request was stored." in refused.text
    assert len(await _in(stand, topics.BACKFILL)) == 2
    assert stand.count("footfall_ingest_events_total", outcome="accepted") == 2
    assert stand.count("footfall_ingest_events_total", outcome="unavailable") == 2
