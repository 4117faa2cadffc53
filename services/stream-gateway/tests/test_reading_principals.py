import base64
from collections.abc import AsyncIterator

import pytest

from access.keys import new_id
from access.model import Principal
from eventmodel import ProjectId
from lifecycle.errors import Problem
from project_routes import ORIGIN, Routes, bearer, open_routes
from stream_gateway.principals import narrow, require_account, require_user, require_whole_project


@pytest.fixture
async def routes(migrated_url: str) -> AsyncIterator[Routes]:
    async with open_routes(migrated_url) as routes:
        yield routes


async def test_a_secret_key_reads_as_bearer_and_basic(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    encoded = base64.b64encode(f"{created.secret_key}:".encode()).decode()
    for headers in (bearer(created.secret_key), {"authorization": f"Basic {encoded}"}):
        for query in ("", f"?project={created.project}"):
            answer = await routes.client.get(f"/probe{query}", headers=headers)
            assert answer.json() == {
                "project": created.project,
                "kind": "secret",
                "account": None,
                "user": None,
            }


async def test_a_key_does_not_read_from_the_query(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    for name in ("key", "token"):
        answer = await routes.client.get("/probe", params={name: created.secret_key})
        assert answer.status_code == 401
        assert created.secret_key not in answer.text


async def test_a_token_reads_as_bearer_and_from_the_query(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    token = await routes.token(created, account="acme", user="ada")
    for answer in (
        await routes.client.get("/probe", headers=bearer(token)),
        await routes.client.get("/probe", params={"token": token, "project": created.project}),
    ):
        assert answer.json() == {
            "project": created.project,
            "kind": "token",
            "account": "acme",
            "user": "ada",
        }


async def test_a_token_without_a_good_signature_reads_nothing(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    header, claims, signature = (await routes.token(created)).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    kid_none = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(header + "==").replace(b"HS256", b"none")
    ).decode()
    for forged in (
        f"{none}.{claims}.",
        f"{kid_none.rstrip('=')}.{claims}.",
        f"{header}.{claims}.",
        f"{header}.{claims}.{'B' if signature.startswith('A') else 'A'}{signature[1:]}",
        f"{header}.{claims}A.{signature}",
    ):
        assert (await routes.client.get("/probe", headers=bearer(forged))).status_code == 401
        assert (await routes.client.get("/probe", params={"token": forged})).status_code == 401


async def test_a_token_ends(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    answer = await routes.client.post(
        "/v1/tokens", json={"expires_in_s": 60}, headers=bearer(created.secret_key)
    )
    assert answer.status_code == 201
    assert answer.json()["expires_at"] == "2026-11-22T09:31:00Z"
    token = answer.json()["token"]
    assert (await routes.client.get("/probe", headers=bearer(token))).status_code == 200
    routes.clock.advance(60)
    assert (await routes.client.get("/probe", headers=bearer(token))).status_code == 401


async def test_tokens_are_issued_to_secret_keys_and_sessions(routes: Routes) -> None:
    created, other = await routes.projects.create("shop"), await routes.projects.create("other")
    session = await routes.session(created.project)
    place = {"project": created.project}
    good = await routes.client.post("/v1/tokens", params=place, headers=session)
    assert good.status_code == 201
    assert (await routes.client.get("/probe", headers=bearer(good.json()["token"]))).json()[
        "project"
    ] == created.project
    token = await routes.token(created)
    for headers, query, expected in (
        ({}, place, 401),
        (bearer(created.write_key), {}, 403),
        (bearer(token), {}, 403),
        (bearer(created.secret_key), {"project": other.project}, 404),
        (session, {}, 400),
        (session, {"project": other.project}, 404),
        ({**session, "origin": "https://evil.example"}, place, 403),
    ):
        answer = await routes.client.post("/v1/tokens", params=query, headers=headers)
        assert answer.status_code == expected, (headers, query)
    for body, field in (
        ({"expires_in_s": 86_401}, "expires_in_s"),
        ({"account": ""}, "account"),
        ({"x": 1}, "x"),
    ):
        answer = await routes.client.post("/v1/tokens", json=body, headers=bearer(created.secret_key))
        assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_session_says_its_project_with_each_request(routes: Routes) -> None:
    created, other = await routes.projects.create("shop"), await routes.projects.create("other")
    session = await routes.session(created.project)
    everything = await routes.session(None)
    for headers, query, expected in (
        (session, {"project": created.project}, 200),
        (session, {}, 400),
        (session, {"project": ""}, 400),
        (session, {"project": other.project}, 404),
        (session, {"project": new_id("project")}, 404),
        (everything, {"project": other.project}, 200),
        (everything, {"project": new_id("project")}, 404),
    ):
        assert (await routes.client.get("/probe", params=query, headers=headers)).status_code == expected
    await routes.projects.delete(other.project)
    await routes.access.refresh()
    gone = await routes.client.get("/probe", params={"project": other.project}, headers=everything)
    assert gone.status_code == 404


async def test_who_may_not_read(routes: Routes) -> None:
    mine, theirs = await routes.projects.create("mine"), await routes.projects.create("theirs")
    token = await routes.token(mine)
    session = await routes.session(mine.project)
    for headers, query, expected in (
        ({}, {}, 401),
        ({"authorization": ""}, {}, 401),
        (bearer("ffs_wrong"), {}, 401),
        (bearer(mine.write_key), {}, 403),
        (bearer(mine.secret_key), {"project": theirs.project}, 404),
        (bearer(token), {"project": theirs.project}, 404),
        ({}, {"token": token, "project": theirs.project}, 404),
    ):
        assert (await routes.client.get("/probe", params=query, headers=headers)).status_code == expected
    mixed = {**session, **bearer("ffs_wrong")}
    answer = await routes.client.get("/probe", params={"project": mine.project}, headers=mixed)
    assert answer.status_code == 401, "a cookie does not stand in for a wrong key"


async def test_a_changing_request_with_a_cookie_checks_its_origin(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    session = await routes.session(project)
    cookie = {"cookie": session["cookie"]}
    for headers, expected in (
        ({"origin": ORIGIN}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": ORIGIN, "sec-fetch-site": "cross-site"}, 403),
    ):
        answer = await routes.client.post(
            "/probe", params={"project": project}, headers={**cookie, **headers}
        )
        assert answer.status_code == expected, headers


WHOLE = Principal(ProjectId("p"), "secret", "k")
ACCOUNT = Principal(ProjectId("p"), "token", "k", account="acme")
USER = Principal(ProjectId("p"), "token", "k", user="ada")


def test_a_list_is_narrowed_to_what_the_token_may_see() -> None:
    assert narrow(WHOLE, account=None, user="ada") == (None, "ada")
    assert narrow(ACCOUNT, account=None, user="ada") == ("acme", "ada")
    assert narrow(ACCOUNT, account="acme", user=None) == ("acme", None)
    with pytest.raises(Problem) as caught:
        narrow(ACCOUNT, account="other", user=None)
    assert (caught.value.status, caught.value.field) == (403, "account")


def test_pages_about_one_account_or_person_do_not_show_more_than_the_token() -> None:
    for principal in (WHOLE, ACCOUNT):
        require_account(principal, "acme")
    for principal in (WHOLE, USER):
        require_user(principal, "ada")
    require_whole_project(WHOLE)
    for require, principal, asked in (
        (require_account, ACCOUNT, "other"),
        (require_account, USER, "acme"),
        (require_user, USER, "bob"),
        (require_user, ACCOUNT, "ada"),
    ):
        with pytest.raises(Problem) as caught:
            require(principal, asked)
        assert caught.value.status == 403
    for principal in (ACCOUNT, USER):
        with pytest.raises(Problem) as caught:
            require_whole_project(principal)
        assert caught.value.status == 403
