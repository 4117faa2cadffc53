"""Rejected events, corrected and replayed: through admission, in their own time, once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from access.plans import Plans
from eventmodel import topics
from eventmodel.wire import encode
from gateway_rejections import MISNAMED, SENDER, activities, events, post, refuse, rejected
from policy import read_plan
from running_gateway import NOW, Gateway, running_gateway


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url) as running:
        yield running


async def test_a_corrected_event_counts_once_however_often_it_is_replayed(gateway: Gateway) -> None:
    name = await refuse(gateway)
    body = {"event": {"user": "ada", "account": "acme", "action": "opened report"}}
    for _ in range(2):
        answer = await post(gateway, f"/{name}/replay", body)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, [])
    assert await activities(gateway) == 1
    first, second = await events(gateway)
    assert (first.id, first.origin, first.user, first.sender) == (second.id, "replay", "ada", SENDER)
    assert first.occurred_at == first.received_at == NOW - timedelta(minutes=10)
    shown = (await gateway.get("/v1/activity"))["items"]
    assert [(one["id"], one["origin"]) for one in shown] == [(first.id, "replay")]
    whole = await gateway.get(f"/v1/rejected/{name}")
    assert whole["state"] == "replayed"
    assert whole["outcome"] == {
        "at": "2026-11-22T12:00:00Z",
        "by": next(k.id for k in await gateway.projects.keys(gateway.project.project) if k.kind == "secret"),
        "run": first.run,
        "events": [first.id],
    }


async def test_the_original_time_survives(gateway: Gateway) -> None:
    at = NOW - timedelta(days=3)
    sent = {**MISNAMED, "time": "2026-11-19T09:00:00Z", "sent_at": "2026-11-19T09:05:00Z", "id": "own"}
    name = await refuse(gateway, sent, received_at=at)
    answer = await post(gateway, "/replay", {"ids": [name], "rename": {"userId": "user"}})
    assert answer.json()["accepted"] == 1
    (event,) = await events(gateway)
    # The sender's clock was 2 h 55 min behind when the event first came in.
    assert (event.id, event.marks) == ("own", ["skew_corrected"])
    assert (event.occurred_at.isoformat(), event.received_at) == ("2026-11-19T11:55:00+00:00", at)


async def test_a_replay_that_is_refused_again_says_why_and_stays_open(gateway: Gateway) -> None:
    name = await refuse(gateway)
    answer = await post(gateway, f"/{name}/replay")
    assert answer.status_code == 400
    told = {
        "code": "unknown_field",
        "message": "There is no field `userId`.",
        "field": "userId",
        "hint": 'Call it "user".',
    }
    assert answer.json() == {"accepted": 0, "rejected": [{"index": 0, **told}], "dry_run": False, **told}
    assert (await gateway.get(f"/v1/rejected/{name}"))["state"] == "open"
    assert await events(gateway) == []


async def test_a_check_stores_nothing(gateway: Gateway) -> None:
    name = await refuse(gateway)
    for event, accepted in (({"user": "ada", "action": "a"}, 1), ({"user": "ada"}, 0)):
        answer = await post(gateway, f"/{name}/replay", {"event": event, "dry_run": True})
        assert (answer.status_code, answer.json()["accepted"]) == (200, accepted)
    answer = await post(
        gateway, "/replay", {"code": "unknown_field", "rename": {"userId": "user"}, "dry_run": True}
    )
    assert (answer.json()["accepted"], answer.json()["run"]) == (1, None)
    assert (await gateway.get(f"/v1/rejected/{name}"))["state"] == "open"
    assert await events(gateway) == []


async def test_admission_judges_the_bytes_as_they_were_written(gateway: Gateway) -> None:
    name = await refuse(gateway)
    twice = b'{"event": {"user": "ada", "action": "a", "action": "b"}}'
    answer = await post(gateway, f"/{name}/replay", twice)
    assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_key")


async def test_another_event_is_not_replayed_in_place_of_the_first(gateway: Gateway) -> None:
    name = await refuse(gateway)
    assert (
        await post(gateway, f"/{name}/replay", {"event": {"user": "ada", "action": "a"}})
    ).status_code == 200
    answer = await post(gateway, f"/{name}/replay", {"event": {"user": "bob", "action": "a"}})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_replayed")
    assert len(await events(gateway)) == 1


async def test_two_who_replay_at_once_replay_one_event(gateway: Gateway) -> None:
    name = await refuse(gateway)
    answers = await asyncio.gather(
        *(post(gateway, f"/{name}/replay", {"event": {"user": f"u{n}", "action": "a"}}) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    assert len(await events(gateway)) == 1


async def test_after_a_failed_append_only_the_same_event_can_be_replayed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await refuse(gateway)
    await gateway.settled()
    append = gateway.log.append

    async def fails(topic: str, messages: Any) -> Any:
        await append(topic, messages)
        raise TimeoutError

    monkeypatch.setattr(gateway.log, "append", fails)
    body = {"event": {"user": "ada", "account": "acme", "action": "a"}}
    failed = await gateway.client.post(f"/v1/rejected/{name}/replay", json=body)
    assert failed.status_code == 503
    monkeypatch.undo()
    other = await post(gateway, f"/{name}/replay", {"event": {"user": "bob", "action": "a"}})
    assert other.json()["code"] == "already_replayed"
    assert (await post(gateway, f"/{name}/replay", body)).status_code == 200
    assert await activities(gateway) == 1


async def test_many_are_corrected_alike_and_replayed_once(gateway: Gateway) -> None:
    for n in range(5):
        await refuse(gateway, {**MISNAMED, "userId": f"user-{n}", "properties": {"Plan": "pro", "secret": n}})
    await refuse(gateway, {"userId": "eve"})
    fix = {
        "rename": {"userId": "user", "properties.Plan": "properties.plan"},
        "remove": ["properties.secret"],
        "set": {"properties.seats": 5},
    }
    answer = (await post(gateway, "/replay", {"code": "unknown_field", **fix})).json()
    assert (answer["accepted"], answer["left"], answer["next"]) == (5, 0, None)
    assert [one["code"] for one in answer["rejected"]] == ["missing_action"]
    found = await events(gateway)
    assert {event.user for event in found} == {f"user-{n}" for n in range(5)}
    assert all(event.properties == {"plan": "pro", "seats": 5} for event in found)
    assert {event.run for event in found} == {answer["run"]}
    again = (await post(gateway, "/replay", {"code": "unknown_field", **fix})).json()
    assert (again["accepted"], len(again["rejected"])) == (0, 1)
    assert await activities(gateway) == 5


async def test_many_go_in_portions_and_say_what_is_left(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_gateway.rejected.routes.MAX_AT_ONCE", 3)
    ids = [await refuse(gateway, received_at=NOW - timedelta(minutes=n)) for n in range(8)]
    seen, after = [], None
    for left in (5, 2, 0):
        answer = (await post(gateway, "/replay", {"all": True, "after": after, "dry_run": True})).json()
        seen += [one["id"] for one in answer["rejected"]]
        assert answer["left"] == left
        after = answer["next"]
    assert (seen, after) == (ids[::-1], None)
    gone = (await post(gateway, "/dismiss", {"code": "unknown_field"})).json()
    assert gone == {"dismissed": 3, "left": 5}
    assert len(await rejected(gateway, state="open")) == 5
    needed = await post(gateway, "/replay", {"dry_run": True})
    assert (needed.status_code, needed.json()["code"]) == (422, "selection_needed")
    many = await post(gateway, "/dismiss", {"ids": ids[:4]})
    assert (many.status_code, many.json()["code"]) == (422, "too_many")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"place": {"path": "/v1/batch", "index": 0}}, "foreign_form"),
        ({"body_truncated": True}, "body_truncated"),
        ({"source": "import", "body": '1.2.3.4 - - "GET /"', "run": "r1"}, "foreign_form"),
        ({"source": "consumer", "place": {"topic": topics.ACTIONS, "part": 0, "offset": 1}}, "foreign_form"),
    ],
    ids=["another vendor's", "cut", "a line of a log", "no event"],
)
async def test_what_is_no_native_event_needs_a_corrected_one(
    gateway: Gateway, fields: dict[str, Any], code: str
) -> None:
    name = await refuse(gateway, **fields)
    answer = await post(gateway, f"/{name}/replay")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    whole = await gateway.get(f"/v1/rejected/{name}")
    assert (whole["event"], whole["obstacle"]["code"]) == (None, code)
    assert (
        await post(gateway, f"/{name}/replay", {"event": {"user": "ada", "action": "a"}})
    ).status_code == 200


async def test_what_was_mapped_from_another_vendors_form_is_replayed_as_that(gateway: Gateway) -> None:
    mapped = json.dumps(
        {"user": "ada", "account": "acme", "id": "m-7", "evnt": "x", "time": "2026-11-22T09:00:00Z"}
    )
    name = await refuse(
        gateway, {"userId": "ada", "type": "track"}, place={"path": "/v1/batch", "index": 3}, event=mapped
    )
    await rejected(gateway)
    assert (await gateway.get(f"/v1/rejected/{name}"))["event"] == mapped
    answer = await post(
        gateway, "/replay", {"ids": [name], "set": {"action": "opened report"}, "remove": ["evnt"]}
    )
    assert answer.json()["accepted"] == 1
    (event,) = await events(gateway)
    assert (event.id, event.user, event.occurred_at.hour) == ("m-7", "ada", 9)


async def test_a_line_of_an_import_joins_its_run_in_the_backfill(gateway: Gateway) -> None:
    line = {**MISNAMED, "time": "2025-05-17T10:05:03Z"}
    name = await refuse(gateway, line, source="import", run="imp_1", sender=None)
    answer = await post(gateway, "/replay", {"ids": [name], "rename": {"userId": "user"}})
    assert answer.json()["accepted"] == 1
    (event,) = await events(gateway, topics.BACKFILL)
    assert (event.origin, event.run, event.occurred_at.year) == ("import", "imp_1", 2025)
    assert await events(gateway) == []


async def test_a_record_that_was_set_aside_is_replayed_as_the_event_it_was(gateway: Gateway) -> None:
    event = gateway.event(1, sent_at=NOW - timedelta(hours=1), occurred_at=NOW - timedelta(hours=2))
    name = await refuse(
        gateway,
        encode(event),
        source="consumer",
        code="poison_record",
        place={"topic": topics.EVENTS, "part": 1, "offset": 5},
        received_at=NOW,
    )
    assert (await post(gateway, f"/{name}/replay")).status_code == 200
    (again,) = await events(gateway)
    assert (again.id, again.user, again.account) == ("e1", "ada", "acme")
    assert (again.occurred_at, again.marks, again.origin) == (event.occurred_at, [], "replay")


async def test_a_whole_body_is_replayed_all_or_not_at_all(gateway: Gateway) -> None:
    name = await refuse(
        gateway, b'[{"user": "ada", "action": "a"}, ', code="invalid_json", place={"path": "/v1/events"}
    )
    halves = {"event": [{"user": "ada", "action": "a"}, {"user": "bob"}]}
    refused = await post(gateway, f"/{name}/replay", halves)
    assert (refused.status_code, refused.json()["accepted"]) == (400, 0)
    assert [(one["index"], one["code"]) for one in refused.json()["rejected"]] == [(1, "missing_action")]
    assert await events(gateway) == []
    halves["event"][1]["action"] = "b"
    assert (await post(gateway, f"/{name}/replay", halves)).json()["accepted"] == 2
    assert len({event.id for event in await events(gateway)}) == 2
    assert (await post(gateway, f"/{name}/replay", b'{"event": []}')).status_code in (400, 409)


async def test_a_replayed_rejection_cannot_be_dismissed_and_a_dismissed_one_can_be_replayed(
    gateway: Gateway,
) -> None:
    name = await refuse(gateway)
    assert (await post(gateway, f"/{name}/dismiss")).json()["outcome"]["by"]
    assert (
        await post(gateway, f"/{name}/replay", {"event": {"user": "a", "action": "a"}})
    ).status_code == 200
    again = await post(gateway, f"/{name}/dismiss")
    assert (again.status_code, again.json()["code"]) == (409, "already_replayed")
    assert (await post(gateway, "/dismiss", {"all": True})).json() == {"dismissed": 0, "left": 0}


@pytest.mark.parametrize("body", [b"{", b'{"evnt": {}}', b"[1]", b'{"ids": ["\\u0000"]}', b'{"rename": 5}'])
async def test_a_body_of_the_wrong_shape_is_told_so(gateway: Gateway, body: bytes) -> None:
    answer = await post(gateway, "/replay", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("invalid_json", "invalid_body")


async def test_what_the_plan_sets_aside_or_blocks_stays_open_until_the_plan_lets_it_in(
    gateway: Gateway,
) -> None:
    name = await refuse(gateway, {"user": "ada", "account": "acme", "action": "upgraded"}, quarantined=True)
    for mode, code in (("quarantine", 400), ("block", 400), ("warn", 200)):
        await plan(gateway, mode)
        answer = await post(gateway, f"/{name}/replay")
        assert answer.status_code == code, answer.text
        assert len(await events(gateway)) == (code == 200)
    assert await activities(gateway) == 1


async def plan(gateway: Gateway, mode: str) -> None:
    """Put a plan in force that knows of no upgrade."""
    wanted = read_plan({"mode": mode, "actions": {"opened report": {}}})
    await Plans(gateway.pool, gateway.clock).apply(gateway.project.project, wanted)
    await gateway.refresh()
