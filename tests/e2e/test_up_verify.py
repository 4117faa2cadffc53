"""`footfall verify` beside a running installation and on a stopped one."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from footfall.embedded import running_url
from footfall_process import eventually, footfall, footfall_up

pytestmark = pytest.mark.e2e


async def test_verify_finds_names_and_repairs_a_wrong_number(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    with footfall_up(tmp_path / "data") as up, up.client() as client:
        events = [
            {"user": f"u{n % 7}", "account": "acme", "action": "opened report", "id": f"v-{n}"}
            for n in range(50)
        ]
        assert client.post("/v1/events", json=events).json()["accepted"] == 50
        eventually(lambda: activities(client.get("/v1/accounts/acme")) == 50)
        told = footfall("verify", *data)
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.endswith("Everything is as recounted.\n")

        database = await asyncpg.connect(running_url(tmp_path / "data"))
        try:
            await database.execute("update gateway.person set activities = 99 where subject = 'u:u3'")
            wrong = footfall("verify", *data)
            assert wrong.returncode == 1
            assert "subject=u:u3: activities is 99, recounted 7" in wrong.stdout
            assert wrong.stdout.endswith("Put it right with: footfall verify --repair\n")
            report = json.loads(footfall("verify", *data, "--project", "main", "--json").stdout)
            assert not report["equal"]
            assert sum(part["records"] for part in report["parts"]) == 50
            assert {part["source"] for part in report["parts"]} == {"log"}
            (part,) = (part for part in report["parts"] if part["differences"])
            assert part["differing"] == {"person": 1}
            assert part["examples"][0]["key"]["subject"] == "u:u3"
            assert (
                await database.fetchval("select activities from gateway.person where subject = 'u:u3'") == 99
            )
        finally:
            await database.close()
        put_right = footfall("verify", *data, "--repair")
        assert put_right.returncode == 0, put_right.stderr
        assert f"Part {part['part']} was put right: person 1." in put_right.stdout
        more = [{**event, "id": f"{event['id']}-again"} for event in events]
        assert client.post("/v1/events", json=more).json()["accepted"] == 50
        eventually(lambda: activities(client.get("/v1/accounts/acme")) == 100)
        assert json.loads(footfall("verify", *data, "--json").stdout)["equal"]
    stopped = json.loads(footfall("verify", *data, "--json").stdout)
    assert stopped["equal"]
    assert sum(part["records"] for part in stopped["parts"]) == 100
    unknown = footfall("verify", *data, "--project", "nowhere")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "There is no project 'nowhere'. See: footfall project list\n"


def activities(answer: Any) -> int:
    return int(answer.json()["activities"]) if answer.status_code == 200 else 0
