from collections.abc import AsyncIterator

import httpx
import pytest

from access.keys import new_id, new_key
from project_routes import ADMIN, ORIGIN, Routes, bearer, open_routes


@pytest.fixture
async def routes(migrated_url: str) -> AsyncIterator[Routes]:
    async with open_routes(migrated_url) as routes:
        yield routes


async def test_an_admin_makes_and_ends_a_project(routes: Routes) -> None:
    answer = await routes.client.post("/v1/projects", json={"name": " shop "}, headers=ADMIN)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"project", "name", "write_key", "secret_key"}
    assert made["name"] == "shop"
    assert answer.headers["cache-control"] == "no-store"
    path = f"/v1/projects/{made['project']}"
    for headers in (ADMIN, bearer(made["secret_key"])):
        assert (await routes.client.get(path, headers=headers)).json()["name"] == "shop"
        listed = (await routes.client.get("/v1/projects", headers=headers)).json()["items"]
        assert [item["project"] for item in listed] == [made["project"]]
    assert (await routes.client.delete(path, headers=ADMIN)).status_code == 204
    assert (await routes.client.get(path, headers=bearer(made["secret_key"]))).status_code == 401
    for method in ("GET", "DELETE"):
        assert (await routes.client.request(method, path, headers=ADMIN)).status_code == 404
    assert (await routes.client.get("/v1/projects", headers=ADMIN)).json() == {"items": []}


async def test_a_demo_is_one_from_the_beginning_and_for_good(routes: Routes) -> None:
    answer = await routes.client.post("/v1/projects", json={"name": "demo", "demo": True}, headers=ADMIN)
    path, headers = f"/v1/projects/{answer.json()['project']}", bearer(answer.json()["secret_key"])
    change = {"time_zone": "Asia/Tokyo"}
    assert (await routes.client.patch(path, json=change, headers=headers)).json()["demo"] is True
    assert (await routes.client.get(path, headers=headers)).json()["demo"] is True
    assert (await routes.client.patch(path, json={"demo": False}, headers=headers)).status_code == 422


async def test_settings_are_changed_and_shown(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    path, headers = f"/v1/projects/{created.project}", bearer(created.secret_key)
    change = {"time_zone": "Europe/Berlin", "trial_actions": ["joined"], "name": "store"}
    changed = (await routes.client.patch(path, json=change, headers=headers)).json()
    assert changed == {
        "project": created.project,
        "created_at": "2026-11-22T09:30:00Z",
        "demo": False,
        "settings_version": 2,
        "privacy": {
            "ip": "truncate",
            "redact": [],
            "hash": [],
            "consent": "off",
            "consent_categories": ["analytics"],
            "opt_out_signals": False,
        },
        **change,
    }
    assert (await routes.client.get(path, headers=headers)).json() == changed
    known = routes.access.project(created.project)
    assert known is not None
    assert known.settings.time_zone == "Europe/Berlin"


async def test_privacy_rules_are_changed_by_name(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    path, headers = f"/v1/projects/{created.project}", bearer(created.secret_key)

    async def changed(**rules: object) -> httpx.Response:
        return await routes.client.patch(path, json={"privacy": rules}, headers=headers)

    await changed(redact=["properties.card", "**.password"])
    shown = (await changed(ip="drop", consent="required")).json()["privacy"]
    assert (shown["ip"], shown["redact"], shown["consent"]) == (
        "drop",
        ["properties.card", "**.password"],
        "required",
    )
    known = routes.access.project(created.project)
    assert known is not None
    assert known.settings.privacy.redact == ("properties.card", "**.password")
    assert (await changed(redact=[])).json()["privacy"]["redact"] == []
    refused = await changed(redact=["user"])
    assert (refused.status_code, refused.json()["field"]) == (422, "privacy.redact")
    assert (await changed(ip="some")).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": "Mars"}, "time_zone"),
        ({"trial_actions": [""]}, "trial_actions"),
        ({"trial_actions": "joined"}, "trial_actions"),
        ({"name": ""}, "name"),
        ({"timezone": "UTC"}, "timezone"),
    ],
)
async def test_a_wrong_setting_is_named(routes: Routes, change: dict[str, object], field: str) -> None:
    created = await routes.projects.create("shop")
    answer = await routes.client.patch(
        f"/v1/projects/{created.project}", json=change, headers=bearer(created.secret_key)
    )
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_a_taken_name_is_a_conflict(routes: Routes) -> None:
    await routes.projects.create("shop")
    answer = await routes.client.post("/v1/projects", json={"name": "shop"}, headers=ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


async def test_keys_are_made_listed_and_revoked(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    path, headers = f"/v1/projects/{created.project}/keys", bearer(created.secret_key)
    answer = await routes.client.post(path, json={"kind": "secret", "label": "ci"}, headers=headers)
    assert answer.status_code == 201
    made = answer.json()
    assert made["key"].startswith("ffs_")
    listed = (await routes.client.get(path, headers=headers)).json()["items"]
    assert ("secret", "ci") in [(key["kind"], key["label"]) for key in listed]
    texts = {key["kind"]: key["key"] for key in listed}
    assert texts == {"write": created.write_key, "secret": None}
    assert created.secret_key not in str(listed)
    assert made["key"] not in str(listed)
    assert not any("hash" in key for key in listed)
    assert (await routes.client.get(path, headers=bearer(made["key"]))).status_code == 200
    revoked = await routes.client.delete(f"{path}/{made['id']}", headers=headers)
    assert revoked.status_code == 204
    assert (await routes.client.get(path, headers=bearer(made["key"]))).status_code == 401
    for missing in (new_id("key"), "x", "k%00"):
        assert (await routes.client.delete(f"{path}/{missing}", headers=headers)).status_code == 404


async def test_a_session_administers_its_projects_from_our_pages_only(routes: Routes) -> None:
    created, other = await routes.projects.create("shop"), await routes.projects.create("other")
    path, headers = f"/v1/projects/{created.project}", await routes.session(created.project)
    change = {"time_zone": "Asia/Tokyo"}
    assert (await routes.client.patch(path, json=change, headers=headers)).status_code == 200
    foreign = {**headers, "origin": "https://evil.example"}
    refused = await routes.client.patch(path, json=change, headers=foreign)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_origin")
    silent = {"cookie": headers["cookie"]}
    assert (await routes.client.patch(path, json=change, headers=silent)).status_code == 403
    assert (await routes.client.get(path, headers=silent)).status_code == 200
    listed = (await routes.client.get("/v1/projects", headers=headers)).json()["items"]
    assert [item["project"] for item in listed] == [created.project]
    hidden = await routes.client.get(f"/v1/projects/{other.project}", headers=headers)
    assert hidden.status_code == 404
    everything = await routes.session(None)
    listed = (await routes.client.get("/v1/projects", headers=everything)).json()["items"]
    assert len(listed) == 2
    assert (await routes.client.delete(path, headers=everything)).status_code == 403


async def test_a_login_link_is_made_for_whom_the_key_is(routes: Routes) -> None:
    created, other = await routes.projects.create("shop"), await routes.projects.create("other")
    own = await routes.client.post("/v1/logins", headers=bearer(created.secret_key))
    assert own.status_code == 201
    entered = await routes.client.post("/login", content=own.json()["path"].removeprefix("/login?"))
    assert entered.headers["location"] == f"/pulse?project={created.project}"
    for project in (other.project, new_id("project"), "p\0"):
        foreign = await routes.client.post(
            "/v1/logins", json={"project": project}, headers=bearer(created.secret_key)
        )
        assert foreign.status_code == 404
    assert (await routes.client.post("/v1/logins", json={}, headers=ADMIN)).status_code == 201
    chosen = await routes.client.post("/v1/logins", json={"project": other.project}, headers=ADMIN)
    assert chosen.status_code == 201
    unknown = await routes.client.post("/v1/logins", json={"project": new_id("project")}, headers=ADMIN)
    assert unknown.status_code == 404
    session = await routes.session(created.project)
    assert (await routes.client.post("/v1/logins", headers=session)).status_code == 403


BODIES: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/v1/projects"): {"name": "mine"},
    ("PATCH", "/v1/projects/{project}"): {"time_zone": "Asia/Tokyo"},
    ("POST", "/v1/projects/{project}/keys"): {"kind": "secret"},
}


async def test_every_route_against_every_credential(routes: Routes) -> None:
    """401 without a good credential, 403 for the wrong kind, 404 for another project: on each route there is."""
    mine, theirs = await routes.projects.create("mine-too"), await routes.projects.create("theirs")
    before = await routes.projects.get(theirs.project), await routes.projects.keys(theirs.project)
    key_id = before[1][0].id
    token = await routes.token(mine)
    credentials: dict[str, tuple[dict[str, str], int]] = {
        "none": ({}, 401),
        "unknown key": (bearer(new_key("secret")), 401),
        "garbage": (bearer("x.y.z"), 401),
        "other scheme": ({"authorization": "Digest x"}, 401),
        "wrong admin token": (bearer("admin-token"), 401),
        "ended cookie": ({"cookie": f"footfall_session={'a' * 43}", "origin": ORIGIN}, 401),
        "their write key": (bearer(theirs.write_key), 403),
        "my write key": (bearer(mine.write_key), 403),
        "my token": (bearer(token), 403),
        "my secret key": (bearer(mine.secret_key), 404),
        "my session": (await routes.session(mine.project), 404),
    }
    tried = 0
    for path, operations in routes.app.openapi()["paths"].items():
        for operation in operations:
            method = operation.upper()
            if not path.startswith("/v1/projects"):
                continue
            for who, (headers, expected) in credentials.items():
                if "{project}" not in path and who.startswith("my se"):
                    expected = 200 if method == "GET" else 403
                answer = await routes.client.request(
                    method,
                    path.format(project=theirs.project, key_id=key_id),
                    json=BODIES.get((method, path)),
                    headers=headers,
                )
                assert answer.status_code == expected, (method, path, who, answer.text)
                assert theirs.project not in answer.text or expected == 404, (method, path, who)
                if expected >= 400:
                    assert {"code", "message"} <= set(answer.json())
                if expected == 401:
                    assert answer.headers["www-authenticate"].startswith("Bearer")
                tried += 1
    assert tried == 8 * len(credentials)
    assert (await routes.projects.get(theirs.project), await routes.projects.keys(theirs.project)) == before


async def test_projects_that_do_not_exist_look_like_those_of_others(routes: Routes) -> None:
    mine, theirs = await routes.projects.create("mine"), await routes.projects.create("theirs")
    answers = []
    for project in (theirs.project, new_id("project"), "p" * 400, "p%00", "%F0%9F", "..%2f"):
        answer = await routes.client.get(f"/v1/projects/{project}", headers=bearer(mine.secret_key))
        answers.append((answer.status_code, answer.json()["code"]))
        assert (await routes.client.get(f"/v1/projects/{project}", headers=ADMIN)).status_code in (200, 404)
    assert set(answers[:4]) == {(404, "unknown_project")}
    assert {status for status, _ in answers} == {404}
