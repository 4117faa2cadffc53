"""Other sites' pages, over the real port: they may send events with a key, and nothing else."""

from collections.abc import Iterator

import pytest

from raw_http import request
from route_cases import cases
from two_tenants import Tenants, bearer, running_tenants

pytestmark = pytest.mark.e2e

ELSEWHERE = "https://elsewhere.example"
INGEST = ("/v1/events", "/t.gif", "/js/")


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with running_tenants(tmp_path_factory.mktemp("origins") / "data") as running:
        yield running


def _allowed(tenants: Tenants, method: str, path: str, headers: dict[str, str]) -> str | None:
    with tenants.client.stream(method, path, headers={"origin": ELSEWHERE, **headers}) as answer:
        allowed: str | None = answer.headers.get("access-control-allow-origin")
        return allowed


def test_only_ingest_paths_answer_pages_of_other_origins(tenants: Tenants) -> None:
    asked = sorted({case.path for case in cases(tenants).values()})
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for key in (bearer(tenants.ours.secret_key), {}):
        answering = {
            path
            for path in asked
            if any(
                _allowed(tenants, method, path, {**key, **extra})
                for method, extra in (("GET", {}), ("PUT", {}), ("OPTIONS", preflight))
            )
        }
        assert answering == {path for path in asked if path.startswith(INGEST)}


@pytest.mark.parametrize(
    "path",
    ["/v1/events/../activity", "//v1/events", "/v1/%65vents", "/v1/events%2f..%2factivity", "/V1/EVENTS"],
)
def test_no_spelling_of_a_path_lends_another_service_the_ingest_rules(tenants: Tenants, path: str) -> None:
    key = f"Bearer {tenants.ours.secret_key}"
    answer = request(tenants.up.port, "GET", path, headers=[("origin", ELSEWHERE), ("authorization", key)])
    assert answer.status in (404, 405)
    assert b"zqcanary" not in answer.body


def test_a_cookie_never_sends_events(tenants: Tenants) -> None:
    browser = {**tenants.ours.session, "origin": tenants.up.url, "sec-fetch-site": "same-origin"}
    project = f"project={tenants.ours.project}"
    for path in (f"/v1/events?{project}", f"/v1/events/?{project}"):
        answer = tenants.ask("POST", path, json={"user": "cookie", "action": "tried"}, headers=browser)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    tenants.ask("GET", f"/t.gif?{project}&user=cookie&action=tried", headers=browser)
    found = tenants.ask("GET", f"/v1/activity?{project}&user=cookie", headers=browser)
    assert found.json()["items"] == []


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"origin": ELSEWHERE},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.elsewhere.example"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_a_change_by_cookie_from_elsewhere_is_refused_on_every_route(
    tenants: Tenants, said: dict[str, str]
) -> None:
    project = f"project={tenants.ours.project}"
    for (method, template), case in cases(tenants).items():
        if method == "GET" or case.kind in ("send", "pixel", "public"):
            continue
        path = f"{case.path}{'&' if '?' in case.path else '?'}{project}"
        sent = {"json": case.body} if case.body is not None else {"content": case.content}
        answer = tenants.ask(method, path, headers={**tenants.ours.session, **said}, **sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin"), (method, template)


def test_another_site_can_neither_log_a_browser_in_nor_out(tenants: Tenants) -> None:
    link = tenants.ask("POST", "/v1/logins", headers=bearer(tenants.theirs.secret_key)).json()["path"]
    for headers in ({"origin": ELSEWHERE}, {"sec-fetch-site": "cross-site"}):
        answer = tenants.ask("POST", "/login", data={"token": link.partition("token=")[2]}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")
        answer = tenants.ask("POST", "/logout", headers={**tenants.ours.session, **headers})
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")
    assert _reads(tenants)


def test_a_change_by_cookie_from_a_page_of_ours_is_taken(tenants: Tenants) -> None:
    for said in ({"origin": tenants.up.url}, {"sec-fetch-site": "same-origin"}):
        answer = tenants.ask(
            "POST", f"/v1/tokens?project={tenants.ours.project}", headers={**tenants.ours.session, **said}
        )
        assert answer.status_code == 201
    assert _reads(tenants)


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(tenants: Tenants) -> None:
    link = tenants.ask("POST", "/v1/logins", headers=bearer(tenants.theirs.secret_key)).json()["path"]
    answer = tenants.ask(
        "POST",
        "/login",
        data={"token": link.partition("token=")[2]},
        headers={"origin": tenants.up.url, "x-forwarded-proto": "https"},
    )
    tenants.client.cookies.clear()
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "secure", "path=/"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)


def _reads(tenants: Tenants) -> bool:
    asked = f"/v1/activity?project={tenants.ours.project}"
    return tenants.ask("GET", asked, headers=tenants.ours.session).status_code == 200
