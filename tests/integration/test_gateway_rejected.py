"""Rejected events on a real PostgreSQL: kept within bounds, counted, listed, each project's its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from eventlog.port import Message
from eventmodel import ProjectId, topics
from gateway_rejections import MISNAMED, SENDER, events, post, refuse, rejected, until_empty
from log_reading import read_all
from running_gateway import NOW, Gateway, running_gateway
from stream_gateway.rejected import rows
from stream_gateway.rejected.reads import Wanted, list_query


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


async def test_a_rejection_is_listed_with_its_reason_and_shown_with_its_bytes(gateway: Gateway) -> None:
    first = await refuse(gateway, received_at=NOW - timedelta(minutes=2))
    second = await refuse(gateway, b'{"user": ', code="invalid_json", field=None, received_at=NOW)
    newest, oldest = await rejected(gateway)
    assert (newest["id"], oldest["id"]) == (second, first)
    assert oldest == {
        "id": first,
        "received_at": "2026-11-22T11:58:00Z",
        "source": "ingest",
        "code": "unknown_field",
        "message": "There is no field `userId`.",
        "field": "userId",
        "hint": 'Call it "user".',
        "place": {"path": "/v1/events", "index": 0},
        "sender": {"key": SENDER.key, "sdk": SENDER.sdk},
        "run": None,
        "quarantined": False,
        "state": "open",
        "fix": {"rename": {"userId": "user"}},
    }
    whole = await gateway.get(f"/v1/rejected/{first}")
    assert whole == oldest | {
        "body": json.dumps(MISNAMED),
        "body_encoding": "utf-8",
        "body_truncated": False,
        "event": json.dumps(MISNAMED),
        "obstacle": None,
        "outcome": None,
    }
    assert newest["fix"] is None


async def test_the_list_is_narrowed_and_goes_on(gateway: Gateway) -> None:
    ids = [await refuse(gateway, received_at=NOW - timedelta(minutes=n)) for n in range(5)]
    others = [await refuse(gateway, code="too_deep"), await refuse(gateway, source="import", run="r1")]
    page = await gateway.get("/v1/rejected", limit=2) if await rejected(gateway) else {}
    assert [item["id"] for item in page["items"]] == ids[:2]
    rest = await gateway.get("/v1/rejected", limit=9, before=page["next"])
    assert ([item["id"] for item in rest["items"][:3]], len(rest["items"]), rest["next"]) == (
        ids[2:],
        5,
        None,
    )
    assert [item["id"] for item in await rejected(gateway, code="too_deep")] == others[:1]
    assert [item["id"] for item in await rejected(gateway, source="import")] == others[1:]
    assert (await post(gateway, f"/{ids[0]}/dismiss")).json()["state"] == "dismissed"
    assert [item["id"] for item in await rejected(gateway, state="dismissed")] == ids[:1]
    assert len(await rejected(gateway, state="open")) == 6
    assert (await gateway.client.get("/v1/rejected", params={"state": "lost"})).json()[
        "code"
    ] == "invalid_state"


async def test_reasons_are_counted(gateway: Gateway) -> None:
    for minutes in (1, 2, 60 * 30, 60 * 24 * 7 + 61):
        await refuse(gateway, received_at=NOW - timedelta(minutes=minutes))
    dismissed = await refuse(gateway, code="too_deep", message="Too deep.", field="a.b", hint=None)
    await post(gateway, f"/{dismissed}/dismiss")
    answer = await gateway.get("/v1/rejected/summary")
    assert answer["as_of"] == "2026-11-22T12:00:00Z"
    assert answer["items"] == [
        {
            "code": "unknown_field",
            "last_24_h": 2,
            "last_7_d": 3,
            "last_seen": "2026-11-22T11:59:00Z",
            "open": 4,
            "kept": 4,
            "example": {
                "id": (await rejected(gateway))[0]["id"],
                "message": "There is no field `userId`.",
                "field": "userId",
                "hint": 'Call it "user".',
                "fix": {"rename": {"userId": "user"}},
            },
        },
        {
            "code": "too_deep",
            "last_24_h": 1,
            "last_7_d": 1,
            "last_seen": "2026-11-22T11:50:00Z",
            "open": 0,
            "kept": 1,
            "example": {
                "id": dismissed,
                "message": "Too deep.",
                "field": "a.b",
                "hint": None,
                "fix": {"rename": {"userId": "user"}},
            },
        },
    ]


async def test_what_was_done_outlives_the_rows_made_from_the_log(gateway: Gateway) -> None:
    name = await refuse(gateway)
    record = (await read_all(gateway.log, topics.REJECTED, 1))[0]
    assert (await post(gateway, f"/{name}/dismiss")).status_code == 200
    await gateway.pool.execute("delete from gateway.rejected")
    await gateway.pool.execute("truncate runtime.seen")
    await gateway.log.append(topics.REJECTED, [Message(record.key, record.value)])
    (item,) = await rejected(gateway)
    assert (item["id"], item["state"]) == (name, "dismissed")


async def test_only_the_newest_stay_and_the_counts_know_of_the_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_ROWS", 2)
    for n in range(40):
        await refuse(gateway, received_at=NOW - timedelta(minutes=n))
    other = await gateway.projects.create("other")
    await gateway.refresh()
    await refuse(gateway, project=other.project)
    for n in range(12):
        await refuse(gateway, code="unplanned_action", quarantined=True, received_at=NOW - timedelta(hours=n))
    await gateway.settled()
    gateway.clock.advance(61)
    async with asyncio.timeout(20):
        while await gateway.pool.fetchval("select count(*) > 9 from gateway.rejected where not quarantined"):
            await asyncio.sleep(0.05)
    assert len(await rejected(gateway, code="unplanned_action")) == 12
    kept = await rejected(gateway, code="unknown_field")
    assert len(kept) <= 8
    assert kept[0]["received_at"] == "2026-11-22T12:00:00Z"
    count, _ = (await gateway.get("/v1/rejected/summary"))["items"]
    assert (count["last_24_h"], count["kept"]) == (40, len(kept))


async def test_what_is_old_goes(gateway: Gateway) -> None:
    name = await refuse(gateway, received_at=NOW)
    await post(gateway, f"/{name}/dismiss")
    gateway.clock.advance(timedelta(days=7, hours=23).total_seconds())
    await gateway.refresh()
    assert len(await rejected(gateway)) == 1
    gateway.clock.advance(timedelta(days=1, hours=2).total_seconds())
    await until_empty(gateway, "rejected", "rejected_hour", "rejected_outcome")


async def test_a_deleted_project_leaves_nothing(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    await gateway.refresh()
    name = await refuse(gateway, project=other.project)
    await gateway.settled()
    theirs = {"authorization": f"Bearer {other.secret_key}"}
    assert (await gateway.client.post(f"/v1/rejected/{name}/dismiss", headers=theirs)).status_code == 200
    await gateway.projects.delete(other.project)
    await gateway.refresh()
    await refuse(gateway, project=ProjectId(other.project))
    await until_empty(gateway, "rejected", "rejected_hour", "rejected_outcome")


async def test_nobody_reaches_anothers_rejections(gateway: Gateway) -> None:
    name = await refuse(gateway)
    await gateway.settled()
    other = await gateway.projects.create("other")
    await gateway.refresh()
    gateway.client.headers["authorization"] = f"Bearer {other.secret_key}"
    assert (await gateway.get("/v1/rejected"))["items"] == []
    assert (await gateway.get("/v1/rejected/summary"))["items"] == []
    for method, path, body in (
        ("GET", f"/{name}", None),
        ("POST", f"/{name}/replay", {"event": {"user": "eve", "action": "a"}}),
        ("POST", f"/{name}/dismiss", None),
    ):
        answer = await gateway.client.request(method, f"/v1/rejected{path}", json=body)
        assert answer.status_code == 404
    for path in ("replay", "dismiss"):
        answer = await gateway.client.post(f"/v1/rejected/{path}", json={"ids": [name]})
        assert answer.json()["left"] == 0
    assert await gateway.pool.fetchval("select count(*) from gateway.rejected_outcome") == 0
    assert await events(gateway) == []


async def test_a_stream_token_does_not_see_what_was_refused(gateway: Gateway) -> None:
    made = await gateway.client.post("/v1/tokens", json={})
    token = {"authorization": f"Bearer {made.json()['token']}"}
    for path in ("", "/summary", "/some"):
        answer = await gateway.client.get(f"/v1/rejected{path}", headers=token)
        assert (answer.status_code, answer.json()["code"]) == (403, "secret_key_needed")


async def test_the_lists_are_served_by_their_indexes(gateway: Gateway) -> None:
    project = ProjectId("p3")
    await gateway.pool.execute(
        "insert into gateway.rejected (part, project, id, received_at, source, code, record)"
        " select n % 4, 'p' || n % 5, 'r' || n, now() - n * interval '1 second', 'ingest', 'c' || n % 7, '{}'"
        " from generate_series(1, 40000) as n"
    )
    await gateway.pool.execute("analyze gateway.rejected")
    for wanted, index in ((Wanted(), "rejected_by_time"), (Wanted(code="c1"), "rejected_by_code")):
        query, values = list_query(project, wanted, None, 50)
        plan = "\n".join(row[0] for row in await gateway.pool.fetch(f"explain {query}", *values))
        assert index in plan
        assert "Sort" not in plan
