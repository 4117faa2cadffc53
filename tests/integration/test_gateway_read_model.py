"""The read model on a real PostgreSQL: what is posted is counted, once, where it belongs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventmodel import topics
from running_gateway import NOW, Gateway, running_gateway


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


def counts(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {row["action"]: row["count"] for row in rows}


async def test_an_account_shows_its_activities_users_and_times(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event(1, occurred_at=NOW - timedelta(days=400)),
        gateway.event(2, action="ran export", user="bob"),
        gateway.event(3),
        gateway.event(4, user=None, anonymous_id="visitor"),
        gateway.event(5, account="other", user="eve"),
    )
    await gateway.settled()
    account = await gateway.get("/v1/accounts/acme")
    assert account["activities"] == 4
    assert account["users"] == 3
    assert counts(account["breakdown"]) == {"opened report": 3, "ran export": 1}
    assert account["first_seen"] == "2025-10-18T12:00:00Z"
    assert account["last_seen"] == "2026-11-22T12:00:00Z"
    assert {person.get("user", person.get("anonymous_id")) for person in account["people"]} == {
        "ada",
        "bob",
        "visitor",
    }
    listed = await gateway.get("/v1/accounts")
    assert [(row["account"], row["activities"]) for row in listed["items"]] == [("acme", 4), ("other", 1)]


async def test_a_resent_event_changes_nothing_even_with_another_time(gateway: Gateway) -> None:
    await gateway.post(gateway.event(1), gateway.event(1))
    await gateway.settled()
    await gateway.post(gateway.event(1, occurred_at=NOW - timedelta(seconds=2)))
    await gateway.post(gateway.event(1, origin="import", run="r1"), topic=topics.BACKFILL)
    await gateway.settled()
    account = await gateway.get("/v1/accounts/acme")
    assert account["activities"] == 1
    assert account["last_seen"] == account["first_seen"] == "2026-11-22T12:00:00Z"
    assert len((await gateway.get("/v1/activity"))["items"]) == 1


async def test_the_same_id_from_two_users_is_two_events(gateway: Gateway) -> None:
    await gateway.post(gateway.event(1, user="ada"), gateway.event(1, user="bob"))
    await gateway.settled()
    assert (await gateway.get("/v1/accounts/acme"))["activities"] == 2


async def test_pulse_counts_now_today_and_sign_ups(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event(1, user="now", occurred_at=NOW - timedelta(minutes=4)),
        gateway.event(2, user="now", occurred_at=NOW - timedelta(minutes=1)),
        gateway.event(3, user="earlier", occurred_at=NOW - timedelta(hours=2)),
        gateway.event(4, user="yesterday", occurred_at=NOW - timedelta(hours=20)),
        gateway.event(5, user="new", action="Signed_Up", occurred_at=NOW - timedelta(hours=1)),
        gateway.event(6, user="new", action="signed up", occurred_at=NOW),
        gateway.event(7, user="known", action="signed up", occurred_at=NOW - timedelta(days=3)),
        gateway.event(8, user="known", action="signed up", occurred_at=NOW - timedelta(hours=3)),
        gateway.event(9, user="told", kind="identify", action="identified"),
    )
    await gateway.post(gateway.event(10, user="imported", origin="import", run="r"), topic=topics.BACKFILL)
    await gateway.settled()
    pulse = await gateway.get("/v1/pulse")
    assert pulse["active_users"] == {"now": 2, "today": 5}
    assert pulse["trial_signups_today"] == 1
    assert counts(pulse["top_activities"]) == {"opened report": 4, "signed up": 2, "Signed_Up": 1}
    assert pulse["activities_today"] == 7
    assert pulse["time_zone"] == "UTC"
    gateway.clock.advance(360)
    assert (await gateway.get("/v1/pulse"))["active_users"] == {"now": 0, "today": 5}


async def test_today_begins_at_midnight_of_the_projects_zone_also_after_it_changes(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event(1, user="a", occurred_at=datetime(2026, 11, 21, 18, 31, tzinfo=UTC)),
        gateway.event(2, user="b", occurred_at=datetime(2026, 11, 21, 18, 29, tzinfo=UTC)),
        gateway.event(3, user="c", action="started checkout", occurred_at=NOW),
    )
    await gateway.settled()
    assert (await gateway.get("/v1/pulse"))["active_users"]["today"] == 1
    project = gateway.project.project
    changed = await gateway.client.patch(
        f"/v1/projects/{project}",
        json={"time_zone": "Asia/Kolkata", "trial_actions": ["started checkout"]},
    )
    assert changed.status_code == 200, changed.text
    async with asyncio.timeout(20):
        while True:
            pulse = await gateway.get("/v1/pulse")
            if pulse["active_users"]["today"] == 2 and pulse["trial_signups_today"] == 1:
                break
            await asyncio.sleep(0.05)
    assert counts(pulse["top_activities"]) == {"opened report": 1, "started checkout": 1}
    assert pulse["time_zone"] == "Asia/Kolkata"


async def test_history_is_newest_first_in_pages_and_filters(gateway: Gateway) -> None:
    events = [gateway.event(n, occurred_at=NOW - timedelta(days=n * 40)) for n in range(25)]
    events += [gateway.event(100 + n, user="bob", action="ran export") for n in range(5)]
    await gateway.post(*events)
    await gateway.settled()
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = await gateway.get("/v1/activity", user="ada", limit=10, **before)
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == [f"e{n}" for n in range(25)]
    only = await gateway.get("/v1/activity", account="acme", action="ran export")
    assert {item["user"] for item in only["items"]} == {"bob"}
    item = await gateway.get("/v1/activity/e3")
    assert item["account"] == "acme"
    assert item["recorded_at"].endswith("Z")


async def test_ids_may_hold_any_character(gateway: Gateway) -> None:
    odd = "a/b c%2F?&ü'\"--"
    await gateway.post(gateway.event(odd, user=odd, account=odd))
    await gateway.settled()
    encoded = "a%2Fb%20c%252F%3F%26%C3%BC%27%22--"
    assert (await gateway.get(f"/v1/accounts/{encoded}"))["account"] == odd
    assert (await gateway.get(f"/v1/users/{encoded}"))["user"] == odd
    assert (await gateway.get(f"/v1/activity/e{encoded}"))["user"] == odd


async def test_traits_of_a_user_and_an_account_merge_by_time(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event(1, kind="identify", action="identified", traits={"plan": "pro", "n": 2}),
        gateway.event(
            2,
            kind="identify",
            action="identified",
            traits={"plan": "free", "city": "Bern"},
            occurred_at=NOW - timedelta(days=1),
        ),
        gateway.event(3, kind="group", action="joined account", traits={"seats": 5}),
        gateway.event(4, kind="group", action="joined account", user="bob", traits={"tier": "gold"}),
    )
    await gateway.settled()
    user = await gateway.get("/v1/users/ada")
    assert user["traits"] == {"plan": "pro", "n": 2, "city": "Bern"}
    assert user["activities"] == 0
    assert (await gateway.get("/v1/accounts/acme"))["traits"] == {"seats": 5, "tier": "gold"}


async def test_an_event_without_traits_does_not_age_those_that_come_after_it(gateway: Gateway) -> None:
    for number, (days, traits) in enumerate([(3, {"plan": "free"}), (1, {}), (2, {"plan": "pro"})]):
        at = NOW - timedelta(days=days)
        for kind in ("identify", "group"):
            await gateway.post(gateway.event(f"{kind}{number}", kind=kind, traits=traits, occurred_at=at))
    await gateway.settled()
    assert (await gateway.get("/v1/users/ada"))["traits"] == {"plan": "pro"}
    assert (await gateway.get("/v1/accounts/acme"))["traits"] == {"plan": "pro"}


async def test_events_of_year_one_and_of_the_future_bound_are_kept(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event(1, occurred_at=datetime(1, 1, 1, tzinfo=UTC)),
        gateway.event(2, occurred_at=NOW + timedelta(minutes=5)),
    )
    await gateway.settled()
    account = await gateway.get("/v1/accounts/acme")
    assert account["activities"] == 2
    assert account["first_seen"] == "0001-01-01T00:00:00.000001Z"


async def test_days_add_up_by_action_in_the_projects_zone(gateway: Gateway) -> None:
    await gateway.post(*[gateway.event(n, occurred_at=NOW - timedelta(days=n % 3)) for n in range(9)])
    await gateway.settled()
    days = await gateway.get("/v1/pulse/days")
    assert [(row["day"], row["count"]) for row in days["items"]] == [
        ("2026-11-20", 3),
        ("2026-11-21", 3),
        ("2026-11-22", 3),
    ]
    assert days["active_users"] == {"2026-11-20": 1, "2026-11-21": 1, "2026-11-22": 1}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/pulse",
        "/v1/pulse/days",
        "/v1/activity",
        "/v1/activity/e1",
        "/v1/accounts",
        "/v1/accounts/acme",
        "/v1/users",
        "/v1/users/ada",
        "/v1/stream",
    ],
)
async def test_nobody_reads_another_projects_data(gateway: Gateway, path: str) -> None:
    await gateway.post(gateway.event(1))
    await gateway.settled()
    other = await gateway.projects.create("other")
    foreign = {"authorization": f"Bearer {other.secret_key}"}
    if path == "/v1/stream":
        asked = await gateway.client.get(path, params={"project": gateway.project.project}, headers=foreign)
        assert asked.status_code == 404
        asked = await gateway.client.get(path, headers={"authorization": ""})
        assert asked.status_code == 401
        return
    asked = await gateway.client.get(path, headers=foreign)
    assert asked.status_code == 404 or ("ada" not in asked.text and "acme" not in asked.text)
    asked = await gateway.client.get(path, params={"project": gateway.project.project}, headers=foreign)
    assert asked.status_code == 404
    write = {"authorization": f"Bearer {gateway.project.write_key}"}
    assert (await gateway.client.get(path, headers=write)).status_code == 403
    assert (await gateway.client.get(path, headers={"authorization": ""})).status_code == 401


@pytest.mark.parametrize("value", ["0", "1001", "x", "-1", "1.5", ""])
async def test_a_wrong_limit_is_refused_with_its_field(gateway: Gateway, value: str) -> None:
    answer = await gateway.client.get("/v1/activity", params={"limit": value})
    assert answer.status_code == 400
    assert answer.json()["field"] == "limit"


async def test_a_wrong_keyset_is_refused(gateway: Gateway) -> None:
    for value in ("x", "W10", "2026-11-22T09:30:00", "WyIyMDI2IiwgLTFd"):
        answer = await gateway.client.get("/v1/activity", params={"before": value})
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_keyset"


async def test_a_deleted_project_is_gone_at_once_and_its_rows_soon(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    await gateway.post(gateway.event(1), gateway.event(2, project=other.project))
    await gateway.settled()
    await gateway.projects.delete(gateway.project.project)
    await gateway.refresh()
    answer = await gateway.client.get("/v1/pulse")
    assert answer.status_code in (401, 404)
    await gateway.post(gateway.event(3))
    await gateway.settled()
    async with asyncio.timeout(30):
        while await gateway.pool.fetchval(
            "select count(*) from gateway.history where project = $1", gateway.project.project
        ):
            await asyncio.sleep(0.1)
    left = await gateway.pool.fetch("select project, id from gateway.history")
    assert [tuple(row) for row in left] == [(other.project, "e2")]
