import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventmodel import ACTIVITY_KINDS, DEFAULT_ACTIONS
from footfall.demo.happenings import Happening
from footfall.demo.timeline import Timeline
from footfall.installation import Installation
from footfall_process import Up, eventually, footfall, footfall_up

pytestmark = pytest.mark.e2e

# Importing a month at the usual pace takes most of a minute.
_QUICKLY = {"FOOTFALL_IMPORT_MAX_EVENTS_PER_S": "50000"}


@contextmanager
def demo_client(up: Up) -> Iterator[httpx.Client]:
    """Requests with the secret key of the demo's project."""
    keys = Installation(up.directory).read_keys("demo")
    assert keys is not None
    assert keys.project == up.facts["demo"]["project"]
    headers = {"authorization": f"Bearer {keys.secret_key}"}
    with httpx.Client(base_url=up.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


def _timeline(client: httpx.Client, up: Up) -> Timeline:
    made = client.get(f"/v1/projects/{up.facts['demo']['project']}").json()
    assert made["demo"]
    return Timeline(datetime.fromisoformat(made["created_at"]))


def _is_whole(up: Up, client: httpx.Client) -> bool:
    """Whether all of the past is there up to where live events go on."""
    runs = client.get("/v1/imports").json()["items"]
    assert {run["state"] for run in runs} <= {"queued", "running", "done"}
    assert sum(run["rejected"] for run in runs) == 0
    if any(run["state"] != "done" for run in runs):
        return False
    return [start for start, _ in _spans(up)] == [_timeline(client, up).begin]


def _spans(up: Up) -> list[tuple[datetime, datetime]]:
    kept = json.loads((up.directory / "demo-progress.json").read_bytes())
    return [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in kept["spans"]]


def _counts(happenings: Iterator[Happening]) -> Counter[tuple[str, str]]:
    return Counter(
        (one.time.date().isoformat(), one.action or DEFAULT_ACTIONS[one.type])
        for one in happenings
        if one.type in ACTIVITY_KINDS
    )


def _counted(client: httpx.Client, start: datetime, end: datetime) -> Counter[tuple[str, str]]:
    days = {"from": start.date().isoformat(), "to": end.date().isoformat()}
    items = client.get("/v1/pulse/days", params=days).json()["items"]
    return Counter({(item["day"], item["action"]): item["count"] for item in items})


def _events(client: httpx.Client, start: datetime, end: datetime) -> list[str]:
    """The ids of what happened then."""
    found: list[dict[str, Any]] = []
    before: str | None = end.isoformat()
    while before and (not found or datetime.fromisoformat(found[-1]["occurred_at"]) >= start):
        page = client.get("/v1/activity", params={"before": before, "limit": 1000}).json()
        found += page["items"]
        before = page["next"]
    return sorted(event["id"] for event in found if datetime.fromisoformat(event["occurred_at"]) >= start)


def _expect_all(up: Up, client: httpx.Client) -> None:
    """Everything that happened up to now counts once: by day and action, and event by event of the last hours."""
    timeline = _timeline(client, up)
    [(_, end)] = _spans(up)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    wanted = _counts(timeline.happenings(timeline.begin, midnight))
    eventually(lambda: _counted(client, timeline.begin, midnight - timedelta(days=1)) == wanted, 120)
    recently = end - timedelta(hours=6)
    newest = sorted(one.id for one in timeline.happenings(recently, end))
    eventually(lambda: _events(client, recently, end) == newest)


@pytest.mark.timeout(600)
def test_a_month_comes_in_survives_a_kill_and_is_counted_once(tmp_path: Path) -> None:
    with footfall_up(tmp_path / "data", "--demo", environ=_QUICKLY) as up, demo_client(up) as client:
        with client.stream("GET", "/v1/stream") as stream:
            shown = next(_activities(stream))
        assert shown["origin"] == "live"
        assert shown["project"] == up.facts["demo"]["project"]
        eventually(lambda: len(client.get("/v1/imports").json()["items"]) > 2, 60)
        up.process.kill()
        up.process.wait()
    with footfall_up(tmp_path / "data", "--demo", environ=_QUICKLY) as up, demo_client(up) as client:
        eventually(lambda: _is_whole(up, client), 300)
        _expect_all(up, client)
        accounts = client.get("/v1/accounts", params={"limit": 100}).json()["items"]
        assert len(accounts) == 40
        assert all(account["name"] for account in accounts)
        pulse = client.get("/v1/pulse").json()
        assert pulse["active_users"]["now"] > 0
        assert client.get("/v1/rules").json()["items"]
        assert shown["id"] in _events(client, datetime.fromisoformat(shown["occurred_at"]), _spans(up)[0][1])
        with up.client() as own:
            assert own.get("/v1/activity").json()["items"] == []
        assert up.stop() == 0


def _activities(response: httpx.Response) -> Iterator[dict[str, Any]]:
    kind = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "activity":
            yield json.loads(value)


def test_a_deleted_demo_disturbs_nobody_and_is_made_again_at_the_next_start(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    with footfall_up(tmp_path / "data", "--demo") as up:
        first = up.facts["demo"]["project"]
        assert footfall("project", "delete", "demo", "--yes", *data).returncode == 0
        assert up.process.stderr is not None
        while "The demo rests: its project was deleted." not in (said := up.process.stderr.readline()):
            assert "held up" in said, "an upload on its way may have been cut off first"
        with up.client() as client:
            assert client.get("/v1/activity").status_code == 200
        assert up.stop() == 0
    with footfall_up(tmp_path / "data", "--demo") as up, demo_client(up) as client:
        assert up.facts["demo"]["project"] != first
        eventually(lambda: client.get("/v1/activity").json()["items"])


def test_without_demo_there_is_none_and_a_namesake_stays_untouched(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"), "--json")
    with footfall_up(tmp_path / "data") as up:
        assert up.facts["demo"] is None
        listed = json.loads(footfall("project", "list", *data).stdout)["items"]
        assert [entry["name"] for entry in listed] == ["main"]
        made = json.loads(footfall("project", "create", "demo", *data).stdout)
    with footfall_up(tmp_path / "data", "--demo") as up, up.client() as client:
        assert up.facts["demo"] is None
        headers = {"authorization": f"Bearer {made['secret_key']}"}
        assert client.get("/v1/activity", headers=headers).json()["items"] == []
        assert up.stop() == 0
        assert up.process.stderr is not None
        assert "so there is no demo" in up.process.stderr.read()
