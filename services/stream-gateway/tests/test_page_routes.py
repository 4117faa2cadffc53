import gzip
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files

import httpx
import pytest

from access.requests import SESSION_COOKIE
from eventmodel import ProjectId
from project_routes import Routes, bearer, open_routes
from stream_gateway.pages.assets import Assets, load_assets, static_imports
from stream_gateway.pages.shell import PAGES

ADDRESSES = [
    "/pulse", "/accounts", "/accounts/acme", "/accounts/a%2Fb%3F", "/users", "/users/ada%40acme.example",
    "/visitors/v1", "/activity/e1", "/sources", "/rejected", "/actions",
]  # fmt: skip


@pytest.fixture
async def routes(migrated_url: str) -> AsyncIterator[Routes]:
    async with open_routes(migrated_url) as routes:
        yield routes


async def make(routes: Routes, name: str, *, demo: bool = False) -> ProjectId:
    """A project a second younger than the one before."""
    routes.clock.advance(1)
    created = await routes.projects.create(name, demo=demo)
    await routes.access.refresh()
    return created.project


async def arrive(routes: Routes, project: ProjectId) -> None:
    """Put an event of the project into history."""
    await routes.pool.execute(
        "insert into gateway.history (part, project, occurred_at, subject, account, kind, action, origin, id, "
        "event) values (0, $1, $2, 'u:ada', '', 'track', 'opened report', 'live', 'e1', '{}')",
        project,
        datetime(2026, 11, 22, tzinfo=UTC),
    )


async def first(routes: Routes, headers: Mapping[str, str]) -> str:
    """Where the pages lead whoever names no project."""
    answer = await routes.client.get("/pulse", headers=headers)
    assert answer.status_code == 303
    return answer.headers["location"]


async def test_who_is_not_logged_in_is_led_to_the_login_and_back(routes: Routes) -> None:
    ended = {"cookie": f"{SESSION_COOKIE}={'a' * 43}"}
    for headers in ({}, ended, {"cookie": f"{SESSION_COOKIE}=x"}):
        for address in ADDRESSES:
            asked = f"{address}?project=p1&q=a%26b"
            answer = await routes.client.get(asked, headers=headers)
            assert answer.status_code == 303
            location = httpx.URL(answer.headers["location"])
            assert (location.host, location.path, location.params["next"]) == ("", "/login", asked)
            assert answer.headers["cache-control"] == "no-store"


async def test_a_key_opens_no_page(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    answer = await routes.client.get(
        "/pulse", params={"project": created.project}, headers=bearer(created.secret_key)
    )
    assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")


async def test_every_page_is_the_shell_and_holds_nothing_of_the_project(routes: Routes) -> None:
    project = (await routes.projects.create("zqcanary shop")).project
    headers = await routes.session(project)
    for address in ADDRESSES:
        answer = await routes.client.get(address, params={"project": project}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert '<div id="app"></div>' in answer.text
        assert "zqcanary" not in answer.text
        assert project not in answer.text
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=|https?:", answer.text)
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy == {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "font-src": "'self'",
            "connect-src": "'self'", "img-src": "'self' data:", "form-action": "'self'", "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }  # fmt: skip
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


async def test_everything_the_shell_names_is_served_for_a_year(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    headers = await routes.session(project)
    shell = (await routes.client.get("/pulse", params={"project": project}, headers=headers)).text
    named = re.findall(r' (?:href|src)="([^"]*)"', shell)
    assert any(address.endswith("/pulse.js") for address in named)
    assert any(address.endswith("/inter.woff2") for address in named)
    assert not any("uplot" in address for address in named)
    for address in named:
        answer = await routes.client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_without_a_project_the_address_is_kept_and_gains_one(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    headers = await routes.session(project)
    for asked, led in (
        ("/pulse", f"/pulse?project={project}"),
        ("/accounts/a%2Fb?zone=utc&q=a%26b", f"/accounts/a%2Fb?project={project}&zone=utc&q=a%26b"),
        ("/users?project=&sort=user", f"/users?project={project}&sort=user"),
    ):
        answer = await routes.client.get(asked, headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, led)
    answer = await routes.client.get("/?project=p1", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/pulse?project=p1")


async def test_another_project_looks_like_none(routes: Routes) -> None:
    mine, other = await routes.projects.create("mine"), await routes.projects.create("other")
    headers = await routes.session(mine.project)
    answers = [
        await routes.client.get("/pulse", params={"project": project}, headers=headers)
        for project in (other.project, "p" + "a" * 11, "x", [mine.project, other.project])
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_a_login_that_sees_no_project_opens_the_shell(routes: Routes) -> None:
    answer = await routes.client.get("/pulse", headers=await routes.session(None))
    assert answer.status_code == 404
    assert '<div id="app"></div>' in answer.text


async def test_own_events_come_before_the_demo_and_the_demo_before_an_empty_project(routes: Routes) -> None:
    empty, used, later = await make(routes, "empty"), await make(routes, "used"), await make(routes, "later")
    headers = await routes.session(None)
    assert await first(routes, headers) == f"/pulse?project={empty}"
    demo = await make(routes, "demo", demo=True)
    await arrive(routes, demo)
    assert await first(routes, headers) == f"/pulse?project={demo}"
    await arrive(routes, later)
    assert await first(routes, headers) == f"/pulse?project={later}"
    await arrive(routes, used)
    assert await first(routes, headers) == f"/pulse?project={used}"
    assert await first(routes, await routes.session(demo)) == f"/pulse?project={demo}"
    assert await first(routes, await routes.session(empty)) == f"/pulse?project={empty}"


async def test_the_session_tells_its_projects_and_its_end(routes: Routes) -> None:
    shop = await make(routes, "shop")
    await routes.projects.change(shop, time_zone="Asia/Tokyo")
    demo = await make(routes, "demo", demo=True)
    everything, own = await routes.session(None), await routes.session(shop)
    told = (await routes.client.get("/v1/session", headers=everything)).json()
    assert told == {
        "projects": [
            {"project": shop, "name": "shop", "demo": False, "time_zone": "Asia/Tokyo"},
            {"project": demo, "name": "demo", "demo": True, "time_zone": "UTC"},
        ],
        "expires_at": "2026-12-06T09:30:02Z",
    }
    answer = await routes.client.get("/v1/session", headers=own)
    assert [item["project"] for item in answer.json()["projects"]] == [shop]
    assert answer.headers["cache-control"] == "no-store"


async def test_only_a_cookie_has_a_session(routes: Routes) -> None:
    created = await routes.projects.create("shop")
    cookie = await routes.session(created.project)
    for headers in (
        {},
        bearer(created.secret_key),
        bearer(await routes.token(created)),
        {**cookie, **bearer(created.secret_key)},
        {"cookie": f"{SESSION_COOKIE}={'a' * 43}"},
    ):
        answer = await routes.client.get("/v1/session", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_every_import_of_the_pages_leads_to_a_file() -> None:
    assets, folder = load_assets(), files("stream_gateway.pages") / "assets"
    assert [module for module in ("app.js", *PAGES.values()) if module not in assets] == []
    for module in assets.modules("app.js", *PAGES.values()):
        imported = static_imports(module, folder.joinpath(module).read_text())
        assert [path for path in imported if path not in assets] == [], module


def test_modules_are_those_that_load_with_the_entry() -> None:
    assets = Assets(
        {
            "app.js": b'import { a } from "./a.js";\nconst late = () => import("./late.js");\nimport"./side.js";',
            "a.js": b'"use strict";import*as v from"./vendor/v.js";export{v}from"./b.js";const x="./not.js";',
            "b.js": b'export const path = "./late.js";\nimport {\n    one,\n    two,\n} from "./c.js";',
            "c.js": b'import "../c.js"; import "./missing.js";',
            "side.js": b"",
            "late.js": b"",
            "not.js": b"",
            "vendor/v.js": b'import"../c.js"',
        }
    )
    assert assets.modules("app.js", "nothing.js") == [
        "app.js",
        "a.js",
        "side.js",
        "vendor/v.js",
        "b.js",
        "c.js",
    ]


def test_the_version_changes_with_every_name_and_byte() -> None:
    versions = {
        Assets(sources).version
        for sources in ({"a.js": b"1"}, {"b.js": b"1"}, {"a.js": b"2"}, {"a.js": b"1", "b.js": b""}, {})
    }
    assert len(versions) == 5
    assert Assets({"a.js": b"1", "b.js": b"2"}).version == Assets({"b.js": b"2", "a.js": b"1"}).version


async def test_an_asset_is_packed_once_and_told_unchanged(routes: Routes) -> None:
    path = load_assets().address("app.js")
    plain = await routes.client.get(path, headers={"accept-encoding": "identity"})
    packed = await routes.client.get(path, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 9, mtime=0))
    assert packed.content == plain.content
    assert {answer.headers["vary"] for answer in (plain, packed)} == {"Accept-Encoding"}
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await routes.client.get(path, headers={"if-none-match": f'"x", {plain.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    other = await routes.client.get(path, headers={"if-none-match": '"x"'})
    assert other.status_code == 200


async def test_an_earlier_version_answers_with_the_present_file_for_once(routes: Routes) -> None:
    assets = load_assets()
    present = await routes.client.get(assets.address("app.js"))
    earlier = await routes.client.get("/assets/0123456789abcdef/app.js")
    assert (earlier.status_code, earlier.content) == (200, present.content)
    assert earlier.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["nothing.js", "", "..%2Fpages.py", "../pages.py", "vendor", "vendor/", "%00", "app.js/"]
)
async def test_what_is_no_asset_is_not_found(routes: Routes, path: str) -> None:
    answer = await routes.client.get(load_assets().address(path))
    assert answer.status_code == 404
    assert answer.headers.get("cache-control", "no-store") == "no-store"


async def test_head_is_answered_like_get(routes: Routes) -> None:
    project = (await routes.projects.create("shop")).project
    headers = await routes.session(project)
    for path in (f"/pulse?project={project}", "/pulse", "/", load_assets().address("app.js")):
        head = await routes.client.head(path, headers=headers)
        get = await routes.client.get(path, headers=headers)
        assert (head.status_code, head.headers) == (get.status_code, get.headers)
