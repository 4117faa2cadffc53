"""Received = stored + duplicate + quarantined + rejected + limited, by source: from the request to the answer."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from access.errors import AccessUnavailable
from access.plans import Plans
from access.usage import KEPT, Usage
from accounted_suite import Ingest, running_ingest
from eventlog.memory import MemoryLog
from eventlog.port import Message, TopicPart
from eventmodel import Sender, topics
from ingest_api.accounting import MAX_SDKS
from policy import read_plan
from running_gateway import NOW, Gateway, running_gateway

PLAN = {"mode": "quarantine", "actions": {"opened report": {}, "exported": {}}}
FIELDS = ("received", "stored", "duplicate", "quarantined", "rejected", "limited", "unavailable", "pending")
WEB, JOB = "shop-web/1.4.0", "shop-job/2"


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


def event(number: object, action: str | None = "opened report", sdk: str | None = None) -> dict[str, Any]:
    sent: dict[str, Any] = {"user": f"user-{number}", "id": f"e{number}"}
    if action is not None:
        sent["action"] = action
    if sdk is not None:
        name, _, version = sdk.partition("/")
        sent["context"] = {"library": {"name": name, "version": version}}
    return sent


def account(**numbers: int) -> dict[str, int]:
    """The numbers, the others being 0; received is their sum."""
    received = sum(number for name, number in numbers.items() if name != "unavailable")
    return {**dict.fromkeys(FIELDS, 0), "received": received, **numbers}


async def told(gateway: Gateway, key: str | None = None, **params: Any) -> dict[str, Any]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    answer = await gateway.client.get("/v1/sources", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def accounts(
    gateway: Gateway, ingest: Ingest | None, key: str | None = None, **params: Any
) -> dict[tuple[str | None, str | None], dict[str, int]]:
    """By key and SDK, once all is written and projected; they add up to what is told of all."""
    if ingest is not None:
        await ingest.written()
    await gateway.settled()
    answer = await told(gateway, key, **params)
    found = {(item["key"], item["sdk"]): item["accounting"] for item in answer["items"]}
    total = {name: sum(one[name] for one in found.values()) for name in FIELDS}
    assert answer["accounting"] == total
    for one in (*found.values(), total):
        assert one["received"] == sum(one[name] for name in FIELDS[1:] if name != "unavailable")
    return found


async def key_ids(gateway: Gateway, project: Any) -> dict[str, str]:
    return {entry.kind: entry.id for entry in await gateway.projects.keys(project.project)}


async def test_a_mixed_load_is_accounted_for_to_the_last_event(gateway: Gateway) -> None:
    main, other = gateway.project, await gateway.projects.create("other")
    await gateway.refresh()
    await Plans(gateway.pool, gateway.clock).apply(main.project, read_plan(PLAN))
    ids, others = await key_ids(gateway, main), await key_ids(gateway, other)
    async with running_ingest(gateway, project_events_per_s=10) as ingest:
        body = [
            *(event(n) for n in range(4)),
            event(1),
            event("w1", sdk=WEB),
            event("w2", sdk=WEB),
            event("w2", sdk=WEB),
            event("x", "clicked", sdk=WEB),
            event("y", None, sdk=WEB),
            event("z", None),
        ]
        answer = await ingest.post(main.write_key, body)
        assert (answer.json()["accepted"], len(answer.json()["rejected"])) == (8, 2)
        # Again, as after an answer that got lost: all that was stored is a duplicate now.
        await ingest.post(main.write_key, body)
        segment = {
            "batch": [
                {"type": "track", "event": "exported", "userId": "ada", "messageId": f"m{n}"}
                for n in range(3)
            ]
        }
        segment["batch"][2]["event"] = "clicked"
        await ingest.post(main.secret_key, segment, "/v1/batch", agent="analytics-python/2.3")
        await ingest.post(main.secret_key, b"no JSON at all", agent="analytics-python/2.3")
        await ingest.post(
            other.write_key, [event(n, sdk=JOB) for n in range(5)] + [event("bad", None, sdk=JOB)]
        )
        # 22 + 3 of 100 are used; 120 more are taken once and what comes after is limited, other projects not.
        await ingest.post(main.secret_key, [event(f"n{n}") for n in range(120)], agent=JOB)
        for _ in range(3):
            assert (await ingest.post(main.write_key, event("late"))).status_code == 429
        assert (await ingest.post(main.secret_key, segment, "/v1/batch", agent=JOB)).status_code == 429
        assert (await ingest.post(other.write_key, event(0, sdk=JOB))).status_code == 200

        found = await accounts(gateway, ingest)
        assert found == {
            (ids["write"], "curl/8.5"): account(stored=4, duplicate=6, rejected=2, limited=3),
            (ids["write"], WEB): account(stored=2, duplicate=4, quarantined=2, rejected=2),
            (ids["secret"], "analytics-python/2.3"): account(stored=2, quarantined=1, rejected=1),
            (ids["secret"], JOB): account(stored=120, limited=1),
        }
        theirs = await accounts(gateway, ingest, other.secret_key)
        assert theirs == {(others["write"], JOB): account(stored=5, duplicate=1, rejected=1)}
        totals: Counter[str] = Counter()
        for one in (*found.values(), *theirs.values()):
            totals.update(one)
        assert ingest.count("accepted") == totals["stored"] + totals["duplicate"]
        for outcome in ("quarantined", "rejected", "limited", "unavailable"):
            assert ingest.count(outcome) == totals[outcome], outcome


async def test_an_import_by_a_vendors_call_is_accounted_for_and_counts_with_live_events(
    gateway: Gateway,
) -> None:
    ids = await key_ids(gateway, gateway.project)

    def items(*names: str, days: int = 30) -> list[dict[str, Any]]:
        at = (NOW - timedelta(days=days)).timestamp()
        return [
            {"event": "Paid", "properties": {"distinct_id": "ada", "$insert_id": name, "time": at}}
            for name in names
        ]

    key, agent = gateway.project.write_key, "mixpanel-python/5"
    async with running_ingest(gateway) as ingest:
        assert (await ingest.post(key, items("tracked"), "/track", agent)).text == "1"
        await gateway.settled()
        bad = {"event": "Paid", "properties": {"distinct_id": "null", "time": 1_700_000_000}}
        sent = [*items("tracked", "old", "late", "old"), *items("fresh", days=1), bad]
        assert (await ingest.post(key, sent, "/import", agent)).json()["num_records_imported"] == 5
        await gateway.settled()
        assert (await ingest.post(key, items("late"), "/track", agent)).text == "1"
        assert await accounts(gateway, ingest) == {
            (ids["write"], agent): account(stored=4, duplicate=3, rejected=1)
        }
        shown = await gateway.client.get("/v1/activity", params={"origin": "import"})
    assert [item["id"] for item in shown.json()["items"]] == ["late", "old"]
    [source] = (await told(gateway))["items"]
    assert source["events"] == 4


async def test_a_restart_of_ingest_goes_on_counting(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    for n in range(3):
        async with running_ingest(gateway) as ingest:
            await ingest.post(gateway.project.write_key, [event(n), event(0), event("bad", None)])
    assert await accounts(gateway, None) == {
        (ids["write"], "curl/8.5"): account(stored=3, duplicate=3, rejected=3)
    }


async def test_two_processes_add_up(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    async with running_ingest(gateway) as one, running_ingest(gateway) as two:
        for n in range(4):
            for ingest in (one, two):
                await ingest.post(gateway.project.write_key, [event(n), event("bad", None)])
                await ingest.written()
        assert await accounts(gateway, one) == {
            (ids["write"], "curl/8.5"): account(stored=4, duplicate=4, rejected=8)
        }


async def test_what_is_on_its_way_is_pending_until_it_arrives(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    elsewhere = MemoryLog(4)
    async with running_ingest(gateway, log=elsewhere) as ingest:
        await ingest.post(gateway.project.write_key, [event(n) for n in range(3)] + [event(0)])
        source = (ids["write"], "curl/8.5")
        assert await accounts(gateway, ingest) == {source: account(pending=4)}
        async with elsewhere.reader() as reader:
            reader.assign({TopicPart(topics.EVENTS, part): 0 for part in range(4)})
            records = await reader.fetch(100, 0)
        await gateway.log.append(topics.EVENTS, [Message(record.key, record.value) for record in records])
        assert await accounts(gateway, ingest) == {source: account(stored=3, duplicate=1)}


async def test_without_the_log_events_are_unavailable_and_none_is_received(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    away = MemoryLog(4)
    async with running_ingest(gateway, log=away) as ingest:
        away.away = True
        answer = await ingest.post(gateway.project.write_key, [event(1), event(2)])
        assert answer.status_code == 503
        assert await accounts(gateway, ingest) == {(ids["write"], "curl/8.5"): account(unavailable=2)}
        [item] = (await told(gateway))["items"]
        assert (item["last_error"]["code"], item["last_error"]["rejected"]) == ("log_unavailable", None)


async def test_what_the_log_took_though_it_was_answered_503_is_received(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    await gateway.post(gateway.event(1, sender=Sender(key=ids["write"], sdk="curl/8.5")))
    async with running_ingest(gateway) as ingest:
        await ingest.post(gateway.project.write_key, {**event(2), "user": "ada"})
        assert await accounts(gateway, ingest) == {(ids["write"], "curl/8.5"): account(stored=2)}


async def test_a_record_the_projector_sets_aside_is_rejected_and_not_pending(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    elsewhere = MemoryLog(4)
    async with running_ingest(gateway, log=elsewhere) as ingest:
        await ingest.post(gateway.project.write_key, [event(1), event(2)])
        async with elsewhere.reader() as reader:
            reader.assign({TopicPart(topics.EVENTS, part): 0 for part in range(4)})
            good, bad = await reader.fetch(100, 0)
        poison = json.dumps({**json.loads(bad.value), "action": 5}).encode()
        await gateway.log.append(topics.EVENTS, [Message(good.key, good.value), Message(bad.key, poison)])
        found = await accounts(gateway, ingest)
        assert found[ids["write"], "curl/8.5"] == account(stored=1, rejected=1)


async def test_the_last_error_is_told_also_of_what_is_not_kept(gateway: Gateway) -> None:
    async with running_ingest(gateway, project_events_per_s=1, project_rejected_per_minute=1) as ingest:
        key = gateway.project.write_key

        async def last() -> dict[str, Any]:
            await ingest.written()
            await gateway.settled()
            [item] = (await told(gateway))["items"]
            error: dict[str, Any] = item["last_error"]
            return error

        await ingest.post(key, event(1, None))
        kept = await last()
        assert kept["code"] == "missing_action"
        assert kept["message"] == "The event has no `action`."
        assert kept["hint"] == 'Say what the user did, such as "opened report".'
        assert kept["at"] == "2026-11-22T12:00:00Z"
        assert kept["rejected"] == "/rejected?code=missing_action"
        gateway.clock.advance(1)
        await ingest.post(key, b'[{"user": "x", "action": ')
        assert (await last())["code"] == "invalid_json"
        gateway.clock.advance(1)
        await ingest.post(key, [event(n) for n in range(12)])
        await ingest.post(key, event(20))
        limited = await last()
        assert (limited["code"], limited["rejected"]) == ("too_many_events", None)
        assert "FOOTFALL_PROJECT_EVENTS_PER_S" in limited["hint"]


async def test_requests_refused_before_their_body_was_read_count_as_one(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    key = {"authorization": f"Bearer {gateway.project.write_key}", "user-agent": "curl/8.5"}
    async with running_ingest(gateway) as ingest:
        for path in ("/v1/events", "/v1/batch", "/t.gif"):
            await ingest.client.post(path, content=b"{}", headers={**key, "content-encoding": "snappy"})
        long = {**key, "idempotency-key": "k" * 300}
        await ingest.client.post("/v1/events", json=event(1), headers=long)
        assert await accounts(gateway, ingest) == {(ids["write"], "curl/8.5"): account(rejected=4)}


async def test_invented_sdks_share_a_row_and_the_key_still_adds_up(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    async with running_ingest(gateway) as ingest:
        for turn in range(2):
            sent = [event(f"{turn}-{n}", sdk=f"sdk/{n}") for n in range(MAX_SDKS + 20)]
            await ingest.post(gateway.project.write_key, sent)
        found = await accounts(gateway, ingest)
    assert len(found) <= 4 * MAX_SDKS
    assert sum(one["stored"] for one in found.values()) == 2 * (MAX_SDKS + 20)
    assert not any(one["pending"] for one in found.values())
    assert found[ids["write"], "sdk/0"] == account(stored=2)


async def test_the_window_goes_by_whole_hours_of_receipt(gateway: Gateway) -> None:
    key = gateway.project.write_key
    async with running_ingest(gateway) as ingest:
        await ingest.post(key, event(1))
    gateway.clock.advance(3600)
    await gateway.refresh()
    async with running_ingest(gateway) as ingest:
        await ingest.post(key, [event(1), event(2)])
        ids = await key_ids(gateway, gateway.project)
        source = (ids["write"], "curl/8.5")
        assert (await accounts(gateway, ingest, hours=1))[source] == account(stored=1, duplicate=1)
        for hours in (2, 24, 49, 2160):
            assert (await accounts(gateway, ingest, hours=hours))[source] == account(stored=2, duplicate=1)
        answer = await told(gateway, hours=2)
        assert answer["since"] == "2026-11-22T12:00:00Z"
    for wrong in ("0", "2161", "x"):
        refused = await gateway.client.get("/v1/sources", params={"hours": wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_hours")


async def test_while_the_database_is_away_counts_wait(gateway: Gateway) -> None:
    ids = await key_ids(gateway, gateway.project)
    usage = _Away(gateway)
    async with running_ingest(gateway, usage=usage) as ingest:
        for n in range(3):
            await ingest.post(gateway.project.write_key, event(n))
            await ingest.written()
        assert not await gateway.pool.fetchval("select exists (select from access.usage)")
        usage.away = False
        assert await accounts(gateway, ingest) == {(ids["write"], "curl/8.5"): account(stored=3)}


class _Away(Usage):
    """The database, which is there and does not answer at first; what is put may have been stored all the same."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway.pool)
        self.away = True

    async def put(self, instance: str, rows: Any) -> None:
        if self.away:
            raise AccessUnavailable("The database does not answer.")
        await super().put(instance, rows)
        await super().put(instance, rows)


async def test_what_is_old_goes_and_a_deleted_project_leaves_nothing(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    await gateway.refresh()
    async with running_ingest(gateway) as ingest:
        for project in (gateway.project, other):
            await ingest.post(project.write_key, event(1))
        await ingest.written()
        await gateway.settled()
        await gateway.projects.delete(other.project)
        await gateway.refresh()
        async with asyncio.timeout(30):
            while await gateway.pool.fetchval(
                "select exists (select from access.usage where project = $1)"
                " or exists (select from gateway.source_hour where project = $1)",
                other.project,
            ):
                await gateway.projects.purged(other.project, "rules")
                await gateway.projects.purged(other.project, "importer")
                await asyncio.sleep(0.05)
        usage = Usage(gateway.pool)
        await usage.tidy(NOW + KEPT)
        assert await gateway.pool.fetchval("select count(*) from access.usage") == 1
        await usage.tidy(NOW + KEPT + timedelta(hours=1))
        assert await gateway.pool.fetchval("select count(*) from access.usage") == 0


async def test_another_project_and_a_restricted_token_see_nothing_of_it(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    await gateway.refresh()
    async with running_ingest(gateway) as ingest:
        await ingest.post(gateway.project.write_key, [event(1), event(2, None)])
        await ingest.written()
    assert await accounts(gateway, None, other.secret_key) == {}
    made = await gateway.client.post("/v1/tokens", json={"account": "acme"})
    token = {"authorization": f"Bearer {made.json()['token']}"}
    refused: httpx.Response = await gateway.client.get("/v1/sources", headers=token)
    assert (refused.status_code, refused.json()["code"]) == (403, "outside_token")
