import base64
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from eventmodel import Event
from ingest_stand import IngestStand, open_stand

ITEM = {"event": "A", "properties": {"distinct_id": "u1", "$insert_id": "i1", "time": 1767225600, "x": "??>"}}


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


def _item(key: str, **properties: Any) -> dict[str, Any]:
    return {"event": "A", "properties": {**ITEM["properties"], "token": key, **properties}}  # type: ignore[dict-item]


def _base64(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


async def _tracked(
    stand: IngestStand, client: httpx.AsyncClient, item: object, path: str = "/track"
) -> Event:
    answer = await client.post(path, json=item)
    assert answer.text in ("1", '{"code":200,"num_records_imported":1,"status":"OK"}'), answer.text
    (event,) = await stand.events()
    return event


@pytest.mark.parametrize("path", ["/track", "/track/", "/compat/mixpanel/track", "/compat/mixpanel/track/"])
async def test_an_event_arrives_in_every_package_it_may_come_in(
    stand: IngestStand, client: httpx.AsyncClient, path: str
) -> None:
    item = _item(stand.write_key)
    encoded = _base64(item)
    bodies: list[tuple[bytes, dict[str, str]]] = [
        (b"data=" + encoded.encode(), {"content-type": "application/x-www-form-urlencoded"}),
        (b"data=" + encoded.rstrip("=").encode(), {"content-type": "text/plain"}),
        (b"ip=1&data=" + encoded.replace("+", "%2B").replace("=", "%3D").encode(), {}),
        (b"data=" + json.dumps(item).replace("+", "%2B").encode(), {}),
        (b"data=" + base64.b64encode(gzip.compress(json.dumps(item).encode())), {}),
        (json.dumps(item).encode(), {"content-type": "application/json"}),
        (json.dumps([item]).encode(), {}),
        (gzip.compress(json.dumps(item).encode()), {"content-encoding": "gzip"}),
        (encoded.encode(), {}),
    ]
    for body, headers in bodies:
        answer = await client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.text) == (200, "1"), body
    answer = await client.get(path, params={"data": encoded})
    assert (answer.status_code, answer.text) == (200, "1")
    events = await stand.events()
    assert len(events) == len(bodies) + 1
    assert {(event.user, event.action, event.id, event.properties["x"]) for event in events} == {
        ("u1", "A", "i1", "??>")
    }


async def test_a_plus_that_a_form_turned_into_a_space_is_mended(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    data = "eyJldmVudCI6IkEiLCJwcm9wZXJ0aWVzIjp7InRva2VuIjoiVCIsImRpc3RpbmN0X2lkIjoidTEiLCJ4IjoiPz8 In19"
    answer = await client.post("/track", data={"data": data}, headers=stand.authorization)
    assert answer.text == "1"
    (event,) = await stand.events()
    assert (event.user, event.action, event.properties) == ("u1", "A", {"x": "??>"})


async def test_several_lines_are_several_events(stand: IngestStand, client: httpx.AsyncClient) -> None:
    lines = "\n".join(json.dumps(_item(stand.write_key, **{"$insert_id": f"i{n}"})) for n in range(3))
    answer = await client.post("/import", content=lines, headers={"content-type": "application/x-ndjson"})
    assert (answer.status_code, answer.text) == (200, '{"code":200,"num_records_imported":3,"status":"OK"}')
    assert {event.id for event in await stand.events()} == {"i0", "i1", "i2"}


async def test_standard_properties_stand_where_every_vendors_stand(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    given = {
        "$current_url": "https://app.example/reports?utm_source=mail",
        "$referrer": "https://search.example/",
        "$browser": "Chrome",
        "$browser_version": 140,
        "$os": "Linux",
        "$screen_width": 1920,
        "utm_source": "mail",
        "mp_lib": "web",
        "$lib_version": "2.83.0",
        "$had_persisted_distinct_id": True,
        "ip": "192.0.2.7",
        "plan": "pro",
        "$unset_by_us": None,
    }
    event = await _tracked(stand, client, _item(stand.write_key, **given))
    assert event.properties == {"x": "??>", "plan": "pro"}
    assert event.context == {
        "page": {"url": given["$current_url"], "referrer": "https://search.example/"},
        "browser": {"name": "Chrome", "version": 140},
        "os": {"name": "Linux"},
        "screen": {"width": 1920},
        "campaign": {"source": "mail"},
        "library": {"name": "mixpanel-web", "version": "2.83.0"},
        # Cut by the project's policy, which is asked about every vendor's events.
        "ip": "192.0.2.0",
        "mixpanel": {"$had_persisted_distinct_id": True, "$unset_by_us": None},
    }
    assert event.sender is not None
    assert event.sender.sdk == "mixpanel-web/2.83.0"


@pytest.mark.parametrize(
    ("time", "occurred_at"),
    [
        (1767225600, datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600.25, datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        (1767225600250, datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("1767225600", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
async def test_a_time_is_seconds_or_milliseconds(
    stand: IngestStand, client: httpx.AsyncClient, time: object, occurred_at: datetime
) -> None:
    assert (await _tracked(stand, client, _item(stand.write_key, time=time))).occurred_at == occurred_at


async def test_a_browsers_wrong_clock_shows_in_the_time_it_adds_against_caches(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    hour_ago_s = datetime.now(UTC).timestamp() - 3600
    item = _item(stand.write_key, time=hour_ago_s - 5)
    answer = await client.post(f"/track/?_={int(hour_ago_s * 1000)}", json=item)
    assert answer.text == "1"
    (event,) = await stand.events()
    assert event.marks == ["skew_corrected"]
    assert (event.received_at - event.occurred_at).total_seconds() == pytest.approx(5, abs=1)


@pytest.mark.parametrize(
    ("properties", "user", "anonymous_id"),
    [
        ({"distinct_id": "u1"}, "u1", None),
        ({"distinct_id": 17}, "17", None),
        ({"distinct_id": "$device:d1", "$device_id": "d1"}, None, "d1"),
        ({"distinct_id": "$device:d1"}, None, "d1"),
        ({"distinct_id": "u1", "$user_id": "u1", "$device_id": "d1"}, "u1", "d1"),
        ({"distinct_id": "$device:d1", "$user_id": "u1", "$device_id": "d1"}, "u1", "d1"),
        # The browser SDK of 2020: the device's id stands alone until somebody is known.
        ({"distinct_id": "d1", "$device_id": "d1"}, None, "d1"),
        ({"distinct_id": ""}, None, None),
    ],
)
async def test_who_did_it_is_a_user_or_a_device(
    stand: IngestStand,
    client: httpx.AsyncClient,
    properties: dict[str, Any],
    user: str | None,
    anonymous_id: str | None,
) -> None:
    event = await _tracked(stand, client, _item(stand.write_key, **properties))
    assert (event.user, event.anonymous_id) == (user, anonymous_id)


@pytest.mark.parametrize(
    ("name", "properties", "kind", "user", "other"),
    [
        ("$identify", {"distinct_id": "u1", "$anon_distinct_id": "$device:d1"}, "identify", "u1", "d1"),
        ("$identify", {"distinct_id": "x", "$identified_id": "u1", "$anon_id": "d1"}, "identify", "u1", "d1"),
        ("$identify", {"distinct_id": "u1", "$user_id": "u1", "$device_id": "d1"}, "identify", "u1", "d1"),
        ("$create_alias", {"distinct_id": "old", "alias": "u1"}, "alias", "u1", "old"),
        ("$create_alias", {"distinct_id": "$device:d1", "alias": "u1"}, "alias", "u1", "d1"),
        ("$merge", {"$distinct_ids": ["u1", "old"]}, "alias", "u1", "old"),
        ("$merge", {"$distinct_ids": ["$device:d1", "u1"]}, "alias", "u1", "d1"),
    ],
)
async def test_calls_that_join_two_ids_do_so_here(
    stand: IngestStand,
    client: httpx.AsyncClient,
    name: str,
    properties: dict[str, Any],
    kind: str,
    user: str,
    other: str,
) -> None:
    item = {"event": name, "properties": {"token": stand.write_key, **properties}}
    event = await _tracked(stand, client, item, "/import")
    assert (event.kind, event.user) == (kind, user)
    assert (event.previous_id if kind == "alias" else event.anonymous_id) == other


@pytest.mark.parametrize("ids", [["u1"], ["u1", "u2", "u3"], "u1", None])
async def test_a_merge_of_other_than_two_ids_is_refused(
    stand: IngestStand, client: httpx.AsyncClient, ids: object
) -> None:
    item = {"event": "$merge", "properties": {"token": stand.write_key, "$distinct_ids": ids}}
    answer = await client.post("/import", json=[item])
    assert (answer.status_code, answer.json()["num_records_imported"]) == (400, 0)


@pytest.mark.parametrize(
    ("properties", "account"),
    [
        ({"company": ["acme"]}, "acme"),
        ({"company": "Acme Inc.", "company_id": 7}, "7"),
        ({"$groups": {"company": "acme", "plan": "pro"}, "company": "other"}, "acme"),
        ({"Account ID": "acme", "team": "red"}, "acme"),
        ({"workspaceId": "w1"}, "w1"),
        ({"company": []}, None),
        ({"plan": ["pro"]}, None),
    ],
)
async def test_an_account_is_what_the_documented_group_keys_name(
    stand: IngestStand, client: httpx.AsyncClient, properties: dict[str, Any], account: str | None
) -> None:
    event = await _tracked(stand, client, _item(stand.write_key, **properties))
    assert event.account == account
    assert event.properties == {"x": "??>", **properties}


async def test_a_persons_profile_is_known_by_its_traits(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    items: list[dict[str, Any]] = [
        {"$set": {"$email": "ada@acme.example", "plan": "pro"}, "$ip": "192.0.2.7", "$time": 1767225600},
        {"$set_once": {"first": "2026-01-01"}, "$ip": "0"},
        {"$add": {"credits": -3}},
        {"$unset": ["plan"]},
        {"$delete": ""},
    ]
    for item in items:
        given = {"$token": stand.write_key, "$distinct_id": "ada", **item}
        answer = await client.post("/engage", data={"data": json.dumps(given), "verbose": "1"})
        assert (answer.status_code, answer.text) == (200, '{"status":1,"error":null}')
    events = await stand.events()
    assert {(event.kind, event.user) for event in events} == {("identify", "ada")}
    assert [event.traits for event in events] == [
        {"email": "ada@acme.example", "plan": "pro"},
        {"first": "2026-01-01"},
        {},
        {},
        {},
    ]
    assert events[0].occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert [event.context for event in events] == [
        {"ip": "192.0.2.0"},
        {},
        {"mixpanel": {"$add": {"credits": -3}}},
        {"mixpanel": {"$unset": ["plan"]}},
        {"mixpanel": {"$delete": ""}},
    ]


async def test_a_charge_is_an_activity_and_sent_again_the_same_one(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    charge: dict[str, object] = {"$time": "2026-01-02T03:04:05", "$amount": 29.99, "sku": "s1"}
    item: dict[str, object] = {
        "$token": stand.write_key,
        "$distinct_id": "ada",
        "$append": {"$transactions": charge},
    }
    other_item = {**item, "$append": {"$transactions": {**charge, "$amount": 5}, "seen": 1}}
    for sent in (item, item, other_item):
        assert (await client.post("/engage", json=sent)).text == "1"
    first, again, profile, other = await stand.events()
    assert (first.kind, first.action, first.user) == ("track", "charged", "ada")
    assert first.properties == {"amount": 29.99, "sku": "s1"}
    assert first.occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert first.id == again.id != other.id
    assert (profile.kind, profile.context) == ("identify", {"mixpanel": {"$append": {"seen": 1}}})


async def test_a_groups_profile_is_an_accounts_when_its_key_is(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    company = {"$group_key": "company", "$group_id": "acme", "$set": {"$name": "Acme"}}
    plan = {"$group_key": "plan", "$group_id": "pro", "$set": {"seats": 5}}
    given = [{"$token": stand.write_key, **item} for item in (company, plan)]
    assert (await client.post("/groups", json=given)).text == "1"
    (event,) = await stand.events()
    assert (event.kind, event.account, event.user, event.traits) == ("group", "acme", None, {"name": "Acme"})
    (kept,) = await stand.rejected()
    assert (kept.code, json.loads(kept.body)) == ("unknown_group_key", plan)


async def test_items_of_another_token_are_refused_and_no_token_is_kept(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    items = [_item(stand.write_key), _item(stand.other_write_key), {"event": "A", "properties": {}}]
    answer = await client.post("/track?verbose=1", json=items)
    assert (answer.status_code, answer.json()) == (200, {"status": 1, "error": None})
    assert len(await stand.events()) == 2
    assert {event.project for event in await stand.events()} == {"pabcdefgh234"}
    (kept,) = await stand.rejected()
    assert (kept.code, kept.place) == ("another_token", {"path": "/track", "index": 1})
    assert "token" not in json.loads(kept.body)["properties"]


async def test_the_key_may_be_the_token_the_user_name_or_the_old_parameter(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    item = _item("0123456789abcdef0123456789abcdef")
    basic = {"authorization": "Basic " + base64.b64encode(f"{stand.secret_key}:".encode()).decode()}
    account = {"authorization": "Basic " + base64.b64encode(b"service.account:pw").decode()}
    for query, headers, sent in (
        ("", basic, item),
        (f"?api_key={stand.write_key}", {}, item),
        ("?project_id=7", account, _item(stand.write_key)),
    ):
        answer = await client.post(f"/import{query}", json=[sent], headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "OK"), answer.text
    assert len(await stand.events()) == 3


async def test_success_and_failure_are_said_as_each_sdk_reads_them(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    good, nameless = _item(stand.write_key), {"properties": {"token": stand.write_key}}
    unknown = _item("T")
    for query, item, status, body in (
        ("", good, 200, "1"),
        ("?verbose=0", good, 200, "1"),
        ("?verbose=1", good, 200, '{"status":1,"error":null}'),
        ("", unknown, 200, "0"),
        ("", nameless, 200, "0"),
        ("?verbose=1", nameless, 400, '{"status":0,"error":"The event has no `action`."}'),
        ("?callback=mp.done", good, 200, "mp.done(1);"),
        ("?callback=mp.done&verbose=1", nameless, 200, None),
        ("?callback=(function(){})", good, 200, "1"),
    ):
        answer = await client.post(f"/track{query}", json=item)
        assert answer.status_code == status, query
        if body is not None:
            assert answer.text == body
    refused = await client.post("/track?verbose=1", json=unknown)
    assert (refused.status_code, refused.json()["status"]) == (401, 0)
    assert refused.json()["error"]
    script = await client.post("/track?callback=mp.done", json=good)
    assert script.headers["content-type"].startswith("text/javascript")
    image = await client.get("/track", params={"data": _base64(good), "img": "1"})
    assert (image.status_code, image.headers["content-type"]) == (200, "image/gif")
    unreadable = await client.post("/track?verbose=1", content=b"data=%%%")
    assert (unreadable.status_code, unreadable.json()["status"]) == (400, 0)


async def test_a_mails_link_is_recorded_and_redirects_nowhere(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    query = {"data": _base64(_item(stand.write_key)), "redirect": "https://elsewhere.example/"}
    answer = await client.get("/track", params=query)
    assert (answer.status_code, answer.text) == (200, "1")
    assert "location" not in answer.headers
    assert len(await stand.events()) == 1


async def test_an_import_says_which_items_failed_and_keeps_the_others(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    bad = _item(stand.write_key, **{"$insert_id": "i2", "time": "yesterday"})
    items = [_item(stand.write_key), bad]
    answer = await client.post("/import?strict=1", json=items)
    assert answer.status_code == 400
    told = answer.json()
    (failed,) = told.pop("failed_records")
    assert told == {
        "code": 400,
        "error": "some data points in the request failed validation",
        "status": "Bad Request",
        "num_records_imported": 1,
    }
    assert failed.pop("message").startswith("`time` 'yesterday' is not a time.")
    assert failed == {"index": 1, "insert_id": "i2", "$insert_id": "i2", "field": "properties.time"}
    lenient = await client.post("/import?strict=0", json=items)
    assert lenient.json() == {"code": 200, "num_records_imported": 1, "status": "OK"}
    form = await client.post("/import", data={"data": json.dumps(items[0]), "verbose": "1"})
    assert form.json() == {"status": 1, "error": None, "code": 200, "num_records_imported": 1}
    plain = await client.post("/import", data={"data": _base64(items[0])})
    assert plain.text == "1"
    refused = await client.post("/import", json=[_item("T")])
    assert (refused.status_code, refused.json()["status"]) == (401, "Unauthorized")
    assert refused.json()["code"] == 401


async def test_too_much_and_too_often_are_said_by_status_in_every_form(client: httpx.AsyncClient) -> None:
    busy = await open_stand(max_inflight_bytes=1024 * 1024, project_events_per_s=1)
    transport = httpx.ASGITransport(busy.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as busy_client:
        much = b"data=" + b"x" * 2 * 1024 * 1024
        for path, query in (
            ("/track", ""),
            ("/track", "?verbose=0"),
            ("/import", ""),
            ("/engage", "?verbose=1"),
        ):
            answer = await busy_client.post(path + query, content=much)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            if query == "?verbose=0":
                assert answer.text == "0"
            else:
                # mixpanel-python sends `verbose` in the body, which nobody has read.
                assert answer.json()["status"] != 1
                assert answer.json()["error"]
        await busy_client.post("/track", json=[_item(busy.write_key)] * 20)
        limited = await busy_client.post("/track", json=_item(busy.write_key))
        assert (limited.status_code, limited.text) == (429, "0")
        assert limited.headers["retry-after"]
        importing = await busy_client.post("/import", json=[_item(busy.write_key)])
        assert (importing.status_code, importing.json()["status"]) == (429, "Too Many Requests")
    huge = await client.post("/import", content=b"[" + b" " * 21 * 1024 * 1024 + b"]")
    assert (huge.status_code, huge.json()["status"]) == (413, "Request Entity Too Large")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/flags/?context=%7B%7D&token=T", 200, {"flags": {}}),
        ("GET", "/flags/definitions", 200, {"flags": []}),
        ("GET", "/settings/?sdk_config=1", 200, {}),
        (
            "GET",
            "/decide/?version=1&lib=web",
            200,
            {"notifications": [], "config": {"enable_collect_everything": False}},
        ),
        (
            "POST",
            "/record/?format=body",
            404,
            {"error": "Footfall keeps no session recordings.", "status": 0},
        ),
    ],
)
async def test_what_sdks_ask_beside_is_answered(
    client: httpx.AsyncClient, method: str, path: str, status: int, body: object
) -> None:
    for mount in ("", "/compat/mixpanel"):
        answer = await client.request(method, mount + path, headers={"origin": "https://app.example"})
        assert (answer.status_code, answer.json()) == (status, body)
        assert answer.headers["access-control-allow-credentials"] == "true"
