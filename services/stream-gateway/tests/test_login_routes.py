import html
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from urllib.parse import quote

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


def cookies_of(answer: httpx.Response) -> "SimpleCookie":
    """What the answer tells the browser to keep."""
    found = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return found


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
    cookie = cookies_of(entered)["footfall_session"]
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
    project = (await routes.projects.create("shop")).project
    await routes.access.refresh()
    entered = await log_in(routes, (await routes.logins.create_link(None)).token)
    assert entered.headers["location"] == "/pulse"
    opened = await routes.client.get("/pulse")
    assert (opened.status_code, opened.headers["location"]) == (303, f"/pulse?project={project}")


@pytest.mark.parametrize(
    "page",
    [
        "/pulse",
        "/pulse?project=p1&action=a%20b",
        "/accounts/a%2Fb%3F?project=p1&zone=utc",
        "/visitors/x%00y",
        "/activity/%F0%9F%92%A9",
    ],
)
async def test_a_login_goes_on_to_the_page_that_was_asked_for(routes: Routes, page: str) -> None:
    asked = await routes.client.get(page)
    assert asked.status_code == 303
    told = await routes.client.get(asked.headers["location"])
    assert "footfall login" in told.text
    kept = cookies_of(told)["footfall_next"]
    assert (kept["path"], bool(kept["httponly"]), kept["samesite"]) == ("/login", True, "lax")
    link = await routes.logins.create_link(None)
    entered = await log_in(routes, link.token, cookie=f"footfall_next={kept.value}")
    assert entered.headers["location"] == page
    assert cookies_of(entered)["footfall_next"]["max-age"] == "0"


async def test_the_form_carries_the_page_that_was_asked_for(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    page = "/accounts/a%26b?project=p1&x=%22"
    shown = await routes.client.get("/login", params={"token": link.token, "next": page})
    carried = re.search('name="next" value="([^"]*)"', shown.text)
    assert carried is not None
    form = {"token": link.token, "next": html.unescape(carried[1])}
    entered = await routes.client.post("/login", data=form, headers={"origin": ORIGIN})
    assert entered.headers["location"] == page


ELSEWHERE = [
    "//evil.example",
    "//evil.example/pulse",
    "///evil.example/pulse",
    "/\\evil.example",
    "/\\/evil.example/pulse",
    "\\\\evil.example",
    "https://evil.example/pulse",
    "https:evil.example",
    "javascript:alert(1)",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "%2F%2Fevil.example",
    "/\t/evil.example",
    "/pulse\r\nSet-Cookie: x=1",
    "/pulse\\@evil.example",
    "/pulse@evil.example",
    "/pulse.evil.example",
    " /pulse",
    "pulse",
    "/pulse/../../logout",
    "/accounts/a/b",
    "/login",
    "/logout",
    "/v1/projects",
    "/pulse?x=\u2028",
    "/accounts/" + "a" * 3000,
    "",
]


async def test_a_login_leads_nowhere_but_to_a_page_of_ours(routes: Routes) -> None:
    logged_in = await routes.session(None)
    for elsewhere in ELSEWHERE:
        for cookie, form in (
            (f"footfall_next={quote(elsewhere, safe='')}", {}),
            ("", {"next": elsewhere}),
            ("", {"next": quote(elsewhere)}),
        ):
            token = (await routes.logins.create_link(None)).token
            entered = await routes.client.post(
                "/login", data={"token": token, **form}, headers={"origin": ORIGIN, "cookie": cookie}
            )
            assert entered.headers["location"] == "/pulse", elsewhere
        shown = await routes.client.get("/login", params={"next": elsewhere}, headers={"cookie": ""})
        assert "footfall_next" not in cookies_of(shown), elsewhere
        for answer in (
            await routes.client.get("/login", params={"token": token, "next": elsewhere}),
            await routes.client.get("/login", params={"next": elsewhere}, headers=logged_in),
        ):
            assert "evil" not in answer.text, elsewhere


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


async def test_the_pages_run_nothing_and_load_nothing_of_others(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    for params in ({"token": link.token}, {"token": "x"}, {}, {"state": "out"}):
        page = await routes.client.get("/login", params=params)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe-inline" not in policy
        assert not re.search("<script|<style| style=| on[a-z]+=", page.text)
        loaded = re.findall(' (?:href|src)="([^"]*)"', page.text)
        assert len(loaded) >= 3
        for address in loaded:
            assert (await routes.client.get(address)).status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"


async def test_what_is_sent_as_token_is_not_shown(routes: Routes) -> None:
    page = await routes.client.get("/login", params={"token": '"><script>alert(1)</script>'})
    assert page.status_code == 410
    assert "alert" not in page.text


async def test_garbage_as_form_is_refused(routes: Routes) -> None:
    for content in (b"", b"token", b"token=%00", b"\xff\xfe", b"token=" + b"a" * 2000):
        assert (await routes.client.post("/login", content=content)).status_code == 410
    assert (await routes.client.post("/login", content=b"a" * 9000)).status_code == 413


async def test_logging_out_ends_the_session_everywhere(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    headers = await routes.session(project)
    assert (
        await routes.client.get("/probe", params={"project": project}, headers=headers)
    ).status_code == 200
    foreign = {**headers, "origin": "https://evil.example"}
    assert (await routes.client.post("/logout", headers=foreign)).status_code == 403
    left = await routes.client.post("/logout", headers=headers)
    assert (left.status_code, left.headers["location"]) == (303, "/login?state=out")
    assert "You are logged out" in (await routes.client.get(left.headers["location"])).text
    assert 'footfall_session=""' in left.headers["set-cookie"]
    assert (
        await routes.client.get("/probe", params={"project": project}, headers=headers)
    ).status_code == 401
    assert (await routes.client.post("/logout")).status_code == 303


async def test_who_is_logged_in_is_led_on(routes: Routes) -> None:
    headers = await routes.session(None)
    for params, path in (
        ({}, "/pulse"),
        ({"token": "x"}, "/pulse"),
        ({"state": "out"}, "/pulse"),
        ({"next": "/users?project=p1"}, "/users?project=p1"),
    ):
        page = await routes.client.get("/login", params=params, headers=headers)
        assert page.status_code == (410 if "token" in params else 200)
        assert f'class="button primary go" href="{path}"' in page.text


async def test_a_button_pressed_twice_shows_the_way_in(routes: Routes) -> None:
    link = await routes.logins.create_link(None)
    await log_in(routes, link.token)
    routes.client.cookies.clear()
    again = await log_in(routes, link.token)
    assert again.status_code == 410
    assert 'href="/pulse"' in again.text
