"""Counting what became of what was sent: bounded, written down by itself and once more at the end."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from access.usage import LastError
from admission import BodyRefused
from eventmodel import ProjectId, Sender
from fake_clock import FakeClock
from ingest_api import accounting
from ingest_api.accounting import MAX_SDKS, Accounting, outcome_of
from ingest_stand import PROJECT, UsageInMemory
from lifecycle.errors import Problem
from telemetry.metrics import Metrics

AT = datetime(2026, 11, 22, 9, 59, 59, tzinfo=UTC)
KEY = Sender(key="kaaaaaaaaaaa", sdk="web/1")


class Stand:
    """The accounting and what it wrote."""

    def __init__(self) -> None:
        self.usage = UsageInMemory()
        self.clock = FakeClock(AT)
        self.metrics = Metrics("ingest-api")
        self.accounting = Accounting(self.usage, self.clock, self.metrics)

    def accepted(self, *senders: Sender | None, at: datetime = AT, project: ProjectId = PROJECT) -> None:
        self.accounting.count("accepted", project, senders, at)

    async def written(self) -> dict[tuple[str, str], int]:
        """Accepted events by key and SDK, of all projects and hours."""
        await self.accounting.flush()
        found: Counter[tuple[str, str]] = Counter()
        for row in self.usage.rows.values():
            found[row.key, row.sdk] += row.accepted
        return dict(found)


@pytest.fixture
def stand() -> Stand:
    return Stand()


async def test_a_request_may_hold_events_of_several_sdks_or_of_none(stand: Stand) -> None:
    job = Sender(key="kaaaaaaaaaaa", sdk="job/2")
    stand.accepted(KEY, job, KEY, None)
    stand.accepted(None)
    assert await stand.written() == {("kaaaaaaaaaaa", "web/1"): 2, ("kaaaaaaaaaaa", "job/2"): 1, ("", ""): 2}


async def test_a_row_goes_by_the_hour_of_receipt(stand: Stand) -> None:
    stand.accepted(KEY)
    stand.accepted(KEY, at=AT + timedelta(seconds=1))
    stand.accepted(KEY, at=AT)
    await stand.accounting.flush()
    assert {row.at.hour: row.accepted for row in stand.usage.rows.values()} == {9: 2, 10: 1}


async def test_what_comes_after_an_hour_was_written_is_added_to_it(stand: Stand) -> None:
    stand.accepted(KEY)
    await stand.accounting.flush()
    stand.clock.advance(5)
    stand.accepted(KEY)
    assert await stand.written() == {("kaaaaaaaaaaa", "web/1"): 2}
    stand.clock.advance(2 * 3600)
    stand.accepted(KEY, at=stand.clock.now())
    assert await stand.written() == {("kaaaaaaaaaaa", "web/1"): 3}


async def test_invented_sdks_and_sources_share_rows_and_none_is_uncounted(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(MAX_SDKS + 5):
        stand.accepted(Sender(key="kaaaaaaaaaaa", sdk=f"sdk/{n}"))
    found = await stand.written()
    assert (len(found), found["kaaaaaaaaaaa", "other"]) == (MAX_SDKS + 1, 5)
    monkeypatch.setattr(accounting, "MAX_SOURCES", MAX_SDKS + 3)
    for n in range(20):
        stand.accepted(Sender(key=f"k{n:011}", sdk="sdk"))
    found = await stand.written()
    assert (len(found), found["", ""]) == (MAX_SDKS + 4, 18)
    assert sum(found.values()) == MAX_SDKS + 25


async def test_while_the_database_is_away_nothing_is_lost_and_each_is_written_once(stand: Stand) -> None:
    stand.usage.away = True
    for _ in range(3):
        stand.accepted(KEY)
        assert await stand.written() == {}
    stand.usage.away = False
    assert await stand.written() == {("kaaaaaaaaaaa", "web/1"): 3}


async def test_it_writes_by_itself_and_once_more_when_it_is_stopped(stand: Stand) -> None:
    running = asyncio.ensure_future(stand.accounting.run())
    stand.accepted(KEY)
    async with asyncio.timeout(10):
        while not stand.usage.rows:
            await asyncio.sleep(0.01)
    stand.accepted(KEY)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [row.accepted for row in stand.usage.rows.values()] == [2]


async def test_each_source_keeps_its_own_last_error(stand: Stand) -> None:
    job = Sender(key="kaaaaaaaaaaa", sdk="job/2")
    stand.accounting.refuse(
        PROJECT, [KEY, job, KEY], AT, Problem(503, "log_unavailable", "Away.", hint="Wait.")
    )
    stand.accounting.refuse(PROJECT, [job], AT, Problem(429, "too_many_events", "Too many."))
    await stand.accounting.flush()
    rows = {row.sdk: row for row in stand.usage.rows.values()}
    assert {sdk: row.error for sdk, row in rows.items()} == {
        "web/1": LastError("log_unavailable", "Away.", "Wait.", AT),
        "job/2": LastError("too_many_events", "Too many.", None, AT),
    }
    assert [(row.unavailable, row.limited) for row in (rows["web/1"], rows["job/2"])] == [(2, 0), (1, 1)]


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (BodyRefused("malformed", "invalid_json", "No JSON."), "rejected"),
        (Problem(413, "event_too_large", "Too large."), "rejected"),
        (Problem(429, "too_many_events", "Too many."), "limited"),
        (Problem(503, "busy", "Busy."), "unavailable"),
    ],
)
def test_what_a_refused_request_counts_as(refusal: Problem | BodyRefused, outcome: str) -> None:
    assert outcome_of(refusal) == outcome
