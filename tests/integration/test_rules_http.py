"""/v1/rules and /v1/actions: what they answer, and to whom."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from access.logins import Logins
from access.requests import SESSION_COOKIE
from lifecycle.clock import SystemClock
from rule_engine.routes import MAX_BODY_BYTES
from running_rules import RunningRules, make_event, running_rules

RULE = 'rule "big order" { on order_paid where $event.amount >= 1000 do dashboard(note: "big") }'
ROUTES = [
    ("GET", "/v1/rules"),
    ("POST", "/v1/rules"),
    ("POST", "/v1/rules/check"),
    ("GET", "/v1/rules/big%20order"),
    ("DELETE", "/v1/rules/big%20order"),
    ("GET", "/v1/actions"),
]


@pytest.fixture
async def rules(migrated_url: str) -> AsyncIterator[RunningRules]:
    async with running_rules(migrated_url) as running:
        yield running


@pytest.fixture
async def client(rules: RunningRules) -> AsyncIterator[httpx.AsyncClient]:
    async with rules.client(rules.main.secret_key) as client:
        yield client


async def put(client: httpx.AsyncClient, text: str) -> list[dict[str, Any]]:
    answer = await client.post("/v1/rules", json={"text": text})
    assert answer.status_code == 200, answer.text
    done: list[dict[str, Any]] = answer.json()["rules"]
    return done


async def test_rule_is_created_replaced_left_alone_and_deleted(client: httpx.AsyncClient) -> None:
    def done(version: int, change: str, mode: str = "live") -> list[dict[str, Any]]:
        return [{"name": "big order", "version": version, "mode": mode, "change": change}]

    assert await put(client, RULE) == done(1, "created")
    assert await put(client, f"-- again\n{RULE}\n") == done(1, "unchanged")
    shadow = RULE.replace(" }", " mode shadow }")
    assert await put(client, shadow) == done(2, "replaced", "shadow")
    found = (await client.get("/v1/rules/big order")).json()
    assert (found["version"], found["mode"], found["text"]) == (2, "shadow", shadow)
    assert found["created_at"].endswith("Z")
    assert [item["version"] for item in (await client.get("/v1/rules")).json()["items"]] == [2]
    assert (await client.delete("/v1/rules/big order")).status_code == 204
    assert (await client.delete("/v1/rules/big order")).status_code == 404
    assert (await client.get("/v1/rules/big order")).json()["code"] == "unknown_rule"
    assert await put(client, RULE) == done(3, "created")


@pytest.mark.parametrize("name", ["a/b", "check", "100 %", "ümlaut?", "a//b/", "."])
async def test_name_may_hold_any_character(client: httpx.AsyncClient, name: str) -> None:
    await put(client, f'rule "{name}" {{ on any do dashboard(note: "n") }}')
    path = "/v1/rules/" + quote(name, safe="").replace(".", "%2E")
    assert (await client.get(path)).json()["name"] == name
    assert (await client.delete(path)).status_code == 204


async def test_mistakes_are_all_told_and_nothing_is_changed(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/rules",
        json={"text": f'{RULE}\nsegment s when true\nrule "x" {{ on any where $event.a = 1 do x() }}'},
    )
    assert answer.status_code == 422
    body = answer.json()
    assert (body["code"], [error["code"] for error in body["errors"]]) == (
        "invalid_rule",
        ["not_yet", "unexpected"],
    )
    assert body["errors"][1] == {
        "line": 3,
        "column": 34,
        "length": 1,
        "code": "unexpected",
        "message": "= does not compare.",
        "hint": "Use == to compare.",
    }
    assert (await client.get("/v1/rules")).json() == {"items": [], "next": None}


async def test_check_changes_nothing(client: httpx.AsyncClient) -> None:
    good = (await client.post("/v1/rules/check", json={"text": RULE})).json()
    assert good == {
        "ok": True,
        "errors": [],
        "rules": [
            {"name": "big order", "mode": "live", "on": "order_paid", "any": False, "actions": ["dashboard"]}
        ],
    }
    bad = (await client.post("/v1/rules/check", json={"text": "rule"})).json()
    assert (bad["ok"], len(bad["errors"]), bad["rules"]) == (False, 1, [])
    assert (await client.get("/v1/rules")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"[]", 422, "invalid_body"),
        (b"{}", 422, "invalid_body"),
        (b'{"text": 3}', 422, "invalid_body"),
        (b'{"text": "rule", "mode": "x"}', 422, "invalid_body"),
        (b'{"text": "\\ud800"}', 400, "invalid_json"),
        (b'{"text": ""}', 422, "no_rule"),
        (b'{"text": "\\u0000"}', 422, "invalid_rule"),
        (b'{"text": "' + b"x" * MAX_BODY_BYTES + b'"}', 413, "body_too_large"),
    ],
)
async def test_wrong_bodies(client: httpx.AsyncClient, body: bytes, status: int, code: str) -> None:
    answer = await client.post("/v1/rules", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_project_has_a_bounded_number_of_rules(client: httpx.AsyncClient) -> None:
    text = "\n".join(f'rule "{n}" {{ on any do dashboard(note: "n") }}' for n in range(21))
    answer = await client.post("/v1/rules", json={"text": text})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_rules")
    assert (await client.get("/v1/rules")).json()["items"] == []


async def test_actions_are_filtered_and_paged(rules: RunningRules, client: httpx.AsyncClient) -> None:
    await put(client, 'rule "a" { on any do dashboard(note: "n") }')
    await put(client, 'rule "b" { on any do dashboard(note: "n") mode shadow }')
    async with rules.working():
        await rules.send(*(make_event(rules.main.project, n, user=f"u{n % 2}") for n in range(10)))
        await rules.actions_once(20)

    async def total(**query: str) -> int:
        return len((await client.get("/v1/actions", params=query)).json()["items"])

    assert await total(user="u1") == 10
    assert await total(user="u1", rule="a") == 5
    assert await total(status="suppressed") == 10
    assert await total(account="acme", rule="b", status="sent") == 0
    assert await total(user="\0") == 0
    seen: list[str] = []
    query = {"limit": "3"}
    while True:
        page = (await client.get("/v1/actions", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert len(seen) == len(set(seen)) == 20


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "501"}, {"status": "x"}, {"before": "x"}, {"before": "f39_" * 13 + "fw"}],
)
async def test_wrong_parameters(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await client.get("/v1/actions", params=query)
    assert answer.status_code == 400
    assert answer.json()["field"] == next(iter(query))


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_the_secret_key_of_the_project(rules: RunningRules, method: str, path: str) -> None:
    await rules.put(RULE)
    other = await rules.projects.create("other")
    body = {"json": {"text": 'rule "other" { on any do dashboard(note: "n") }'}} if method == "POST" else {}

    async def ask(key: str | None, **query: str) -> httpx.Response:
        async with rules.client(key) as client:
            return await client.request(method, path, params=query, **body)  # type: ignore[arg-type]

    assert (await ask(None)).status_code == 401
    assert (await ask("ffs_" + "x" * 43)).status_code == 401
    assert (await ask("nonsense")).status_code == 401
    assert (await ask(rules.main.write_key)).status_code == 403
    assert (await ask(other.secret_key, project=rules.main.project)).status_code == 404
    foreign = await ask(other.secret_key)
    assert "big order" not in foreign.text or foreign.status_code == 404
    async with rules.client(rules.main.secret_key) as client:
        assert [item["name"] for item in (await client.get("/v1/rules")).json()["items"]] == ["big order"]
    assert (await ask(rules.main.secret_key, project=rules.main.project)).status_code in {200, 204}


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_login_with_a_project_and_from_our_own_pages(
    rules: RunningRules, method: str, path: str
) -> None:
    await rules.put(RULE)
    other = await rules.projects.create("other")
    await rules.access.refresh()
    logins = Logins(rules.pool, SystemClock())
    opened = await logins.consume((await logins.create_link(rules.main.project)).token)
    assert opened is not None
    own = {"Origin": "http://footfall.example"}
    body = {"json": {"text": RULE}} if method == "POST" else {}

    async def ask(project: str | None, headers: dict[str, str]) -> int:
        async with rules.client() as client:
            client.cookies.set(SESSION_COOKIE, opened.cookie)
            query = {"project": project} if project else {}
            return (await client.request(method, path, params=query, headers=headers, **body)).status_code  # type: ignore[arg-type]

    assert await ask(None, own) == 400
    assert await ask(other.project, own) == 404
    assert await ask("nonsense", own) == 404
    if method != "GET":
        assert await ask(rules.main.project, {}) == 403
        assert await ask(rules.main.project, {"Origin": "https://evil.example"}) == 403
    assert await ask(rules.main.project, own) in {200, 204}
