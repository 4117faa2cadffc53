"""Counting the read model again: faults are found and named, repaired, and nothing else is touched."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from access.projects import Created, Projects
from eventlog.errors import PartitionsChanged
from eventlog.memory import MemoryLog
from eventlog.port import Message
from eventlog.postgres_parts import open_parts
from eventmodel import ProjectId, topics
from eventmodel.wire import record_key
from fake_clock import FakeClock
from lifecycle.database import open_pool
from running_gateway import NOW, Gateway, running_gateway
from stream_gateway.projection.comparison import DERIVED, HISTORY
from stream_gateway.projection.projector import GROUP
from stream_gateway.projection.verification import PartReport, Verification

_TABLES = [table.name for table in (HISTORY, *DERIVED)]


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


async def verification(gateway: Gateway, only: ProjectId | None = None) -> Verification:
    store = await open_parts(gateway.pool, GROUP)
    return Verification(gateway.pool, gateway.log, store, gateway.projects, only)


async def verified(gateway: Gateway) -> list[PartReport]:
    verifying = await verification(gateway)
    return [await verifying.verify(part) for part in await verifying.parts()]


async def repaired(gateway: Gateway) -> list[PartReport]:
    verifying = await verification(gateway)
    return [await verifying.repair(part) for part in await verifying.parts()]


def differing(reports: Sequence[PartReport]) -> dict[str, int]:
    found: dict[str, int] = {}
    for report in reports:
        for table, count in report.differing.items():
            if count:
                found[table] = found.get(table, 0) + count
    return found


async def fill(gateway: Gateway) -> None:
    """Something in every table, in every part, out of order, with repeats, imports and records that are poison."""
    users = [f"user-{n}" for n in range(12)]
    await gateway.post(
        *(
            gateway.event(
                f"{user}-{n}",
                user=user,
                account=f"acme-{number % 3}",
                action=("opened report", "signed up", "Ran Export")[(n + number) % 3],
                occurred_at=NOW - timedelta(days=n * 17, minutes=number * 9),
            )
            for number, user in enumerate(users)
            for n in range(4)
        ),
        *(gateway.event(f"{user}-1", user=user) for user in users[:6]),
        *(gateway.event(f"{user}-link", user=user, anonymous_id="shared") for user in users[3:]),
        gateway.event("join", kind="alias", action="merged identity", user="user-1", previous_id="user-2"),
        gateway.event("visit", user=None, anonymous_id="visitor", kind="page", action="viewed page"),
        gateway.event("alone", user=None, account=None, action="started"),
    )
    for n, (days, traits) in enumerate([(3, {"plan": "pro"}), (5, {"plan": "old", "n": 1}), (1, {"n": 2})]):
        at = NOW - timedelta(days=days)
        await gateway.post(
            gateway.event(f"i{n}", kind="identify", action="identified", traits=traits, occurred_at=at),
            gateway.event(f"g{n}", kind="group", action="grouped", traits=traits, occurred_at=at),
        )
    await gateway.log.append(
        topics.EVENTS,
        [
            Message(record_key(gateway.project.project, "u:ada"), b'{"id": "broken"'),
            Message(
                record_key(gateway.project.project, "u:ada"),
                b'{"id":"nul","type":"identify","action":"identified","occurred_at":"2026-11-22T12:00:00Z",'
                b'"traits":{"a":"\\u0000"}}',
            ),
        ],
    )
    await gateway.post(
        *(gateway.event(f"{user}-2", user=user, origin="import", run="r") for user in users[:3]),
        *(
            gateway.event(
                f"old-{n}", user=users[n % 12], origin="import", run="r", occurred_at=NOW - timedelta(days=400 + n)
            )
            for n in range(30)
        ),
        gateway.event("user-5-link", user="user-5", anonymous_id="shared", origin="import", run="r", occurred_at=NOW),
        gateway.event(
            "old-i", kind="identify", action="identified", traits={"plan": "import"}, origin="import", run="r",
            occurred_at=NOW - timedelta(days=4),
        ),
        topic=topics.BACKFILL,
    )  # fmt: skip
    await gateway.settled()


async def test_what_was_projected_is_as_recounted_from_the_log(gateway: Gateway) -> None:
    await fill(gateway)
    reports = await verified(gateway)
    assert differing(reports) == {}
    assert [report.source for report in reports] == ["log"] * 4
    assert sum(report.records for report in reports) > 80


async def test_what_was_projected_is_as_recounted_from_history_when_the_log_is_too_short(
    gateway: Gateway,
) -> None:
    await fill(gateway)
    gateway.log.truncate(topics.EVENTS, 1, 3)
    reports = await verified(gateway)
    assert differing(reports) == {}
    assert [report.source for report in reports] == ["log", "history", "log", "log"]
    assert reports[1].why == "The oldest records have left footfall.events."
    history = await gateway.pool.fetchval("select count(*) from gateway.history where part = 1")
    assert reports[1].records == history


_EXTRA = "insert into gateway.{table} select 2, $2, "
_FAULTS: dict[str, Sequence[str]] = {
    "activity_quarter": [
        "update gateway.activity_quarter set activities = activities + 1",
        f"{_EXTRA} $1, 'extra', 'extra', 1",
    ],
    "account_action": [
        "update gateway.account_action set activities = activities - 1",
        "update gateway.account_action set first_seen = first_seen - interval '1 s'",
        f"{_EXTRA} 'extra', 'extra', 1, $1, $1",
    ],
    "account": [
        "update gateway.account set last_seen = last_seen + interval '1 s'",
        'update gateway.account set traits = \'{{"plan": "none"}}\'',
        f"{_EXTRA} 'extra', 1, $1, $1",
    ],
    "person": [
        "update gateway.person set activities = 77",
        "update gateway.person set traits_at = now()",
        f"{_EXTRA} 'u:extra', 1, $1, $1",
    ],
    "person_action": [
        "update gateway.person_action set activities = 77",
        "update gateway.person_action set last_seen = last_seen + interval '1 s'",
        f"{_EXTRA} 'extra', 'u:extra', 'extra', 1, $1, $1",
    ],
    "account_day": [
        "update gateway.account_day set activities = activities + 1",
        f"{_EXTRA} 'extra', ($1::timestamptz)::date, 1",
    ],
    "link": [
        "update gateway.link set linked_at = linked_at - interval '1 s'",
        "update gateway.link set id = 'another'",
        f"{_EXTRA} 'a:extra', 'u:extra', $1, 'extra'",
    ],
    "active_day": [f"{_EXTRA} ($1::timestamptz)::date, 'u:extra'"],
    "trial_signup": [
        "update gateway.trial_signup set action = 'Signed Up'",
        f"{_EXTRA} 'u:extra', '', 'signed up', $1",
    ],
    "history": [
        "update gateway.history set event = replace(event, 'type', 'kind')",
        "insert into gateway.history (part, project, occurred_at, subject, account, kind, action, origin, id, event)"
        " select part, project, occurred_at, subject, account, kind, action, origin, id, event from gateway.history",
    ],
}


@pytest.mark.parametrize("table", _TABLES)
async def test_a_planted_fault_is_found_named_and_repaired(gateway: Gateway, table: str) -> None:
    await fill(gateway)
    for fault in ("delete from gateway.{table}", *_FAULTS[table]):
        statement = fault.format(table=table)
        extra = "$2" in statement
        values = [NOW, gateway.project.project] if extra else []
        done = await gateway.pool.execute(statement + ("" if extra else _one_row(statement, table)), *values)
        assert done.endswith(" 1")
        reports = await verified(gateway)
        assert differing(reports) == {table: 1}, statement
        (example,) = (example for report in reports for example in report.examples)
        assert (example.table, example.key["project"]) == (table, gateway.project.project)
        assert (example.found is None) == statement.startswith("delete")
        assert (example.expected is None) == extra
        assert example.found != example.expected
        assert differing(await repaired(gateway)) == {table: 1}
        assert differing(await verified(gateway)) == {}


def _one_row(fault: str, table: str) -> str:
    """The fault's condition: one row that is not already as the fault makes it."""
    wanted = "traits is not null" if "traits" in fault else "kind = 'track'" if table == "history" else "true"
    if fault.startswith("insert"):
        return f" where {wanted} order by id limit 1"
    return f" where (tableoid, ctid) = (select tableoid, ctid from gateway.{table} where {wanted} limit 1)"


async def test_repair_from_history_restores_what_the_log_no_longer_has(gateway: Gateway) -> None:
    await fill(gateway)
    before = {table: await rows(gateway, table) for table in _TABLES}
    for part in range(4):
        gateway.log.truncate(topics.EVENTS, part, 2)
    for table in DERIVED:
        await gateway.pool.execute(f"delete from gateway.{table.name}")
    reports = await verified(gateway)
    assert {report.source for report in reports} == {"history"}
    assert differing(reports).keys() == {table.name for table in DERIVED}
    await repaired(gateway)
    assert differing(await verified(gateway)) == {}
    assert {table: await rows(gateway, table) for table in _TABLES} == before


async def rows(gateway: Gateway, table: str) -> list[Any]:
    return [
        tuple(row) for row in await gateway.pool.fetch(f"select t.*::text from gateway.{table} t order by 1")
    ]


async def test_a_running_projector_counts_on_after_a_repair(gateway: Gateway) -> None:
    await fill(gateway)
    await gateway.pool.execute("update gateway.person set activities = activities + 5")
    epochs = await gateway.pool.fetchval("select sum(epoch) from runtime.part")

    async def keep_posting() -> None:
        for n in range(60):
            await gateway.post(
                *(gateway.event(f"more-{n}-{user}", user=f"user-{user}") for user in range(12))
            )
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as both:
        both.create_task(keep_posting())
        both.create_task(repaired(gateway))
    await gateway.settled()
    assert differing(await verified(gateway)) == {}
    assert await gateway.pool.fetchval("select sum(epoch) from runtime.part") > epochs + 4
    user = await gateway.get("/v1/users/user-1")
    assert {row["action"]: row["count"] for row in user["breakdown"]}["opened report"] >= 60


async def test_only_what_is_projected_counts(gateway: Gateway) -> None:
    await fill(gateway)
    async with gateway.pool.acquire() as connection, connection.transaction():
        # While its rows are locked, the projector cannot go on.
        await connection.execute("select from runtime.part for update")
        await gateway.post(gateway.event("later"))
        assert differing(await verified(gateway)) == {}
    await gateway.settled()


async def test_the_copy_of_an_event_that_was_counted_is_right_also_when_its_mark_is_gone(
    gateway: Gateway,
) -> None:
    await gateway.post(gateway.event(1, origin="import", run="r"), topic=topics.BACKFILL)
    await gateway.settled()
    await gateway.post(gateway.event(1, occurred_at=NOW - timedelta(minutes=40)))
    await gateway.settled()
    await gateway.pool.execute("delete from gateway.unshown")
    reports = await verified(gateway)
    assert {report.source for report in reports} == {"log"}
    assert differing(reports) == {}


async def test_an_event_counted_twice_is_found_and_put_right(gateway: Gateway) -> None:
    await gateway.post(gateway.event(1))
    await gateway.settled()
    await gateway.pool.execute("delete from runtime.seen")
    await gateway.post(gateway.event(1))
    await gateway.settled()
    assert (await gateway.get("/v1/accounts/acme"))["activities"] == 2
    assert differing(await verified(gateway)) == {
        table: 1 for table in _TABLES if table not in ("active_day", "trial_signup", "link")
    }
    await repaired(gateway)
    assert (await gateway.get("/v1/accounts/acme"))["activities"] == 1


async def test_another_zone_and_other_trial_actions_are_recounted_as_they_were_made(gateway: Gateway) -> None:
    await fill(gateway)
    changed = await gateway.client.patch(
        f"/v1/projects/{gateway.project.project}",
        json={"time_zone": "Pacific/Auckland", "trial_actions": ["ran export"]},
    )
    assert changed.status_code == 200
    assert differing(await verified(gateway)) == {}
    async with asyncio.timeout(20):
        while await gateway.pool.fetchval(
            "select count(*) from gateway.derivation where time_zone <> 'Pacific/Auckland'"
        ):
            await asyncio.sleep(0.02)
    assert differing(await verified(gateway)) == {}


async def test_one_project_is_verified_and_repaired_alone_and_a_deleted_one_not_at_all(
    gateway: Gateway,
) -> None:
    other, gone = await gateway.projects.create("other"), await gateway.projects.create("gone")
    for project in (gateway.project.project, other.project, gone.project):
        await gateway.post(gateway.event(1, project=project))
    await gateway.settled()
    await gateway.projects.delete(gone.project)
    await gateway.pool.execute("update gateway.person set activities = 9")
    alone = await verification(gateway, other.project)
    reports = [await alone.verify(part) for part in await alone.parts()]
    assert [one.key["project"] for report in reports for one in report.examples] == [other.project]
    assert differing(await verified(gateway)) == {"person": 2}
    for part in await alone.parts():
        await alone.repair(part)
    left = [one.key["project"] for report in await verified(gateway) for one in report.examples]
    assert left == [gateway.project.project]


async def test_a_log_made_anew_is_told_and_repaired_and_history_stays_the_truth(migrated_url: str) -> None:
    log = MemoryLog(4)
    async with running_gateway(migrated_url, log) as gateway:
        await fill(gateway)
        before = {table: await rows(gateway, table) for table in _TABLES}
        project = gateway.project
    old = await log.topic(topics.EVENTS)
    for topic in (topics.EVENTS, topics.BACKFILL, topics.ACTIONS, topics.SIGNALS):
        log.recreate(topic)
    new = await log.topic(topics.EVENTS)
    async with stopped(migrated_url, log) as gateway:
        verifying = await verification(gateway)
        stale = await verifying.stale()
        assert len(stale) == 16
        events = [one for one in stale if one.topic == topics.EVENTS]
        assert {(one.group, one.log_id, one.found, one.moved_to) for one in events} == {
            (GROUP, old.log_id, new.log_id, 0)
        }
        reports = await verified(gateway)
        assert differing(reports) == {}
        assert {report.source for report in reports} == {"history"}
        assert await verifying.stale() == stale, "looking changes nothing"
        await verifying.move(stale)
        assert await verifying.stale() == []
    async with running_gateway(migrated_url, log, project=project) as gateway:
        await gateway.post(gateway.event("user-1-1", user="user-1"), gateway.event("new", user="new"))
        await gateway.settled()
        reports = await verified(gateway)
        assert differing(reports) == {}
        assert {report.source for report in reports} == {"history"}
        assert {report.why for report in reports} == {
            "Records of footfall.events were counted that the log lost."
        }
        after = {table: await rows(gateway, table) for table in _TABLES}
        assert len(after["history"]) == len(before["history"]) + 1, "the resent one counts once"


async def test_a_log_that_lost_its_end_is_read_on_without_skipping_or_counting_twice(
    migrated_url: str,
) -> None:
    log, older = MemoryLog(4), MemoryLog(4)
    async with running_gateway(migrated_url, log) as gateway:
        await gateway.post(*(gateway.event(n) for n in range(10)))
        await gateway.settled()
        project = gateway.project
        kept = [gateway.event(n) for n in range(6)]
        fresh = gateway.event("fresh")
    older._store.topics.update(log._store.topics)  # the same life of the topics, restored from a copy
    async with stopped(migrated_url, older) as gateway:
        await gateway.post(*kept, fresh)
        verifying = await verification(gateway)
        (stale,) = await verifying.stale()
        assert (stale.log_id, stale.position, stale.head) == (stale.found, 10, 7)
        assert differing(await verified(gateway)) == {}
        await verifying.move([stale])
    async with running_gateway(migrated_url, older, project=project) as gateway:
        await gateway.settled()
        assert (await gateway.get("/v1/accounts/acme"))["activities"] == 11
        assert differing(await verified(gateway)) == {}


async def test_another_number_of_partitions_is_refused_and_nothing_moves(migrated_url: str) -> None:
    async with running_gateway(migrated_url) as gateway:
        await fill(gateway)
    async with stopped(migrated_url, MemoryLog(6)) as gateway:
        verifying = await verification(gateway)
        stale = await verifying.stale()
        with pytest.raises(PartitionsChanged, match="--partitions 4"):
            await verifying.move(stale)
        assert await verifying.stale() == stale


@asynccontextmanager
async def stopped(url: str, log: MemoryLog) -> AsyncIterator[Gateway]:
    """What is left when no gateway runs: the database and the log."""
    clock = FakeClock(datetime.now(UTC))
    async with open_pool(url) as pool, httpx.AsyncClient() as client:
        projects = Projects(pool, clock)
        (entry,) = await projects.list()
        created = Created(entry.project.id, "", "")
        yield Gateway(log, pool, projects, created, client, clock, clock.now, clock.now, "")
