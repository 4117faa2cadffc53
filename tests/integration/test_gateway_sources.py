"""Sources on a real PostgreSQL: what arrives from which key and SDK, and what of it was refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from eventlog.memory import MemoryLog
from eventlog.port import Message
from eventmodel import ProjectId, RejectedRecord, Sender, new_event_id, topics
from eventmodel.wire import encode, record_key
from running_gateway import NOW, Gateway, running_gateway
from stream_gateway.projection.source_tally import MAX_SDKS

NODE = Sender(key="kaaaaaaaaaaa", sdk="analytics-node/2.1.0")
BROWSER = Sender(key="kaaaaaaaaaaa", sdk="browser")
TABLES = ("source", "source_minute", "source_hour", "source_rejection")


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


async def refuse(
    gateway: Gateway,
    sender: Sender | None,
    code: str = "missing_action",
    at: datetime = NOW,
    source: Literal["ingest", "import", "consumer"] = "ingest",
    project: ProjectId | None = None,
) -> None:
    record = RejectedRecord(
        id=new_event_id(),
        project=project or gateway.project.project,
        received_at=at,
        source=source,
        code=code,
        message=f"Refused for {code}.",
        place={"path": "/v1/events", "index": 0},
        body="{}",
        hint="Send another.",
        sender=sender,
    )
    key = record_key(record.project, f"e:{record.id}")
    await gateway.log.append(topics.REJECTED, [Message(key, encode(record))])


async def sources(gateway: Gateway) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    await gateway.settled()
    items = (await gateway.get("/v1/sources"))["items"]
    return {(item["key"], item["sdk"]): item for item in items}


async def until_empty(gateway: Gateway, table: str) -> None:
    async with asyncio.timeout(20):
        while await gateway.pool.fetchval(f"select exists (select from gateway.{table})"):
            await asyncio.sleep(0.05)


async def test_events_count_by_key_and_sdk_and_minute(gateway: Gateway) -> None:
    await gateway.post(
        *(gateway.event(n, user=f"user-{n}", sender=NODE) for n in range(5)),
        gateway.event(5, sender=BROWSER, received_at=NOW - timedelta(minutes=1)),
        gateway.event(6, sender=BROWSER, received_at=NOW - timedelta(minutes=59)),
        gateway.event(7, sender=BROWSER, received_at=NOW - timedelta(minutes=60)),
        gateway.event(8, received_at=NOW - timedelta(days=1)),
    )
    await gateway.settled()
    answer = await gateway.get("/v1/sources")
    assert answer["as_of"] == "2026-11-22T12:00:00Z"
    assert [(item["key"], item["sdk"], item["events"]) for item in answer["items"]] == [
        (NODE.key, NODE.sdk, 5),
        (NODE.key, "browser", 3),
        (None, None, 1),
    ]
    node, browser, nobody = answer["items"]
    assert node["per_minute"] == [0] * 59 + [5]
    assert browser["per_minute"] == [1] + [0] * 57 + [1, 0]
    assert nobody["per_minute"] == [0] * 60
    assert (browser["first_seen"], browser["last_seen"]) == ("2026-11-22T11:00:00Z", "2026-11-22T11:59:00Z")
    assert (node["rejected"], node["last_rejection"]) == (0, None)


async def test_minutes_move_on(gateway: Gateway) -> None:
    await gateway.post(gateway.event(1, sender=NODE))
    gateway.clock.advance(125)
    found = await sources(gateway)
    assert found[NODE.key, NODE.sdk]["per_minute"] == [0] * 57 + [1, 0, 0]


async def test_repeats_and_imports_come_from_no_source(gateway: Gateway) -> None:
    await gateway.post(gateway.event(1, sender=NODE), gateway.event(1, sender=NODE))
    await gateway.settled()
    await gateway.post(gateway.event(1, sender=BROWSER))
    await gateway.post(gateway.event(2, origin="import", run="r1"), topic=topics.BACKFILL)
    await refuse(gateway, None, source="import")
    found = await sources(gateway)
    assert {name: item["events"] for name, item in found.items()} == {
        (NODE.key, NODE.sdk): 1,
        (NODE.key, "browser"): 0,
    }
    assert found[NODE.key, "browser"]["accounting"]["duplicate"] == 1


async def test_a_batch_that_fails_for_one_record_counts_the_others_once(gateway: Gateway) -> None:
    poison = json.dumps({"id": "poison", "type": "track", "action": 5}).encode()
    key = record_key(gateway.project.project, "u:ada")
    good = [gateway.event(n, sender=NODE) for n in range(6)]
    records = [Message(key, encode(event)) for event in good]
    await gateway.log.append(topics.EVENTS, [*records[:3], Message(key, poison), *records[3:]])
    await gateway.settled()
    found = await sources(gateway)
    assert found[NODE.key, NODE.sdk]["events"] == 6
    assert sum(found[NODE.key, NODE.sdk]["per_minute"]) == 6
    nobody = found[None, None]
    assert (nobody["events"], nobody["rejected"]) == (0, 1)
    assert nobody["last_rejection"]["code"] == "poison_record"


async def test_the_last_rejection_is_told_with_its_reason(gateway: Gateway) -> None:
    minutes = [NOW - timedelta(minutes=n) for n in range(4)]
    await gateway.post(gateway.event(1, sender=NODE, received_at=minutes[3]))
    await refuse(gateway, NODE, "unknown_field", minutes[2])
    await refuse(gateway, NODE, "missing_action", minutes[0])
    await refuse(gateway, NODE, "unknown_field", minutes[1])
    await refuse(gateway, BROWSER, "too_deep", minutes[3])
    found = await sources(gateway)
    node, browser = found[NODE.key, NODE.sdk], found[NODE.key, "browser"]
    assert (node["events"], node["rejected"]) == (1, 3)
    assert node["last_rejection"] == {
        "code": "missing_action",
        "message": "Refused for missing_action.",
        "hint": "Send another.",
        "field": None,
        "at": "2026-11-22T12:00:00Z",
    }
    assert (node["first_seen"], node["last_seen"]) == ("2026-11-22T11:57:00Z", "2026-11-22T12:00:00Z")
    assert (browser["events"], browser["rejected"], browser["last_seen"]) == (0, 1, "2026-11-22T11:57:00Z")


async def test_keys_have_their_label_also_when_revoked_and_unknown_ones_none(gateway: Gateway) -> None:
    own = gateway.project.project
    made = await gateway.projects.create_key(own, "secret", "billing job")
    await gateway.projects.revoke_key(own, made.entry.id)
    await gateway.post(
        gateway.event(1, sender=Sender(key=made.entry.id)), gateway.event(2, sender=NODE), gateway.event(3)
    )
    found = await sources(gateway)
    revoked, unknown = found[made.entry.id, None], found[NODE.key, NODE.sdk]
    assert (revoked["label"], revoked["kind"], revoked["last_four"]) == (
        "billing job",
        "secret",
        made.key[-4:],
    )
    assert (unknown["label"], unknown["kind"], unknown["last_four"]) == (None, None, None)


async def test_another_projects_key_lends_no_label(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    theirs = (await gateway.projects.keys(other.project))[0]
    await gateway.post(gateway.event(1, sender=Sender(key=theirs.id)))
    assert (await sources(gateway))[theirs.id, None]["last_four"] is None


async def test_invented_sdks_share_a_row_beyond_the_bound_also_after_a_restart(migrated_url: str) -> None:
    log = MemoryLog(1)
    async with running_gateway(migrated_url, log) as gateway:
        project = gateway.project
        await gateway.post(*(_by(gateway, f"sdk/{n}") for n in range(MAX_SDKS - 10)))
        await gateway.settled()
    async with running_gateway(migrated_url, log, project=project) as gateway:
        await gateway.post(*(_by(gateway, f"sdk/{n}") for n in range(MAX_SDKS + 20)))
        await refuse(gateway, Sender(key=NODE.key, sdk="sdk/invented"))
        await gateway.post(_by(gateway, "sdk/0", "again"), _by(gateway, "browser", "k", "kbbbbbbbbbbb"))
        found = await sources(gateway)
    of_key = {sdk: item for (key, sdk), item in found.items() if key == NODE.key}
    assert len(of_key) == MAX_SDKS + 1
    assert (of_key["other"]["events"], of_key["other"]["rejected"]) == (20, 1)
    assert of_key["sdk/0"]["events"] == 2
    assert sum(item["events"] for item in found.values()) == MAX_SDKS + 22
    assert found["kbbbbbbbbbbb", "browser"]["events"] == 1


def _by(gateway: Gateway, sdk: str, number: str = "", key: str | None = NODE.key) -> Any:
    return gateway.event(f"{sdk}{number}", sender=Sender(key=key, sdk=sdk))


async def test_a_rejected_record_nobody_can_read_is_passed_over_and_kept_once(gateway: Gateway) -> None:
    key = record_key(gateway.project.project, "u:ada")
    await gateway.log.append(topics.REJECTED, [Message(key, b'{"id": "x"}'), Message(b"nobody", b"no JSON")])
    await refuse(gateway, NODE)
    await gateway.post(gateway.event(1, sender=NODE))
    node = (await sources(gateway))[NODE.key, NODE.sdk]
    assert (node["events"], node["rejected"]) == (1, 1)
    assert sum(await gateway.log.heads(topics.REJECTED)) == 3
    assert await gateway.pool.fetchval("select count(*) from gateway.unshown") == 2


async def test_an_installation_that_never_read_rejections_begins_with_the_oldest_kept(
    migrated_url: str,
) -> None:
    log = MemoryLog(4)
    async with running_gateway(migrated_url, log) as gateway:
        project = gateway.project
        await gateway.post(gateway.event(1))
        await gateway.settled()
        pool = gateway.pool
        await refuse(gateway, NODE)
        await gateway.settled()
        for table in TABLES:
            await pool.execute(f"delete from gateway.{table}")
    async with running_gateway(migrated_url, log, project=project) as gateway:
        assert await sources(gateway) == {}
        await gateway.pool.execute("delete from runtime.position where topic = $1", topics.REJECTED)
        await gateway.pool.execute("truncate runtime.seen")
    async with running_gateway(migrated_url, log, project=project) as gateway:
        await gateway.post(gateway.event(2, sender=NODE))
        node = (await sources(gateway))[NODE.key, NODE.sdk]
        assert (node["events"], node["rejected"]) == (1, 1)
        assert (await gateway.get("/v1/accounts/acme"))["activities"] == 2


async def test_what_is_old_goes(gateway: Gateway) -> None:
    await gateway.post(gateway.event(1, sender=NODE))
    await refuse(gateway, NODE)
    await gateway.settled()
    gateway.clock.advance(timedelta(hours=2, minutes=1).total_seconds())
    await until_empty(gateway, "source_minute")
    await gateway.refresh()
    assert (await sources(gateway))[NODE.key, NODE.sdk]["rejected"] == 1
    gateway.clock.advance(timedelta(days=90).total_seconds())
    await until_empty(gateway, "source")
    await until_empty(gateway, "source_rejection")


async def test_a_deleted_project_leaves_no_sources(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    await gateway.refresh()
    await gateway.post(gateway.event(1, sender=NODE, project=other.project))
    await refuse(gateway, NODE, project=other.project)
    await gateway.settled()
    await gateway.projects.delete(other.project)
    await gateway.refresh()
    await gateway.post(gateway.event(2, sender=NODE, project=other.project))
    await refuse(gateway, NODE, project=other.project)
    await gateway.settled()
    for table in TABLES:
        await until_empty(gateway, table)


async def test_a_restricted_token_does_not_see_sources(gateway: Gateway) -> None:
    made = await gateway.client.post("/v1/tokens", json={"account": "acme"})
    token = {"authorization": f"Bearer {made.json()['token']}"}
    refused = await gateway.client.get("/v1/sources", headers=token)
    assert (refused.status_code, refused.json()["code"]) == (403, "outside_token")
