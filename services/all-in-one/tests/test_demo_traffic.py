import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fake_clock import FakeClock
from footfall.demo.coverage import Coverage, Span
from footfall.demo.requests import DemoDelayed, DemoDeleted, Requests
from footfall.demo.timeline import Timeline
from footfall.demo.traffic import LIVE, Traffic
from footfall.own_projects import OwnProject
from rule_engine.language import check

_NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_PROJECT = OwnProject("p1", "ffw_1", "ffs_1", _NOW)


class Installation:
    """Takes what the demo sends, as `POST /v1/events`, `/v1/imports` and `/v1/rules` do; `away` answers 503."""

    def __init__(self) -> None:
        self.live: list[dict[str, Any]] = []
        self.imports: list[list[dict[str, Any]]] = []
        self.rules: list[str] = []
        self.away: set[str] = set()
        self.deleted = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        path = request.url.path
        if self.deleted:
            return httpx.Response(401, json={"code": "unauthenticated"})
        if path in self.away:
            return httpx.Response(503, json={"code": "log_unavailable"}, headers={"retry-after": "1"})
        if path == "/v1/events":
            assert request.headers["authorization"] == "Bearer ffw_1"
            self.live += json.loads(body)
        elif request.method == "POST" and path == "/v1/imports":
            assert request.headers["authorization"] == "Bearer ffs_1"
            self.imports.append([json.loads(line) for line in body.splitlines()])
        elif path == "/v1/rules":
            self.rules.append(json.loads(body)["text"])
        return httpx.Response(200, json={})

    def ids(self) -> list[str]:
        """Of everything that was sent and is right."""
        events = [*self.live, *(event for run in self.imports for event in run)]
        return [event["id"] for event in events if "event" not in event]


def _traffic(installation: Installation, coverage: Coverage, clock: FakeClock) -> Traffic:
    client = httpx.AsyncClient(transport=httpx.MockTransport(installation), base_url="http://demo.test")
    return Traffic(Requests(client, _PROJECT), Timeline(_NOW), coverage, clock)


async def _turn_until(traffic: Traffic, holds: Callable[[], bool]) -> None:
    """Let a turn go on until it holds, then interrupt it as a stop does."""
    async with asyncio.timeout(30):
        turn = asyncio.ensure_future(traffic.turn())
        while not holds() and not turn.done():
            await asyncio.sleep(0.01)
        turn.cancel()
        await asyncio.wait({turn})
    if not turn.cancelled():
        turn.result()


async def test_the_last_minutes_come_live_and_the_rest_as_history_newest_first(tmp_path: Path) -> None:
    timeline = Timeline(_NOW)
    had = Span(timeline.begin + _HOUR, _NOW - 60 * _HOUR)
    coverage = Coverage(tmp_path / "progress.json", "p1")
    await coverage.add(had)
    installation = Installation()
    await _turn_until(
        _traffic(installation, coverage, FakeClock(_NOW)), lambda: coverage.missing(_whole()) == []
    )
    wanted = [*timeline.happenings(timeline.begin, had.start), *timeline.happenings(had.end, _NOW)]
    assert sorted(installation.ids()) == sorted(one.id for one in wanted)
    assert min(_time(event) for event in installation.live) >= _NOW - LIVE
    first, second, third, fourth = installation.imports
    assert _time(first[-1]) < timeline.begin + timedelta(minutes=5)
    assert _NOW - 49 * _HOUR < _time(second[0]) < _time(second[-1]) < _NOW - LIVE
    assert _time(third[-1]) < _time(second[0])
    assert _time(fourth[-1]) < _time(third[0])
    [rules] = installation.rules
    assert check(rules) == []
    assert '$event.time >= "2026-11-22T09:24:00Z"' in rules


async def test_a_restart_brings_in_what_was_missed_and_leaves_changed_rules_alone(tmp_path: Path) -> None:
    coverage = Coverage(tmp_path / "progress.json", "p1")
    await coverage.add(Span(Timeline(_NOW).begin, _NOW))
    await coverage.keep_rules()
    installation, clock = Installation(), FakeClock(_NOW + 5 * _HOUR)
    later = clock.now()
    again = Coverage(tmp_path / "progress.json", "p1")
    await _turn_until(_traffic(installation, again, clock), lambda: again.missing(Span(_NOW, later)) == [])
    assert sorted(installation.ids()) == sorted(one.id for one in Timeline(_NOW).happenings(_NOW, later))
    assert len(installation.imports) == 1
    assert installation.rules == []


async def test_a_start_seconds_after_the_demo_was_made_leaves_nothing_out(tmp_path: Path) -> None:
    timeline = Timeline(_NOW)
    coverage = Coverage(tmp_path / "progress.json", "p1")
    await coverage.add(Span(timeline.begin + _HOUR, _NOW - _HOUR))
    installation, clock = Installation(), FakeClock(_NOW + timedelta(seconds=3))
    await _turn_until(_traffic(installation, coverage, clock), lambda: coverage.missing(_whole()) == [])
    wanted = {one.id for one in timeline.happenings(timeline.begin, timeline.begin + _HOUR)}
    assert wanted < set(installation.ids())


async def test_of_a_long_absence_the_last_thirty_days_are_brought_in(tmp_path: Path) -> None:
    coverage = Coverage(tmp_path / "progress.json", "p1")
    await coverage.add(Span(Timeline(_NOW).begin, _NOW + 99 * 24 * _HOUR))
    await coverage.add(Span(_NOW + 100 * 24 * _HOUR, _NOW + 128 * 24 * _HOUR))
    installation, clock = Installation(), FakeClock(_NOW + 129.5 * 24 * _HOUR)
    later = clock.now()
    await _turn_until(
        _traffic(installation, coverage, clock),
        lambda: coverage.missing(Span(_NOW + 99.6 * 24 * _HOUR, later)) == [],
    )
    told = [_time(event) for run in installation.imports for event in run]
    assert _NOW + 99.4 * 24 * _HOUR < min(told) < _NOW + 99.6 * 24 * _HOUR
    assert max(told) < later


async def test_what_is_not_taken_is_sent_again_and_nothing_is_lost(tmp_path: Path) -> None:
    coverage = Coverage(tmp_path / "progress.json", "p1")
    await coverage.add(Span(Timeline(_NOW).begin, _NOW - _HOUR))
    installation = Installation()
    traffic = _traffic(installation, coverage, FakeClock(_NOW))
    for away in ("/v1/rules", "/v1/events", "/v1/imports"):
        installation.away = {away}
        with pytest.RaisesGroup(DemoDelayed, allow_unwrapped=True, flatten_subgroups=True):
            await _turn_until(traffic, lambda: False)
    installation.away = set()
    await _turn_until(traffic, lambda: coverage.missing(_whole()) == [])
    wanted = {one.id for one in Timeline(_NOW).happenings(_NOW - _HOUR, _NOW)}
    assert set(installation.ids()) == wanted
    assert len(installation.rules) == 1


async def test_a_deleted_project_ends_the_turn(tmp_path: Path) -> None:
    coverage = Coverage(tmp_path / "progress.json", "p1")
    installation = Installation()
    installation.deleted = True
    with pytest.RaisesGroup(DemoDeleted, allow_unwrapped=True, flatten_subgroups=True):
        await _turn_until(_traffic(installation, coverage, FakeClock(_NOW)), lambda: False)


async def test_after_a_laptops_sleep_the_turn_ends_so_that_the_next_fills_the_hole(tmp_path: Path) -> None:
    coverage = Coverage(tmp_path / "progress.json", "p1")
    await coverage.add(Span(Timeline(_NOW).begin, _NOW - LIVE))
    installation, clock = Installation(), FakeClock(_NOW)
    traffic = _traffic(installation, coverage, clock)
    turn = asyncio.ensure_future(traffic.turn())
    async with asyncio.timeout(40):
        while not installation.live:
            await asyncio.sleep(0.01)
        clock.advance(8 * 3600)
        await turn
    later = clock.now()
    await _turn_until(traffic, lambda: coverage.missing(Span(_NOW, later)) == [])
    wanted = {one.id for one in Timeline(_NOW).happenings(_NOW - LIVE, later)}
    assert set(installation.ids()) == wanted


def _whole() -> Span:
    return Span(Timeline(_NOW).begin, _NOW - timedelta(seconds=30))


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])
