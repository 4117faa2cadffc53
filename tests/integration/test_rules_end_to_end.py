"""A rule from its text to the action in the topic and in the list, through the consumer runtime."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from eventlog.postgres import create_topics, open_log
from eventmodel import topics
from running_rules import PARTITIONS, RunningRules, make_event, running_rules

RULE = (
    'rule "big order" { on order_paid where $event.amount >= 1000'
    ' do dashboard(note: "{{ event.amount }} by {{ user }}") }'
)


@pytest.fixture
async def rules(migrated_url: str) -> AsyncIterator[RunningRules]:
    async with running_rules(migrated_url) as running:
        yield running


async def test_matching_event_becomes_one_action(rules: RunningRules) -> None:
    await rules.put(RULE)
    project = rules.main.project
    async with rules.working():
        await rules.send(
            make_event(project, 1, properties={"amount": 999}),
            make_event(project, 2, properties={"amount": 1200}),
            make_event(project, 3, action="signed_up", properties={"amount": 1200}),
            make_event(project, 4, properties={}),
        )
        (record,) = await rules.relayed(1)
    assert record.pop("_key") == f"{project}:u:ada@acme.example"
    (item,) = await rules.actions()
    assert record == item
    assert item["id"] == record["id"]
    assert {
        key: item[key] for key in ("project", "type", "rule", "rule_version", "subject", "user", "account")
    } == {
        "project": project,
        "type": "dashboard",
        "rule": "big order",
        "rule_version": 1,
        "subject": "u:ada@acme.example",
        "user": "ada@acme.example",
        "account": "acme",
    }
    assert (item["note"], item["status"]) == ("1200 by ada@acme.example", "sent")
    assert (item["event"]["id"], item["event"]["action"]) == ("e2", "order_paid")


async def test_on_the_postgres_log(migrated_url: str) -> None:
    await create_topics(migrated_url, topics.ALL, PARTITIONS)
    async with open_log(migrated_url) as log, running_rules(migrated_url, log) as rules:
        await rules.put(RULE)
        async with rules.working():
            await rules.send(
                *(
                    make_event(rules.main.project, n, user=f"u{n % 7}", properties={"amount": 1000 + n})
                    for n in range(50)
                )
            )
            records = await rules.relayed(50)
    by_subject: dict[str, list[str]] = {}
    for record in records:
        by_subject.setdefault(record["subject"], []).append(record["event"]["id"])
    assert by_subject == {f"u:u{u}": [f"e{n}" for n in range(50) if n % 7 == u] for u in range(7)}


async def test_resent_event_acts_once(rules: RunningRules) -> None:
    await rules.put(RULE)
    async with rules.working():
        first = make_event(rules.main.project, 1, properties={"amount": 1200})
        await rules.send(first, first)
        await rules.send(first)
        await rules.send(make_event(rules.main.project, 2, properties={"amount": 1300}))
        records = await rules.relayed(2)
    assert [record["event"]["id"] for record in records] == ["e1", "e2"]


async def test_import_is_kept_as_history_and_never_leaves(rules: RunningRules) -> None:
    await rules.put(RULE)
    project = rules.main.project
    async with rules.working():
        await rules.send(
            make_event(project, 1, origin="import", properties={"amount": 1200}),
            make_event(project, 2, origin="replay", properties={"amount": 1200}),
            topic=topics.BACKFILL,
        )
        kept = await rules.actions_once(2)
        await rules.send(make_event(project, 3, properties={"amount": 1200}))
        (record,) = await rules.relayed(1)
    assert record["event"]["id"] == "e3"
    assert {(item["event"]["id"], item["status"], item["reason"]) for item in kept} == {
        ("e1", "suppressed", "history"),
        ("e2", "suppressed", "history"),
    }


async def test_old_event_is_kept_as_stale(rules: RunningRules) -> None:
    await rules.put(RULE)
    project = rules.main.project
    async with rules.working():
        await rules.send(
            make_event(project, 1, age=timedelta(minutes=61), properties={"amount": 1200}),
            make_event(project, 2, age=timedelta(minutes=59), properties={"amount": 1200}),
        )
        await rules.relayed(1)
        await rules.actions_once(2)
    assert {(item["event"]["id"], item.get("reason")) for item in await rules.actions()} == {
        ("e1", "stale"),
        ("e2", None),
    }


async def test_shadow_keeps_and_off_does_not_ask(rules: RunningRules) -> None:
    await rules.put(
        'rule "a" { on any do dashboard(note: "a") mode shadow }\n'
        'rule "b" { on any do dashboard(note: "b") mode off }\n'
        'rule "c" { on any do dashboard(note: "c"), dashboard(note: "d") }'
    )
    async with rules.working():
        await rules.send(make_event(rules.main.project, 1))
        records = await rules.relayed(2)
    assert [record["note"] for record in records] == ["c", "d"]
    assert {(item["note"], item.get("reason")) for item in await rules.actions()} == {
        ("a", "shadow"),
        ("c", None),
        ("d", None),
    }


async def test_rule_of_one_project_does_not_see_another(rules: RunningRules) -> None:
    other = await rules.projects.create("other")
    await rules.put('rule "all" { on any do dashboard(note: "n") }')
    async with rules.working():
        await rules.send(make_event(other.project, 1), make_event(rules.main.project, 2))
        (record,) = await rules.relayed(1)
    assert (record["project"], record["event"]["id"]) == (rules.main.project, "e2")


async def test_what_an_earlier_owner_left_is_relayed(rules: RunningRules) -> None:
    await rules.put('rule "all" { on any do dashboard(note: "n") }')
    async with rules.working("rules", "consumer"):
        await rules.send(*(make_event(rules.main.project, n) for n in range(5)))
        await rules.actions_once(5)
    async with rules.working():
        records = await rules.relayed(5)
        async with asyncio.timeout(20):
            while await rules.pool.fetchval("select count(*) from rules.outbox"):
                await asyncio.sleep(0.02)
    assert [record["event"]["id"] for record in records] == [f"e{n}" for n in range(5)]


async def test_rule_replaced_elsewhere_is_asked_within_seconds(rules: RunningRules) -> None:
    """As another process, or a hand in the database, would change it."""
    await rules.put('rule "all" { on any do dashboard(note: "old") }')
    async with rules.working():
        await rules.send(make_event(rules.main.project, 0))
        await rules.relayed(1)
        await rules.pool.execute("update rules.rule set active = false")
        await rules.pool.execute(
            "insert into rules.rule (project, name, version, text, mode, active)"
            " values ($1, 'all', 2, $2, 'live', true)",
            rules.main.project,
            'rule "all" { on any do dashboard(note: "new") }',
        )
        number = 0
        while "new" not in {record["note"] for record in await rules.relayed(number + 1)}:
            number += 1
            await rules.send(make_event(rules.main.project, number))
