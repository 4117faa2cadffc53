"""/v1/imports: its answers, its refusals, and who may ask."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from access.projects import Projects
from import_harness import OWNERS, Importer, access_log, running_importer, visit
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


@pytest.fixture
async def second_key(importer: Importer) -> str:
    async with open_pool(importer.url) as pool:
        return (await Projects(pool, SystemClock()).create("other")).secret_key


async def test_runs_are_listed_newest_first_page_by_page(importer: Importer) -> None:
    runs = [(await importer.upload(visit(n).encode()))["run"] for n in range(5)]
    first = (await importer.client.get("/v1/imports", params={"limit": 3})).json()
    rest = (await importer.client.get("/v1/imports", params={"before": first["next"]})).json()
    assert [item["run"] for item in first["items"] + rest["items"]] == runs[::-1]
    assert rest["next"] is None


async def test_progress_ends_with_the_finished_run(importer: Importer) -> None:
    run = await importer.upload(visit(1).encode())
    await importer.finished(run["run"])
    response = await importer.client.get(f"/v1/imports/{run['run']}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    event, data = response.text.strip().split("\n")
    assert event == "event: end"
    assert json.loads(data.removeprefix("data: "))["published"] == 1


async def test_a_plan_says_what_would_come_and_keeps_nothing(importer: Importer) -> None:
    response = await importer.client.post(
        "/v1/imports/plan", params={"source": "access-log"}, content=gzip.compress(access_log().encode())
    )
    plan = response.json()
    assert response.status_code == 200, plan
    assert (plan["lines"], plan["publish"], plan["rejected"]) == (7, 3, 1)
    assert plan["complete"] is True
    assert plan["usable"] is True
    assert (plan["first"], plan["last"]) == ("2015-05-16T22:00:01Z", "2015-05-16T22:00:05Z")
    assert plan["sample"][0]["action"] == "viewed page"
    assert plan["bad_lines"][0]["line"] == 4
    assert await importer.events() == []
    assert (await importer.client.get("/v1/imports")).json()["items"] == []


async def test_a_plan_of_the_wrong_source_says_so(importer: Importer) -> None:
    response = await importer.client.post(
        "/v1/imports/plan", params={"source": "ndjson"}, content=access_log().encode()
    )
    plan = response.json()
    assert plan["usable"] is False
    assert "ndjson" in plan["message"]


@pytest.mark.parametrize(
    ("query", "content", "headers", "status", "code"),
    [
        ({"source": "mixpanel"}, b"x", {}, 400, "unknown_source"),
        ({}, b"x", {}, 400, "unknown_source"),
        ({"source": "ndjson"}, b"", {}, 400, "empty_file"),
        ({"source": "ndjson"}, b"x" * 4_000_001, {}, 413, "file_too_large"),
        ({"source": "ndjson"}, b"x", {"content-encoding": "br"}, 415, "unsupported_encoding"),
        ({"source": "ndjson"}, b"\x1f\x8b\x08 damaged", {}, 400, "damaged_gzip"),
        ({"source": "ndjson", "account": ""}, b"x", {}, 400, "invalid_account"),
    ],
)
async def test_what_cannot_be_imported_is_refused_with_a_sentence(
    importer: Importer,
    tmp_path: Path,
    query: dict[str, str],
    content: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    response = await importer.client.post("/v1/imports", params=query, content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["spool.id"]


async def test_a_body_without_a_length_is_bounded_too(importer: Importer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    response = await importer.client.post("/v1/imports", params={"source": "ndjson"}, content=endless())
    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")


async def test_too_many_unfinished_runs_are_refused(importer: Importer) -> None:
    importer.log.away = True
    for number in range(20):
        await importer.upload(visit(number).encode())
    response = await importer.client.post(
        "/v1/imports", params={"source": "access-log"}, content=visit(99).encode()
    )
    assert (response.status_code, response.json()["code"]) == (429, "too_many_runs")
    assert "retry-after" in response.headers


async def test_a_plan_of_a_cut_file_does_not_hold_its_last_line_against_it(importer: Importer) -> None:
    response = await importer.client.post(
        "/v1/imports/plan", params={"source": "access-log"}, content=access_log().encode()[:-30]
    )
    plan = response.json()
    assert (plan["lines"], plan["publish"], plan["rejected"], plan["complete"]) == (6, 2, 1, False)


PATHS = [
    ("GET", "/v1/imports"),
    ("POST", "/v1/imports?source=ndjson"),
    ("POST", "/v1/imports/plan?source=ndjson"),
    ("GET", "/v1/imports/{run}"),
    ("GET", "/v1/imports/{run}/events"),
    ("GET", "/v1/imports/{run}/rejected"),
    ("POST", "/v1/imports/{run}/cancel"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_projects_secret_key_opens_a_route(importer: Importer, method: str, path: str) -> None:
    run = (await importer.upload(visit(1).encode()))["run"]
    for key, status in (("", 401), ("ffs_" + "x" * 43, 401), (importer.project.write_key, 403)):
        response = await importer.client.request(
            method, path.format(run=run), content=b"{}", headers={"authorization": f"Bearer {key}"}
        )
        assert response.status_code == status, (key[:4], response.text)
        assert {"code", "message"} <= response.json().keys()


@pytest.mark.parametrize(("method", "path"), [entry for entry in PATHS if "{run}" in entry[1]])
async def test_another_projects_run_does_not_exist(
    importer: Importer, second_key: str, method: str, path: str
) -> None:
    run = (await importer.upload(visit(1).encode()))["run"]
    response = await importer.client.request(
        method, path.format(run=run), headers={"authorization": f"Bearer {second_key}"}
    )
    assert (response.status_code, response.json()["code"]) == (404, "unknown_run")
