"""Whatever is secret goes in through every door; none of it comes out in logs, metrics, errors or process lists.

A write key is public and can be read again, where its project is administered; it is spread nowhere either.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import asyncpg
import httpx
import psutil
import pytest

from footfall.embedded import running_url
from footfall_process import family, footfall_up, start_up
from two_tenants import SESSION_COOKIE, bearer

pytestmark = pytest.mark.e2e

ADMIN = "zqsecret-administrator-0123456789"
CONTENT = "zqsecret-content"
"""Stands in events, rules and names: personal data, which belongs into the database alone."""

UNKNOWN = ("ffs_" + "zqsecret" * 5 + "abc", "ffw_" + "zqsecret" * 5 + "abc", "zqsecret-plain-text-credential")


def _credentials(client: httpx.Client) -> tuple[str, ...]:
    """One of every kind that works, and some that do not."""
    made = client.post("/v1/projects", json={"name": CONTENT}, headers=bearer(ADMIN)).json()
    key = bearer(made["secret_key"])
    token = client.post("/v1/tokens", headers=key).json()["token"]
    links = [client.post("/v1/logins", headers=key).json()["path"] for _ in range(2)]
    used, unused = (httpx.URL(link).params["token"] for link in links)
    client.get(links[0])
    client.post("/login", data={"token": used}, headers={"origin": str(client.base_url).rstrip("/")})
    cookie = client.cookies[SESSION_COOKIE]
    client.cookies.clear()
    return (ADMIN, made["write_key"], made["secret_key"], token, used, unused, cookie, *UNKNOWN)


def _doors(secret: str) -> Iterator[httpx.Request]:
    """The secret in every place a client has put one."""
    basic = [base64.b64encode(text.encode()).decode() for text in (f"{secret}:", f":{secret}", f"x:{secret}")]
    headers: list[dict[str, str]] = [
        bearer(secret),
        {"authorization": secret},
        *({"authorization": f"Basic {text}"} for text in basic),
        {"cookie": f"{SESSION_COOKIE}={secret}", "origin": "http://elsewhere.example"},
        {"x-api-key": secret},
        {"proxy-authorization": f"Bearer {secret}"},
        {"referer": f"http://x/?key={secret}", "user-agent": f"x/1 {secret}"},
        {"idempotency-key": secret},
        {"last-event-id": secret},
        {"origin": f"http://{secret}.example"},
    ]
    for path in ("/v1/activity/nothing", "/v1/rules/nothing", "/v1/imports/nothing", "/v1/projects/nothing"):
        for sent in headers:
            yield httpx.Request("GET", path, headers=sent)
    for sent in headers:
        yield httpx.Request("POST", "/v1/events", headers=sent, content=b"{")
        yield httpx.Request("POST", "/v1/tokens", headers=sent, json={"expires_in_s": -1})
    for name in ("key", "token", "secret", "password", "access_token"):
        for path in (
            "/v1/activity",
            "/v1/users/nothing",
            "/v1/stream",
            "/v1/imports",
            "/v1/rules",
            "/nowhere",
            "/login",
        ):
            yield httpx.Request("GET", f"{path}?topic=nothing&{name}={secret}")
        yield httpx.Request("POST", f"/v1/events?{name}={secret}", json={"action": ""})
        yield httpx.Request("GET", f"/t.gif?{name}={secret}&action=")
        yield httpx.Request("POST", "/v1/tokens", json={name: secret})
        yield httpx.Request("POST", "/login", data={name: f"{secret}x"})
        yield httpx.Request("POST", "/v1/events", headers=bearer(secret), json={name: secret})


def _fill(client: httpx.Client, write_key: str, secret_key: str) -> None:
    """Content that is taken, and content that is refused in every way."""
    named = {"user": CONTENT, "account": CONTENT, "action": CONTENT}
    for body in (
        {**named, "properties": {"password": CONTENT, CONTENT: CONTENT}},
        {**named, "time": CONTENT},
        {"action": 7, "user": CONTENT},
        {**named, "properties": {CONTENT: "\0"}},
        {**named, "user": CONTENT * 100},
    ):
        client.post("/v1/events", json=body, headers=bearer(write_key))
    client.post("/v1/events", content=f'{{"user":"{CONTENT}",'.encode(), headers=bearer(write_key))
    for text in (
        f'rule "{CONTENT}" {{ on any do dashboard(note: "{CONTENT}") }}',
        f'rule "{CONTENT}" {{ {CONTENT}',
    ):
        client.post("/v1/rules", json={"text": text}, headers=bearer(secret_key))
    lines = f"{CONTENT}\n" + json.dumps({**named, "id": CONTENT}) + "\n"
    sent = client.post(
        f"/v1/imports?source=ndjson&name={CONTENT}", content=lines.encode(), headers=bearer(secret_key)
    )
    assert sent.status_code == 202
    # The name is taken.
    assert client.post("/v1/projects", json={"name": CONTENT}, headers=bearer(ADMIN)).status_code == 409


async def _fail_in_database(directory: Path) -> None:
    """Statements with bound values that fail as a statement of ours might."""
    connection = await asyncpg.connect(running_url(directory))
    try:
        for statement in (
            "insert into access.project (id, name, created_at) select 'p' || $1, name, now() from access.project",
            "insert into access.project (id, name, created_at) values ($1, null, now())",
            "select $1::text::jsonb",
            "select 1 / (length($1) - length($1))",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(statement, CONTENT)
    finally:
        await connection.close()


def _drain(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


def test_no_secret_is_written_down_anywhere(tmp_path: Path) -> None:
    environ = {"FOOTFALL_ADMIN_TOKEN": ADMIN, "FOOTFALL_LOG_LEVEL": "debug"}
    with footfall_up(tmp_path / "data", environ=environ) as up, ThreadPoolExecutor(2) as pool:
        # At this level it writes more than a pipe holds.
        written = [pool.submit(_drain, stream) for stream in (up.process.stdout, up.process.stderr)]
        try:
            with httpx.Client(base_url=up.url, timeout=15, trust_env=False) as client:
                secrets = _credentials(client)
                _fill(client, secrets[1], secrets[2])
                told = _told(client, secrets)
                shown = _shown(client, secrets)
                asyncio.run(_fail_in_database(up.directory))
                metrics = client.get("/metrics").text
            commands = "\n".join(" ".join(_command(one)) for one in family(up.process))
        finally:
            up.stop()
        stdout, stderr = (stream.result(timeout=30) for stream in written)
        server_log = (up.directory / "postgres" / "server.log").read_text()
    assert stderr.count('"event":"request"') > 100, "the log says nothing, so it proves nothing"
    assert server_log.count("ERROR") >= 4, "no statement failed, so the log proves nothing"
    places = {
        "stdout": stdout,
        "stderr": stderr,
        "/metrics": metrics,
        "server.log": server_log,
        "ps": commands,
    }
    for secret in secrets:
        assert [place for place, text in places.items() if secret in text] == [], secret
    assert [_around(text, CONTENT) for text in places.values() if CONTENT in text] == []
    assert told == []
    _, write_key, secret_key, *_ = secrets
    assert [path for path, text in shown.items() if secret_key in text] == []
    assert [path.rpartition("/")[2] for path, text in shown.items() if write_key in text] == ["keys"]
    for name in ("write_key", "secret_key"):
        assert up.facts[name] in stdout, "its owner is told, once"
        assert [place for place, text in places.items() if place != "stdout" and up.facts[name] in text] == []


def _told(client: httpx.Client, secrets: tuple[str, ...]) -> list[str]:
    """The refusals that say the secret again."""
    found = []
    for secret in secrets:
        for door in _doors(secret):
            request = client.build_request(
                door.method, str(door.url), headers=door.headers.raw, content=door.read()
            )
            answer = client.send(request, stream=True)
            if answer.status_code >= 400 and secret in answer.read().decode(errors="replace"):
                found.append(f"{door.method} {door.url}: {answer.text[:200]}")
            answer.close()
            client.cookies.clear()
    return found


def _shown(client: httpx.Client, secrets: tuple[str, ...]) -> dict[str, str]:
    """What the pages and the routes behind them say to who has logged in and administers the project."""
    link = client.post("/v1/logins", headers=bearer(secrets[2])).json()["path"]
    token = httpx.URL(link).params["token"]
    client.post("/login", data={"token": token}, headers={"origin": str(client.base_url).rstrip("/")})
    [project] = [item["project"] for item in client.get("/v1/session").json()["projects"]]
    asked = {"project": project}
    paths = [
        "/v1/session", "/v1/projects", f"/v1/projects/{project}", f"/v1/projects/{project}/keys", "/v1/pulse",
        "/v1/activity", "/v1/accounts", "/v1/users", "/v1/sources", "/v1/actions", "/v1/rules", "/v1/imports",
        "/login", "/pulse", "/accounts", "/accounts/acme", "/sources", "/actions",
    ]  # fmt: skip
    answers = {path: client.get(path, params=asked) for path in paths}
    client.cookies.clear()
    assert {answer.status_code for answer in answers.values()} == {200}
    return {path: f"{answer.headers}\n{answer.text}" for path, answer in answers.items()}


def _around(text: str, word: str) -> str:
    at = text.index(word)
    return text[max(0, at - 300) : at + 100]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.parametrize(
    "environ",
    [
        {"FOOTFALL_ADMIN_TOKN": "zqsecret-value"},
        {"FOOTFALL_DATABASE_URL": "mysql://user:zqsecret-value@host/x"},
        {"FOOTFALL_ADMIN_TOKEN": "zqsecret-value", "FOOTFALL_DRAIN_S": "-1"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_wrong_settings_are_told_without_secret_values(tmp_path: Path, environ: dict[str, str]) -> None:
    process = start_up(tmp_path / "data", environ=environ)
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == 2
    assert "FOOTFALL_" in said
    assert "zqsecret" not in said
