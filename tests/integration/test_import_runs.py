"""Imports from upload to log, over HTTP, with the runs in a real PostgreSQL."""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from access.projects import Projects
from import_harness import DEADLINE_S, OWNERS, Importer, access_log, running_importer, visit
from importer import worker
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from postgres_server import PostgresServer


@pytest.fixture
async def importer(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Importer]:
    async with (
        postgres_server.database(await postgres_server.migrated(OWNERS)) as url,
        running_importer(url, tmp_path / "spool", import_max_bytes=4_000_000) as running,
    ):
        yield running


async def test_an_access_log_becomes_page_views_and_every_line_is_accounted_for(importer: Importer) -> None:
    run = await importer.upload(access_log().encode(), name="/var/log/apache2/access.log")
    assert run["state"] in ("queued", "running", "done")
    done = await importer.finished(run["run"])
    assert done["state"] == "done"
    assert done["name"] == "access.log"
    assert done["bytes_done"] == done["bytes_total"] == len(access_log())
    assert (done["lines"], done["published"], done["rejected"]) == (7, 3, 1)
    assert done["skipped"] == {"static": 1, "bot": 1, "status": 1}
    bad = done["last_rejected"][0]
    assert (bad["line"], bad["code"], bad["text"]) == (4, "not_combined", "this is no log line")
    assert access_log().encode()[bad["byte_offset"] :].startswith(b"this is no log line\n")
    events = await importer.events()
    assert len({event.id for event in events}) == 3, "equal lines at different places are different events"
    for event in events:
        assert (event.kind, event.action, event.origin, event.run) == (
            "page",
            "viewed page",
            "import",
            run["run"],
        )
        assert event.user is None
        assert event.anonymous_id is not None
        assert "203.0" not in json.dumps(event.properties) + event.anonymous_id


async def test_a_bad_line_is_kept_with_its_place_in_the_topic_of_rejections(importer: Importer) -> None:
    run = await importer.upload(access_log().encode(), name="a.log")
    await importer.finished(run["run"])
    (kept,) = await importer.rejected()
    assert kept["source"] == "import"
    assert kept["body"] == "this is no log line"
    assert kept["place"] == {"name": "a.log", "byte_offset": kept["place"]["byte_offset"], "line": 4}
    assert kept["run"] == run["run"]


async def test_ndjson_keeps_its_own_ids_and_refuses_bad_lines_alone(importer: Importer) -> None:
    lines = [
        b'{"user":"ada","action":"opened report","time":"2020-01-01T00:00:00Z","id":"mine"}',
        b'{"user":"bob","action":"opened report","time":"2020-01-02T00:00:00Z","account":"own"}',
        b"",
        b"not json",
        b'{"user":"eve"}',
        b'[{"user":"eve","action":"a"},{"user":"eve","action":"b"}]',
        b'{"user":"zoe","action":"logged in","time":"2020-01-03T00:00:00Z"}',
    ]
    run = await importer.upload(b"\n".join(lines), source="ndjson", account="acme")
    done = await importer.finished(run["run"])
    assert (done["state"], done["published"], done["rejected"], done["skipped"]) == (
        "done",
        3,
        3,
        {"blank": 1},
    )
    by_user = {event.user: event for event in await importer.events()}
    assert by_user["ada"].id == "mine"
    assert [by_user[user].account for user in ("ada", "bob", "zoe")] == ["acme", "own", "acme"]
    response = await importer.client.get(f"/v1/imports/{run['run']}/rejected", params={"limit": 2})
    page = response.json()
    assert [bad["line"] for bad in page["items"]] == [4, 5]
    rest = await importer.client.get(f"/v1/imports/{run['run']}/rejected", params={"after": page["next"]})
    assert [bad["code"] for bad in rest.json()["items"]] == ["not_one_event"]


async def test_the_same_bytes_answer_the_earlier_run_and_again_gives_the_same_ids(importer: Importer) -> None:
    content = "".join(visit(n) for n in range(40)).encode()
    first = await importer.upload(content)
    await importer.finished(first["run"])
    assert (await importer.upload(content))["run"] == first["run"]
    again = await importer.upload(content, again="true")
    assert again["run"] != first["run"]
    await importer.finished(again["run"])
    events = await importer.events()
    assert (len(events), len({(event.subject, event.id) for event in events})) == (80, 40)


@pytest.mark.parametrize("lines_before", [2, 200])
async def test_a_file_that_has_grown_gives_its_old_lines_the_same_ids(
    importer: Importer, lines_before: int
) -> None:
    before = "".join(visit(n) for n in range(lines_before)).encode()
    after = gzip.compress(before + "".join(visit(n) for n in range(lines_before, lines_before + 5)).encode())
    for content in (before, after):
        run = await importer.upload(content)
        assert (await importer.finished(run["run"]))["state"] == "done"
    events = await importer.events()
    assert len(events) == 2 * lines_before + 5
    assert len({(event.subject, event.id) for event in events}) == lines_before + 5


async def test_a_file_of_another_format_fails_with_a_sentence_and_publishes_nothing(
    importer: Importer,
) -> None:
    content = (visit(1) + "date,user,action\n" * 30).encode()
    run = await importer.upload(content)
    failed = await importer.finished(run["run"])
    assert (failed["state"], failed["error"], failed["published"]) == ("failed", "wrong_format", 0)
    assert "Line 2" in failed["message"]
    assert await importer.events() == []
    assert (await importer.upload(content))["run"] != run["run"], "what failed may be tried again"


async def test_a_cut_gzip_publishes_its_whole_lines_and_says_that_it_is_cut(importer: Importer) -> None:
    packed = gzip.compress("".join(visit(n * 7919) for n in range(6_000)).encode())
    run = await importer.upload(packed[: len(packed) // 2])
    failed = await importer.finished(run["run"])
    assert (failed["state"], failed["error"]) == ("failed", "truncated")
    assert failed["published"] == len(await importer.events()) > 500
    whole = await importer.upload(packed)
    await importer.finished(whole["run"])
    assert len({(event.subject, event.id) for event in await importer.events()}) == 6_000


async def test_a_run_waits_while_the_log_is_away_and_then_loses_nothing(importer: Importer) -> None:
    importer.log.away = True
    run = await importer.upload("".join(visit(n) for n in range(700)).encode())
    waiting = await importer.until(run["run"], lambda state: state["message"] is not None)
    assert "The log does not answer" in waiting["message"]
    assert (waiting["state"], waiting["published"]) == ("running", 0)
    importer.log.away = False
    done = await importer.finished(run["run"])
    assert (done["published"], done["message"]) == (700, None)
    assert len(await importer.events()) == 700


async def test_a_cancelled_run_stops_and_frees_its_file(importer: Importer, tmp_path: Path) -> None:
    importer.log.away = True
    run = await importer.upload("".join(visit(n) for n in range(700)).encode())
    await importer.until(run["run"], lambda state: state["message"] is not None)
    cancelled = await importer.client.post(f"/v1/imports/{run['run']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    importer.log.away = False
    other = await importer.upload(visit(1).encode())
    await importer.finished(other["run"])
    assert (await importer.get(run["run"]))["state"] == "cancelled"
    second = await importer.client.post(f"/v1/imports/{run['run']}/cancel")
    assert (second.status_code, second.json()["code"]) == (409, "run_finished")


async def test_a_finished_run_leaves_no_file_behind(importer: Importer, tmp_path: Path) -> None:
    run = await importer.upload(visit(1).encode())
    await importer.finished(run["run"])
    again = await importer.upload(visit(2).encode())
    await importer.finished(again["run"])
    assert run["run"] not in {path.name for path in (tmp_path / "spool").iterdir()}


async def test_a_reader_that_is_killed_is_started_again(importer: Importer) -> None:
    run = await importer.upload("".join(visit(n) for n in range(6_000)).encode())
    await importer.until(run["run"], lambda state: state["published"] > 0)
    for child in psutil.Process().children():
        if "importer.reading" in child.cmdline():
            child.kill()
    done = await importer.finished(run["run"])
    assert (done["state"], done["published"], done["message"]) == ("done", 6_000, None)
    assert len({event.id for event in await importer.events()}) == 6_000


async def test_a_waiting_run_gets_its_turn_before_a_long_one_is_over(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SLICE_S", 0.0)
    importer.log.away = True
    runs = [
        await importer.upload("".join(visit(file * 1_000 + n) for n in range(1_000)).encode())
        for file in range(2)
    ]
    importer.log.away = False
    for run in runs:
        assert (await importer.finished(run["run"]))["published"] == 1_000
    first, second = [await importer.get(run["run"]) for run in runs]
    assert second["started_at"] < first["finished_at"], "the second began before the first was over"


async def test_a_deleted_project_leaves_nothing_behind(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    async with postgres_server.database(await postgres_server.migrated(OWNERS)) as url:
        async with running_importer(url, tmp_path) as before:
            run = await before.upload(access_log().encode())
            await before.finished(run["run"])
            before.log.away = True
            await before.upload(visit(1).encode())
        async with open_pool(url) as pool:
            projects = Projects(pool, SystemClock())
            await projects.delete(before.project.project)
            async with running_importer(url, tmp_path):
                async with asyncio.timeout(DEADLINE_S):
                    while await projects.deleted("importer"):
                        await asyncio.sleep(0.02)
            for table in ("run", "rejected_line", "salt"):
                assert await pool.fetchval(f"select count(*) from importer.{table}") == 0
    assert os.listdir(tmp_path) == ["spool.id"]
