"""`footfall user forget` in the running suite: the person is nowhere any more, and everybody else is as before."""

import hashlib
import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from footfall.embedded import running_url
from footfall_process import Up, eventually, footfall, footfall_up
from two_tenants import bearer

pytestmark = pytest.mark.e2e

ADA = "zqada@acme.example"
DEVICE = "zqdevice-of-ada"
PAST = "2026-01-05T10:00:00Z"
NOTE = 'rule "seen" { on "opened report" do dashboard(note: "{user} opened a report") }'


def _lines() -> bytes:
    imported = {"user": ADA, "account": "acme", "action": "opened report", "id": "imported", "time": PAST}
    of_bob = {"user": "bob", "account": "acme", "action": "opened report", "id": "bob-past", "time": PAST}
    return "\n".join([json.dumps(imported), f'{{"user": "{ADA}" no JSON', json.dumps(of_bob)]).encode()


def _fill(client: httpx.Client, other_key: str) -> None:
    """Ada in every place: as a visitor, known, in a group, by a rule, refused and imported; bob beside her."""
    assert client.post("/v1/rules", json={"text": NOTE}).status_code == 200
    events: list[dict[str, Any]] = [
        {"anonymous_id": DEVICE, "type": "page", "id": "visit"},
        {"type": "identify", "user": ADA, "anonymous_id": DEVICE, "traits": {"mail": ADA}, "id": "login"},
        {"type": "group", "user": ADA, "account": "acme", "traits": {"plan": ADA}, "id": "group-of-ada"},
        {"type": "group", "user": "bob", "account": "acme", "traits": {"seats": 3}, "id": "group-of-bob"},
        *({"user": ADA, "account": "acme", "action": "opened report", "id": f"a{n}"} for n in range(3)),
        *({"user": "bob", "account": "acme", "action": "opened report", "id": f"b{n}"} for n in range(2)),
        {"user": ADA, "account": "of-ada-alone", "action": "upgraded", "id": "alone"},
    ]
    assert client.post("/v1/events", json=events).json()["accepted"] == len(events)
    assert client.post("/v1/events", json={"user": ADA, "action": ""}).status_code == 400
    theirs = {"user": ADA, "action": "opened report", "id": "theirs"}
    assert client.post("/v1/events", json=theirs, headers=bearer(other_key)).json()["accepted"] == 1
    run = client.post("/v1/imports?source=ndjson", content=_lines()).json()["run"]
    eventually(lambda: client.get(f"/v1/imports/{run}").json()["state"] == "done", 40)
    for name in ("alone", "visit", "imported", "bob-past"):
        eventually(lambda name=name: client.get(f"/v1/activity/{name}").status_code == 200, 40)  # type: ignore[misc]  # bound here
    eventually(lambda: len(client.get("/v1/actions").json()["items"]) == 7, 40)
    eventually(lambda: len(client.get("/v1/rejected").json()["items"]) == 2, 40)


async def _rows_with(directory: Path, texts: list[str], but_of: str) -> list[str]:
    """The tables with a row that holds a text, in whatever column, and is not of the other project."""
    connection = await asyncpg.connect(running_url(directory))
    wanted = [f"%{form}%" for text in texts for form in (text, text.encode().hex())]
    other = [f"%{but_of}%", f"%{but_of.encode().hex()}%"]
    try:
        tables = await connection.fetch(
            "select format('%I.%I', n.nspname, c.relname) as name from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'"
            " and n.nspname not in ('pg_catalog', 'information_schema')"
        )
        found = []
        for table in tables:
            if await connection.fetchval(
                f"select true from {table['name']} t"
                " where t::text like any($1) and not t::text like any($2) limit 1",
                wanted,
                other,
            ):
                found.append(table["name"].partition("_2")[0])
        return sorted(set(found))
    finally:
        await connection.close()


def _shown_after(up: Up, topic: str, cursor: str) -> list[str]:
    """The ids that the stream replays after the cursor, up to its next position."""
    shown = []
    with (
        up.client() as client,
        client.stream("GET", "/v1/stream", params={"topic": topic, "cursor": cursor}) as stream,
    ):
        for line in stream.iter_lines():
            if line.startswith("data: "):
                shown.append(json.loads(line[6:]).get("id"))
            elif line.startswith("id: "):
                return shown
    raise AssertionError("the stream ended")


async def test_a_forgotten_user_is_nowhere_any_more_and_the_rest_is_as_before(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    data = ("--data", str(directory))
    with footfall_up(directory) as up, up.client() as client:
        made = json.loads(footfall("project", "create", "other", "--json", *data).stdout)
        cursor = client.get("/v1/pulse").json()["cursor"]
        _fill(client, made["secret_key"])
        before = await _rows_with(directory, [ADA, DEVICE], made["project"])
        assert {"gateway.history", "gateway.rejected", "gateway.link", "rules.action"} <= set(before)
        assert "importer.rejected_line" in before
        assert "visit" in _shown_after(up, "activity", cursor)

        told = footfall("user", "forget", ADA, "--yes", "--json", *data)
        assert (told.returncode, told.stderr) == (0, "")
        receipt = json.loads(told.stdout)
        assert receipt["state"] == "done"
        assert set(receipt["left"].values()) == {0}
        assert {"gateway.history", "log.record", "rules.action", "rules.outbox"} <= set(receipt["left"])
        assert receipt["ids"] == 2
        removed = receipt["removed"]
        assert {name: removed[name] for name in ("gateway.history", "gateway.link", "rules.action")} == {
            "gateway.history": 8,
            "gateway.link": 1,
            "rules.action": 4,
        }
        assert (removed["gateway.rejected"], removed["importer.rejected_line"]) == (2, 1)
        key = f"{up.facts['project']}:u:{ADA}"
        assert receipt["user_sha256"] == hashlib.sha256(key.encode()).hexdigest()
        assert await _rows_with(directory, [ADA, DEVICE], made["project"]) == []
        (listed,) = client.get("/v1/forgotten").json()["items"]
        assert listed == receipt

        # Everybody else.
        acme = client.get("/v1/accounts/acme").json()
        assert (acme["activities"], acme["users"], acme["traits"]) == (3, 1, {"seats": 3})
        assert client.get("/v1/accounts/of-ada-alone").status_code == 404
        assert client.get(f"/v1/users/{ADA}").status_code == 404
        theirs = client.get(f"/v1/users/{ADA}", headers=bearer(made["secret_key"])).json()
        assert theirs["activities"] == 1
        assert footfall("verify", *data).returncode == 0
        shown = _shown_after(up, "activity", cursor)
        assert {"b0", "b1", "group-of-bob"} <= set(shown)
        assert not {"visit", "login", "a0", "alone"} & set(shown)

        # The old file does not bring her back; what comes now is of somebody new.
        again = client.post("/v1/imports?source=ndjson&again=true", content=_lines() + b"\n").json()["run"]
        eventually(lambda: client.get(f"/v1/imports/{again}").json()["state"] == "done", 40)
        fresh = {"user": ADA, "account": "acme", "action": "opened report", "id": "fresh"}
        assert client.post("/v1/events", json=fresh).json()["accepted"] == 1
        eventually(lambda: client.get(f"/v1/users/{ADA}").status_code == 200)
        anew = client.get(f"/v1/users/{ADA}").json()
        assert (anew["activities"], anew["traits"], anew["identities"]) == (1, {}, [])
        eventually(lambda: client.get("/v1/accounts/acme").json()["activities"] == 4)
        assert client.get("/v1/activity/imported").status_code == 404
        assert footfall("verify", *data).returncode == 0


def test_what_is_left_of_a_user_in_others_events_is_named_and_fails(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    with footfall_up(tmp_path / "data") as up, up.client() as client:
        events = [
            {"user": ADA, "action": "opened report", "id": "own"},
            {"user": "bob", "action": "invited", "id": "of-bob", "properties": {"guest": ADA}},
        ]
        assert client.post("/v1/events", json=events).json()["accepted"] == 2
        eventually(lambda: client.get("/v1/activity/of-bob").status_code == 200)
        told = footfall("user", "forget", ADA, "--yes", *data)
        assert told.returncode == 1
        assert "still stands in gateway.history, log.record" in told.stdout
        assert client.get("/v1/users/bob").json()["activities"] == 1
        assert client.get("/v1/forgotten").json()["items"][0]["state"] == "left"
