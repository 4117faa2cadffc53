import base64
import hashlib
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest

from access.logins import DEFAULT_LINK_S
from project_routes import ORIGIN, Routes, open_routes


@pytest.fixture
async def routes(migrated_url: str) -> AsyncIterator[Routes]:
    async with open_routes(migrated_url) as routes:
        yield routes


async def log_in(routes: Routes, token: str, **headers: str) -> httpx.Response:
    return await routes.client.post("/login", data={"token": token}, headers={"origin": ORIGIN, **headers})


async def test_a_link_shows_a_button_and_the_button_opens_a_session_once(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    link = await routes.logins.create_link(project)
    for _ in range(3):
        page = await routes.client.get("/login", params={"token": link.token})
        assert page.status_code == 200
        assert '<form method="post" action="/login">' in page.text
        assert link.token in page.text
        assert "set-cookie" not in page.headers
    entered = await log_in(routes, link.token)
    assert entered.status_code == 303
    assert entered.headers["location"] == f"/pulse?project={project}"
    cookie = SimpleCookie(entered.headers["set-cookie"])["footfall_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert not cookie["secure"]
    routes.client.cookies.clear()
    headers = {"cookie": f"footfall_session={cookie.value}"}
    read = await routes.client.get("/probe", params={"project": project}, headers=headers)
    assert read.json()["kind"] == "session"
    for answer in (
        await log_in(routes, link.token),
        await routes.client.get("/login", params={"token": link.token}),
    ):
        assert answer.status_code == 410
        assert "footfall login" in answer.text
        assert "set-cookie" not in answer.headers


async def test_the_cookie_is_secure_behind_tls(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    entered = await log_in(routes, link.token, **{"x-forwarded-proto": "https"})
    assert "Secure" in entered.headers["set-cookie"]


async def test_a_link_for_all_leads_to_the_first_project(routes: Routes) -> None:
    nowhere = await log_in(routes, (await routes.logins.create_link(None)).token)
    assert nowhere.headers["location"] == "/pulse"
    project = (await routes.projects.create("shop")).project
    await routes.access.refresh()
    entered = await log_in(routes, (await routes.logins.create_link(None)).token)
    assert entered.headers["location"] == f"/pulse?project={project}"


async def test_an_expired_link_says_how_to_get_a_new_one(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    routes.clock.advance(DEFAULT_LINK_S)
    page = await routes.client.get("/login", params={"token": link.token})
    assert page.status_code == 410
    assert "footfall login" in page.text
    assert (await log_in(routes, link.token)).status_code == 410


async def test_another_site_cannot_use_a_link_up(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": f"{ORIGIN}.evil.example"},
        {"origin": f"{ORIGIN}:8080"},
    ):
        assert (await log_in(routes, link.token, **headers)).status_code == 403
    assert (await log_in(routes, link.token, **{"sec-fetch-site": "same-origin"})).status_code == 303


async def test_a_proxy_may_change_scheme_and_host(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    headers = {"origin": "https://footfall.example", "x-forwarded-host": "footfall.example"}
    assert (await log_in(routes, link.token, **headers)).status_code == 303


async def test_the_pages_load_nothing_and_run_nothing(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    for params in ({"token": link.token}, {"token": "x"}, {}):
        page = await routes.client.get("/login", params=params)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        style = re.search(r"<style>(.*?)</style>", page.text)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
        assert "<script" not in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"


async def test_what_is_sent_as_token_is_not_shown(routes: Routes) -> None:
    page = await routes.client.get("/login", params={"token": '"><script>alert(1)</script>'})
    assert page.status_code == 410
    assert "alert" not in page.text


async def test_garbage_as_form_is_refused(routes: Routes) -> None:
    for content in (b"", b"token", b"token=%00", b"\xff\xfe", b"token=" + b"a" * 2000):
        assert (await routes.client.post("/login", content=content)).status_code == 410
    assert (await routes.client.post("/login", content=b"a" * 5000)).status_code == 413


async def test_logging_out_ends_the_session_everywhere(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    headers = await routes.session(project)
    assert (
        await routes.client.get("/probe", params={"project": project}, headers=headers)
    ).status_code == 200
    foreign = {**headers, "origin": "https://evil.example"}
    assert (await routes.client.post("/logout", headers=foreign)).status_code == 403
    left = await routes.client.post("/logout", headers=headers)
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert 'footfall_session=""' in left.headers["set-cookie"]
    assert (
        await routes.client.get("/probe", params={"project": project}, headers=headers)
    ).status_code == 401
    assert (await routes.client.post("/logout")).status_code == 303


async def test_who_is_logged_in_is_led_on_from_a_used_link(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    headers = await routes.session(project)
    page = await routes.client.get("/login", headers=headers)
    assert f'href="/pulse?project={project}"' in page.text
