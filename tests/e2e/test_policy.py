"""What a project decides about its events, in the running suite: in force without a restart, and obeyed everywhere."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import asyncpg
import httpx
import psutil
import pytest

from footfall.embedded import running_url
from footfall_process import family, footfall_up
from two_tenants import bearer

pytestmark = pytest.mark.e2e

SECRET = "zqsecret-value"
MAIL = "zqhashed@acme.example"
ADDRESS = "203.0.113.77"
BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"}
PLAN: dict[str, Any] = {
    "mode": "quarantine",
    "unplanned": "observe",
    "actions": {"opened report": {"properties": {"rows": {"type": "integer"}}, "required": ["rows"]}},
}
RULES = {"ip": "drop", "redact": ["properties.card", "**.password"], "hash": ["traits.mail"]}


def _send(client: httpx.Client, key: str, event: Any, **headers: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/events", json=event, headers=bearer(key) | headers).json()
    return answer


def test_a_plan_and_privacy_rules_are_in_force_within_seconds_and_without_a_restart(tmp_path: Path) -> None:
    event = {"user": "ada", "action": "opened report", "properties": {"card": SECRET}}
    with (
        footfall_up(tmp_path / "data") as up,
        httpx.Client(base_url=up.url, timeout=15, trust_env=False) as client,
    ):
        write_key, secret_key = up.facts["write_key"], up.facts["secret_key"]
        assert _send(client, write_key, event) == {"accepted": 1, "rejected": []}
        assert client.put("/v1/plan", json=PLAN, headers=bearer(secret_key)).status_code == 200
        deadline = time.monotonic() + 20
        while not (answer := _send(client, write_key, event)).get("quarantined"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer["accepted"] == 0
        assert answer["quarantined"][0]["code"] == "missing_property"
        mended = {**event, "properties": {"rows": 7}}
        assert _send(client, write_key, mended) == {"accepted": 1, "rejected": []}


def _drain(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


def _fill(client: httpx.Client, write_key: str, secret_key: str) -> None:
    """The values in every way in which they come in: stored, refused, set aside, imported, of another vendor."""
    carried = {
        "properties": {"card": SECRET, "deep": [{"Password": SECRET}], "rows": 1},
        "traits": {"mail": MAIL},
        "context": {"ip": ADDRESS},
    }
    fine = {"user": "ada", "action": "opened report", **carried}
    for event in (
        fine,
        {**fine, "type": "identify", "action": None},
        {**fine, "action": ""},
        {**fine, "time": "yesterday"},
        {**fine, "properties": SECRET},
        {**fine, "password": SECRET, "user": {"password": SECRET}},
        {**fine, "properties": {"card": SECRET}},
    ):
        _send(client, write_key, event, **BROWSER)
    for broken in (
        b'{"properties":{"card":"' + SECRET.encode() + b'"}',
        f'{{"card":"{SECRET}","card":1}}'.encode(),
    ):
        client.post("/v1/events", content=broken, headers=bearer(write_key))
    theirs = {"userId": "ada", "event": "opened report", **carried}
    for message in (theirs, {**theirs, "event": ""}, {**theirs, "properties": {"card": SECRET}}):
        client.post("/v1/track", json=message, headers=bearer(write_key) | BROWSER)
    lines = [json.dumps(fine), json.dumps({**fine, "action": 7}), json.dumps(fine)[:-1]] + [
        json.dumps(fine)
    ] * 3
    client.post("/v1/imports?source=ndjson", content="\n".join(lines).encode(), headers=bearer(secret_key))


async def _rows_with(directory: Path, texts: list[str]) -> list[str]:
    """The tables that hold one of the texts, in whatever column; bytes are shown as hexadecimal digits."""
    connection = await asyncpg.connect(running_url(directory))
    wanted = [f"%{form}%" for text in texts for form in (text, text.encode().hex())]
    try:
        tables = await connection.fetch(
            "select format('%I.%I', n.nspname, c.relname) as name from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'"
            " and n.nspname not in ('pg_catalog', 'information_schema')"
        )
        found = []
        for table in tables:
            if await connection.fetchval(
                f"select true from {table['name']} t where t::text like any($1) limit 1", wanted
            ):
                found.append(table["name"])
        return found
    finally:
        await connection.close()


def _has_come(client: httpx.Client, secret_key: str) -> bool:
    runs = client.get("/v1/imports", headers=bearer(secret_key)).json()["items"]
    return bool(runs) and runs[0]["state"] == "done"


def test_what_the_rules_name_is_written_down_nowhere(tmp_path: Path) -> None:
    environ = {"FOOTFALL_LOG_LEVEL": "debug"}
    with footfall_up(tmp_path / "data", environ=environ) as up, ThreadPoolExecutor(2) as pool:
        written = [pool.submit(_drain, stream) for stream in (up.process.stdout, up.process.stderr)]
        try:
            with httpx.Client(base_url=up.url, timeout=15, trust_env=False) as client:
                write_key, secret_key, project = (
                    up.facts[name] for name in ("write_key", "secret_key", "project")
                )
                changed = client.patch(
                    f"/v1/projects/{project}", json={"privacy": RULES}, headers=bearer(secret_key)
                )
                assert changed.status_code == 200
                assert client.put("/v1/plan", json=PLAN, headers=bearer(secret_key)).status_code == 200
                # The answer shows what is in force in this process, which is all four services.
                _fill(client, write_key, secret_key)
                deadline = time.monotonic() + 60
                while not _has_come(client, secret_key):
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                time.sleep(1)
                paths = (
                    "/v1/activity",
                    "/v1/users",
                    "/v1/rejected",
                    "/v1/sources",
                    "/v1/plan/unplanned",
                    "/metrics",
                )
                shown = {path: client.get(path, headers=bearer(secret_key)).text for path in paths}
                shown["/v1/plan/learn"] = client.post("/v1/plan/learn", headers=bearer(secret_key)).text
                tables = asyncio.run(_rows_with(up.directory, [SECRET, MAIL, ADDRESS]))
                marked = asyncio.run(_rows_with(up.directory, ["hmac-sha256:"]))
            shown["ps"] = "\n".join(" ".join(_command(one)) for one in family(up.process))
        finally:
            up.stop()
        shown["stdout"], shown["stderr"] = (stream.result(timeout=30) for stream in written)
        shown["server.log"] = (up.directory / "postgres" / "server.log").read_text()
        kept = [path for path in (up.directory / "imports").rglob("*") if path.is_file()]
    assert '"quarantined":true' in shown["/v1/rejected"].replace(" ", ""), "nothing was set aside"
    assert len(marked) > 1, "no pseudonym is stored, so the search proves nothing"
    assert tables == []
    for text in (SECRET, MAIL, ADDRESS):
        assert [place for place, said in shown.items() if text in said] == []
        assert [path for path in kept if text.encode() in path.read_bytes()] == []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
