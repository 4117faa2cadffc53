"""A visitor who becomes known: one person on every page, and what a token of one user may see of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from running_gateway import NOW, Gateway, running_gateway


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    """Ada looked around, signed up on the same device, and once had another user id; a kiosk is shared."""
    async with running_gateway(migrated_url) as running:
        event = running.event
        await running.post(
            event(1, user=None, anonymous_id="v", action="signed up", occurred_at=NOW - timedelta(days=2)),
            event(2, user=None, anonymous_id="v", occurred_at=NOW - timedelta(minutes=4)),
            event(3, anonymous_id="v", occurred_at=NOW - timedelta(minutes=2)),
            event(4, action="signed up", occurred_at=NOW - timedelta(minutes=1)),
            event(5, user="ada-old", account="globex", occurred_at=NOW - timedelta(days=9)),
            event(6, kind="alias", action="merged identity", previous_id="ada-old", account=None),
            event(7, anonymous_id="kiosk"),
            event(8, user="bob", anonymous_id="kiosk", occurred_at=NOW - timedelta(minutes=3)),
        )
        await running.settled()
        yield running


async def test_a_person_has_what_was_done_under_all_their_ids(gateway: Gateway) -> None:
    ada = await gateway.get("/v1/users/ada", days=30)
    assert (ada["activities"], ada["first_seen"], ada["known_as"]) == (6, "2026-11-13T12:00:00Z", None)
    assert ada["breakdown"] == [{"action": "opened report", "count": 4}, {"action": "signed up", "count": 2}]
    assert ada["period"]["activities"] == 6
    assert {row["account"] for row in ada["accounts"]} == {"acme", "globex"}
    assert [(one.get("user"), one.get("anonymous_id"), one["activities"]) for one in ada["identities"]] == [
        ("ada-old", None, 1),
        (None, "v", 2),
    ]
    told = await gateway.get("/v1/activity", user="ada", limit=3)
    more = await gateway.get("/v1/activity", user="ada", before=told["next"])
    assert [event["id"] for event in told["items"] + more["items"]] == [
        "e7",
        "e6",
        "e4",
        "e3",
        "e2",
        "e1",
        "e5",
    ]


async def test_everybody_is_counted_and_listed_once(gateway: Gateway) -> None:
    pulse = await gateway.get("/v1/pulse")
    assert pulse["active_users"] == {"now": 2, "today": 2}
    assert pulse["trial_signups_today"] == 0, "she signed up two days ago, still unknown"
    days = await gateway.get("/v1/pulse/days")
    assert days["trial_signups"] == {"2026-11-20": 1}
    assert [row["user"] for row in (await gateway.get("/v1/users"))["items"]] == ["ada", "bob"]
    found = await gateway.get("/v1/users", search="ada-old")
    assert [(row["user"], row["activities"]) for row in found["items"]] == [("ada", 6)]
    acme = await gateway.get("/v1/accounts/acme")
    assert acme["users"] == 2
    assert [(one["user"], one["activities"]) for one in acme["people"]] == [("ada", 5), ("bob", 1)]


async def test_an_id_that_belongs_to_somebody_answers_for_itself_and_names_them(gateway: Gateway) -> None:
    visitor = await gateway.get("/v1/visitors/v")
    assert (visitor["activities"], visitor["known_as"], visitor["identities"]) == (2, {"user": "ada"}, [])
    assert (await gateway.get("/v1/users/ada-old"))["known_as"] == {"user": "ada"}
    assert [one["user"] for one in (await gateway.get("/v1/activity", user="ada-old"))["items"]] == [
        "ada-old"
    ]


async def test_a_users_token_shows_nothing_that_an_alias_could_bring(gateway: Gateway) -> None:
    made = await gateway.client.post("/v1/tokens", json={"user": "ada"})
    bearer = {"authorization": f"Bearer {made.json()['token']}"}

    async def ask(path: str, **query: Any) -> Any:
        answer = await gateway.client.get(path, params=query, headers=bearer)
        assert answer.status_code == 200, answer.text
        return answer.json()

    ada = await ask("/v1/users/ada", days=30)
    assert (ada["activities"], ada["period"]["activities"], ada["identities"]) == (3, 3, [])
    assert [row["account"] for row in ada["accounts"]] == ["acme"]
    assert {event.get("user") for event in (await ask("/v1/activity"))["items"]} == {"ada"}
    assert sum(row["count"] for row in (await ask("/v1/pulse/days", user="ada"))["items"]) == 3
    assert sum(row["count"] for row in (await ask("/v1/pulse/hours", user="ada"))["items"]) == 3


async def test_links_of_a_deleted_project_go_with_it(gateway: Gateway) -> None:
    assert await gateway.pool.fetchval("select count(*) from gateway.link") > 3
    await gateway.projects.delete(gateway.project.project)
    await gateway.refresh()
    async with asyncio.timeout(30):
        while await gateway.pool.fetchval("select count(*) from gateway.link"):
            await asyncio.sleep(0.1)


async def test_whose_an_id_is_and_which_are_theirs_is_looked_up_in_an_index(gateway: Gateway) -> None:
    project = gateway.project.project
    await gateway.pool.execute(
        "insert into gateway.link select 0, $1, 'a:d' || n, 'u:p' || n / 3, now(), 'e' || n"
        " from generate_series(1, 60000) as n",
        project,
    )
    await gateway.pool.execute("vacuum analyze gateway.link")
    before = await _scans(gateway)
    for path in (
        "/v1/users/p77",
        "/v1/users/ada",
        "/v1/visitors/d7",
        "/v1/pulse",
        "/v1/accounts/acme",
        "/v1/users",
    ):
        await gateway.client.get(path, params={"days": 7})
    after = await _scans(gateway)
    assert after["sequential"] == before["sequential"]
    assert after["rows"] - before["rows"] < 500


async def _scans(gateway: Gateway) -> dict[str, int]:
    async with gateway.pool.acquire() as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    await asyncio.sleep(1.5)
    row = await gateway.pool.fetchrow(
        "select coalesce(seq_scan, 0) as sequential, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows"
        " from pg_stat_user_tables where schemaname = 'gateway' and relname = 'link'"
    )
    assert row is not None
    return dict(row)
