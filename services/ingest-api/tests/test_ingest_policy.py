"""What a project's plan and privacy rules make of requests: answers, records, what is kept of the refused."""

import hmac
import json
from typing import Any

import httpx
import pytest

from eventlog.errors import LogUnavailable
from eventlog.memory import MemoryLog
from eventmodel import topics
from ingest_stand import HASH_KEY, IngestStand, open_stand
from policy import PrivacyRules

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"}
PLAN: dict[str, Any] = {
    "mode": "quarantine",
    "actions": {
        "opened report": {"properties": {"rows": {"type": "integer"}}, "required": ["rows"]},
        "clicked": {"mode": "warn", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
        "paid": {"mode": "block", "properties": {"sum": {"type": "number"}}, "required": ["sum"]},
        "looked": {"mode": "observe", "required": ["x"]},
    },
}


async def _post(
    stand: IngestStand, body: Any, path: str = "/v1/events", *, peer: str = "198.51.100.77", **headers: str
) -> httpx.Response:
    transport = httpx.ASGITransport(stand.app, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest.test") as client:
        return await client.post(
            path, json=body, headers={**stand.authorization, "user-agent": "curl/8.5", **headers}
        )


def _event(action: str, **properties: Any) -> dict[str, Any]:
    return {"user": "ada", "action": action, "properties": properties}


async def test_without_a_plan_the_answer_says_nothing_of_one() -> None:
    answer = (await _post(await open_stand(), _event("anything"))).json()
    assert answer == {"accepted": 1, "rejected": []}


async def test_each_mode_answers_by_index_and_decides_where_the_event_goes() -> None:
    stand = await open_stand(plan=PLAN)
    body = [
        _event("opened report", rows=1),
        _event("opened report"),
        _event("clicked"),
        _event("paid"),
        _event("looked"),
    ]
    response = await _post(stand, body)
    answer = response.json()
    assert response.status_code == 200
    assert answer["accepted"] == 3
    [quarantined], [warned], [rejected] = answer["quarantined"], answer["warnings"], answer["rejected"]
    assert (quarantined["index"], quarantined["code"], quarantined["field"]) == (
        1,
        "missing_property",
        "properties.rows",
    )
    assert (warned["index"], warned["code"]) == (2, "missing_property")
    assert (rejected["index"], rejected["code"]) == (3, "missing_property")
    assert sorted(event.action for event in await stand.events()) == ["clicked", "looked", "opened report"]
    kept = {json.loads(record.body)["action"]: record for record in await stand.rejected()}
    assert {action: record.quarantined for action, record in kept.items()} == {
        "opened report": True,
        "paid": False,
    }
    for mode in ("observe", "warn", "quarantine", "block"):
        assert stand.count("footfall_plan_violations_total", mode=mode, code="missing_property") == 1
    for outcome, count in (("accepted", 3), ("quarantined", 1), ("rejected", 1)):
        assert stand.count("footfall_ingest_events_total", outcome=outcome) == count


async def test_what_is_all_quarantined_is_answered_200() -> None:
    response = await _post(await open_stand(plan=PLAN), _event("opend report", rows=1))
    assert response.status_code == 200
    assert response.json()["accepted"] == 0
    [verdict] = response.json()["quarantined"]
    assert verdict["code"] == "unplanned_action"
    assert verdict["hint"] == 'Did you mean "opened report"?'


async def test_a_large_quarantined_event_is_kept_whole_and_a_larger_one_rejected() -> None:
    stand = await open_stand(plan=PLAN)
    large, larger = (_event("opened report", text='"' * count) for count in (100_000, 200_000))
    answer = (await _post(stand, [large, larger])).json()
    assert ([q["index"] for q in answer["quarantined"]], [r["index"] for r in answer["rejected"]]) == (
        [0],
        [1],
    )
    kept = [record for record in await stand.rejected() if record.quarantined]
    assert [json.loads(record.body) for record in kept] == [large]


class _NoRejected(MemoryLog):
    async def append(self, topic: str, messages: Any) -> None:
        if topic == topics.REJECTED:
            raise LogUnavailable("away")
        await super().append(topic, messages)


async def test_what_cannot_be_set_aside_is_not_answered_as_if_it_were() -> None:
    stand = await open_stand(_NoRejected(partitions=4), plan=PLAN)
    assert (await _post(stand, _event("opened report"))).status_code == 503


async def test_quarantine_is_not_bounded_by_what_is_kept_of_rejected_events() -> None:
    stand = await open_stand(plan=PLAN, project_rejected_per_minute=0)
    await _post(stand, [_event("opened report")] * 3)
    assert len(await stand.rejected()) == 3


async def test_another_vendors_sdk_sees_success_and_the_native_event_is_kept() -> None:
    stand = await open_stand(plan=PLAN)
    sent = {"event": "opened report", "userId": "ada", "messageId": "m-1", "properties": {"row": 1}}
    response = await _post(stand, sent, "/v1/track")
    assert response.status_code == 200
    [record] = await stand.rejected()
    assert record.quarantined
    assert record.event is not None
    assert json.loads(record.event)["action"] == "opened report"
    assert json.loads(record.body) == sent


@pytest.mark.parametrize("query", ["ip=0", "ip=1"])
async def test_mixpanels_ip_says_whether_the_browsers_address_is_the_persons(query: str) -> None:
    stand = await open_stand()
    sent = {"event": "a", "properties": {"token": stand.write_key, "distinct_id": "ada"}}
    response = await _post(stand, [sent], f"/track?{query}", **BROWSER)
    assert response.status_code == 200
    [event] = await stand.events()
    assert event.context.get("ip") == (None if query == "ip=0" else "198.51.100.0")


async def test_every_vendors_sdk_sees_success_of_what_is_quarantined_and_no_value_in_a_refusal() -> None:
    stand = await open_stand(plan=PLAN, rules=PrivacyRules(redact=("properties.card",)))
    item = {
        "event": "opened report",
        "properties": {"distinct_id": "ada", "card": "zqsecret", "time": 1_700_000_000},
    }
    answer = (await _post(stand, [item], "/import?strict=1")).json()
    assert (answer["code"], answer["num_records_imported"]) == (200, 1)
    refused = await _post(stand, [{**item, "event": "paid"}], "/import?strict=1")
    assert refused.status_code == 400
    assert "zqsecret" not in refused.text


async def test_a_browser_is_recorded_and_a_server_is_not() -> None:
    stand = await open_stand()
    await _post(stand, _event("a"), **BROWSER)
    await _post(stand, _event("b"))
    await _post(stand, _event("c"), **BROWSER, authorization=f"Bearer {stand.secret_key}")
    found = {event.action: event.context for event in await stand.events()}
    assert found == {"a": {"ip": "198.51.100.0", "user_agent": BROWSER["user-agent"]}, "b": {}, "c": {}}


@pytest.mark.parametrize(
    ("rule", "sent", "kept"),
    [
        ("keep", None, "198.51.100.77"),
        ("truncate", None, "198.51.100.0"),
        ("drop", None, None),
        ("keep", "203.0.113.9", "203.0.113.9"),
        ("truncate", "203.0.113.9", "203.0.113.0"),
        ("truncate", "2001:db8:1:2::3", "2001:db8:1::"),
        ("truncate", "::ffff:203.0.113.9", "203.0.113.0"),
        ("truncate", "not an address", None),
        ("drop", "203.0.113.9", None),
        *((rule, sent, None) for rule in ("keep", "truncate") for sent in ("0.0.0.0", "0", 0, False)),
    ],
)
async def test_an_address_is_kept_as_the_project_says(rule: Any, sent: Any, kept: str | None) -> None:
    stand = await open_stand(rules=PrivacyRules(ip=rule))
    event = _event("a") if sent is None else {**_event("a"), "context": {"ip": sent}}
    await _post(stand, event, **BROWSER)
    [stored] = await stand.events()
    assert stored.context.get("ip") == kept


async def test_a_senders_own_user_agent_stays() -> None:
    stand = await open_stand()
    await _post(stand, {**_event("a"), "context": {"userAgent": "mine"}}, **BROWSER)
    [event] = await stand.events()
    assert event.context == {"ip": "198.51.100.0", "userAgent": "mine"}


async def test_values_are_taken_out_or_replaced_and_the_event_says_so() -> None:
    rules = PrivacyRules(redact=("properties.card.number", "**.password"), hash=("traits.email",))
    stand = await open_stand(rules=rules)
    await _post(
        stand,
        {
            **_event("a", card={"number": "4111", "kind": "visa"}, deep=[{"Password": "zq"}]),
            "traits": {"email": "ada@acme.example"},
        },
    )
    [event] = await stand.events()
    assert event.properties == {"card": {"kind": "visa"}, "deep": [{}]}
    digest = hmac.digest(HASH_KEY, b"ada@acme.example", "sha256").hex()
    assert event.traits == {"email": f"hmac-sha256:{digest}"}
    assert event.marks == ["hashed", "redacted"]


async def test_what_is_kept_of_refused_events_obeys_the_rules() -> None:
    stand = await open_stand(rules=PrivacyRules(redact=("properties.card", "**.password"), ip="drop"))
    secret = "zqsecret"
    bodies: list[bytes] = [
        json.dumps(
            {"properties": {"card": secret}, "password": secret, "context": {"ip": "203.0.113.9"}}
        ).encode(),
        json.dumps({"user": "ada", "properties": secret}).encode(),
        json.dumps({"user": {"password": secret}}).encode(),
        b'{"properties":{"card":"zqsecret"},"properties":{}}',
        b'{"properties":{"card":"zqsecret"}',
        b'["zqsecret"',
        json.dumps([secret]).encode(),
    ]
    transport = httpx.ASGITransport(stand.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest.test") as client:
        for body in bodies:
            for path in ("/v1/events", "/v1/track", "/v1/batch", "/t.gif"):
                await client.post(path, content=body, headers=stand.authorization)
    records = await stand.records(topics.REJECTED)
    assert len(records) > len(bodies)
    assert [
        record.value for record in records if secret.encode() in record.value or b"203.0.113" in record.value
    ] == []


@pytest.mark.parametrize(
    ("consent", "stored"),
    [
        (True, 1),
        ("granted", 1),
        ({"categoryPreferences": {"analytics": True, "advertising": False}}, 1),
        ({"analytics": "granted"}, 1),
        (None, 0),
        (False, 0),
        ("denied", 0),
        ({"categoryPreferences": {"advertising": True}}, 0),
        ({"categoryPreferences": {"analytics": False}}, 0),
    ],
)
async def test_without_consent_nothing_is_kept(consent: Any, stored: int) -> None:
    stand = await open_stand(rules=PrivacyRules(consent="required"))
    response = await _post(stand, {**_event("a"), "context": {"consent": consent}})
    assert len(await stand.events()) == stored
    assert await stand.rejected() == []
    if not stored:
        assert response.json()["code"] == "no_consent"
        assert stand.count("footfall_ingest_rejections_total", code="no_consent") == 1


async def test_nothing_is_kept_either_of_what_is_refused_for_another_reason() -> None:
    stand = await open_stand(rules=PrivacyRules(consent="required"))
    given = {"context": {"consent": True}}
    await _post(stand, [{"user": "ada"}, 7, {"user": "bob", **given}])
    await _post(stand, {"event": "", "type": "track", "userId": "ada"}, "/v1/track")
    assert [json.loads(record.body)["user"] for record in await stand.rejected()] == ["bob"]


@pytest.mark.parametrize("header", ["sec-gpc", "dnt"])
async def test_a_browsers_signal_refuses_where_the_project_listens(header: str) -> None:
    for listens in (True, False):
        stand = await open_stand(rules=PrivacyRules(opt_out_signals=listens))
        await _post(stand, [_event("a"), {"user": "ada"}], **BROWSER, **{header: "1"})
        await _post(stand, _event("b"), **{header: "1"})
        assert sorted(event.action for event in await stand.events()) == (["b"] if listens else ["a", "b"])
        assert len(await stand.rejected()) == (0 if listens else 1)
