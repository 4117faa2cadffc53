"""Forgetting a person on a real database: what remains adds up, and nothing that was under way brings them back."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from access.forgetting import Forgetting
from eventlog.postgres_parts import open_parts
from eventmodel import Event, Sender, topics
from gateway_rejections import SENDER, refuse
from running_gateway import NOW, Gateway, running_gateway
from stream_gateway.projection.projector import GROUP
from stream_gateway.projection.verification import Verification
from waiting import eventually

pytestmark = pytest.mark.postgres


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


async def _forget(gateway: Gateway, user: str) -> dict[str, Any]:
    """Ask for it while rule-engine and importer confirm at once; the finished receipt."""
    gateway.clock.advance(1)
    answer = await gateway.client.delete(f"/v1/users/{user}")
    assert answer.status_code == 202, answer.text
    receipt: dict[str, Any] = answer.json()
    forgetting = Forgetting(gateway.pool, gateway.clock)
    for request in await forgetting.open():
        for part in range(4):
            await forgetting.confirm(request, "rules", {}, part)
        await forgetting.confirm(request, "importer", {})

    async def finished() -> bool:
        receipt.update(await gateway.get(f"/v1/forgotten/{receipt['id']}"))
        return bool(receipt["state"] != "removing")

    await eventually(finished)
    return receipt


async def _differences(gateway: Gateway) -> dict[int, dict[str, int]]:
    verifying = Verification(
        gateway.pool, gateway.log, await open_parts(gateway.pool, GROUP), gateway.projects
    )
    reports = [await verifying.verify(part) for part in await verifying.parts()]
    return {report.part: dict(report.differing) for report in reports if report.differences}


def _some_event(gateway: Gateway, chance: random.Random, number: int) -> Event:
    user = chance.choice([None, "ada", "bob", "cem"])
    kind = chance.choice(["track", "track", "track", "identify", "group", "page"])
    at = NOW - timedelta(minutes=chance.choice([0, 3, 16, 90, 60 * 24 * 3, 60 * 24 * 40]))
    fields: dict[str, Any] = {
        "kind": kind,
        "action": chance.choice(["opened report", "signed up", "upgraded"]),
        "user": user,
        "anonymous_id": f"device-{chance.randrange(4)}" if user is None or chance.random() < 0.3 else None,
        "account": chance.choice([None, "acme", "globex", "initech"]),
        "occurred_at": at,
    }
    if kind == "group":
        fields["account"] = chance.choice(["acme", "globex"])
    if kind in ("identify", "group"):
        fields["traits"] = {chance.choice(["plan", "seats"]): chance.randrange(9)}
    return gateway.event(number, **fields)


@pytest.mark.parametrize("seed", range(3))
async def test_what_remains_is_as_a_recount_finds_it(gateway: Gateway, seed: int) -> None:
    chance = random.Random(seed)
    await gateway.post(*(_some_event(gateway, chance, number) for number in range(400)))
    await gateway.settled()
    assert await _differences(gateway) == {}
    await _forget(gateway, "ada")
    assert await _differences(gateway) == {}
    rows = "select count(*) from gateway.history where subject = $1"
    assert await gateway.pool.fetchval(rows, "u:ada") == 0
    assert await gateway.pool.fetchval(rows, "u:bob") > 0
    minutes = (
        "select part, minute, activities from gateway.activity_minute order by 1, 2",
        "select part, date_trunc('minute', occurred_at), count(*) from gateway.history"
        " where kind in ('track', 'page') and occurred_at > $1 group by 1, 2 order by 1, 2",
    )
    kept = await gateway.pool.fetch(minutes[0])
    recounted = await gateway.pool.fetch(minutes[1], NOW - timedelta(hours=2))
    assert [tuple(row) for row in kept] == [tuple(row) for row in recounted]


async def test_more_rows_than_a_batch_go_in_several(gateway: Gateway) -> None:
    events = [gateway.event(number, user="ada" if number % 2 else "bob") for number in range(2_400)]
    await gateway.post(*events)
    await gateway.settled()
    receipt = await _forget(gateway, "ada")
    assert receipt["removed"]["gateway.history"] == 1_200
    assert (await gateway.get("/v1/accounts/acme"))["activities"] == 1_200
    assert await _differences(gateway) == {}


async def test_a_shared_device_loses_its_own_past_and_stays_in_the_others_events(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event("past", user=None, anonymous_id="laptop", occurred_at=NOW - timedelta(hours=3)),
        gateway.event("ada", anonymous_id="laptop", occurred_at=NOW - timedelta(hours=2)),
        gateway.event("bob", user="bob", anonymous_id="laptop", occurred_at=NOW - timedelta(hours=1)),
    )
    await gateway.settled()
    receipt = await _forget(gateway, "ada")
    assert (receipt["state"], receipt["ids"], receipt["shared_ids"]) == ("done", 2, 1)
    assert (await gateway.client.get("/v1/activity/epast")).status_code == 404
    assert (await gateway.get("/v1/activity/ebob"))["anonymous_id"] == "laptop"
    assert await _differences(gateway) == {}


async def test_a_user_who_is_part_of_another_is_refused_with_the_others_name(gateway: Gateway) -> None:
    await gateway.post(
        gateway.event("own", user="old-name"),
        gateway.event("alias", kind="alias", user="ada", previous_id="old-name"),
    )
    await gateway.settled()
    refused = await gateway.client.delete("/v1/users/old-name")
    assert (refused.status_code, refused.json()["code"]) == (409, "known_as")
    assert "ada" in refused.json()["hint"]
    receipt = await _forget(gateway, "ada")
    assert receipt["state"] == "done"
    assert (await gateway.client.get("/v1/activity/eown")).status_code == 404


async def test_a_sources_last_rejection_names_nobody_who_was_forgotten(gateway: Gateway) -> None:
    said = {"message": 'There is no user "ada@acme.example".', "code": "unknown_user"}
    await gateway.post(gateway.event("first", user="ada@acme.example"))
    await refuse(gateway, **said)
    await refuse(gateway, sender=Sender(key="kaaaaaaaaaaa", sdk="other/1"))
    await gateway.settled()
    receipt = await _forget(gateway, "ada@acme.example")
    assert receipt["removed"]["gateway.source_rejection"] == 1
    told = await gateway.client.get("/v1/sources")
    assert "ada@acme.example" not in told.text
    last = {row["sdk"]: row["last_rejection"] for row in told.json()["items"] if row["sdk"]}
    assert last[SENDER.sdk]["code"] == "unknown_user"
    assert last[SENDER.sdk]["message"] == "It named a person who was removed since."
    assert last["other/1"]["message"] == "There is no field `userId`."
    assert not await gateway.pool.fetchval(
        "select exists (select from gateway.source_rejection where last::text like '%ada%')"
    )


async def test_what_was_received_before_is_passed_over_and_what_comes_later_is_new(gateway: Gateway) -> None:
    await gateway.post(gateway.event("first"))
    await gateway.settled()
    await _forget(gateway, "ada")
    later = gateway.clock.now() + timedelta(seconds=1)
    imported = {"origin": "import", "run": "r", "received_at": later}
    await gateway.post(gateway.event("late"), gateway.event("of-others", user="bob"))
    await gateway.post(
        gateway.event("old-import", **imported),
        gateway.event("new-import", occurred_at=later, **imported),
        topic=topics.BACKFILL,
    )
    await gateway.post(gateway.event("anew", received_at=later))
    await gateway.settled()
    history = await gateway.get("/v1/activity", user="ada")
    assert {event["id"] for event in history["items"]} == {"eanew", "enew-import"}
    assert (await gateway.client.get("/v1/activity/eof-others")).status_code == 200
    unshown = await gateway.pool.fetchval("select count(*) from gateway.unshown")
    assert unshown == 2
    assert await _differences(gateway) == {}


async def test_a_receipt_says_who_has_not_confirmed(gateway: Gateway) -> None:
    await gateway.post(gateway.event("first"))
    await gateway.settled()
    receipt = (await gateway.client.delete("/v1/users/ada")).json()

    async def removed_here() -> bool:
        waits = (await gateway.get(f"/v1/forgotten/{receipt['id']}"))["waits_for"]
        return bool(waits == ["rule-engine (0 of 4 parts)", "importer", "the log"])

    await eventually(removed_here)
    assert (await gateway.get("/v1/forgotten"))["items"][0]["state"] == "removing"
    other = await gateway.projects.create("other")
    theirs = {"authorization": f"Bearer {other.secret_key}"}
    unknown = await gateway.client.get(f"/v1/forgotten/{receipt['id']}", headers=theirs)
    assert unknown.status_code == 404
