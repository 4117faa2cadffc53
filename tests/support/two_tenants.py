"""A running suite with two projects, of which one is full of words that nobody else may ever see."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from footfall_process import Up, eventually, footfall_up

ADMIN_TOKEN = "administrator-of-two-tenants"
SESSION_COOKIE = "footfall_session"
CANARY = "zqcanary"
"""Stands in every text of the first project, and in nothing else."""


@dataclass(frozen=True)
class Tenant:
    """A project with its keys and one login."""

    project: str
    write_key: str
    secret_key: str
    cookie: str

    @property
    def session(self) -> dict[str, str]:
        """What the browser of a logged-in person sends along."""
        return {"cookie": f"{SESSION_COOKIE}={self.cookie}"}


@dataclass(frozen=True)
class Names:
    """What the first project's things are called; each holds the canary."""

    user: str = f"{CANARY}-user"
    visitor: str = f"{CANARY}-visitor"
    account: str = f"{CANARY}-account"
    action: str = f"{CANARY} action"
    event: str = f"{CANARY}-event"
    rule: str = f"{CANARY} rule"
    run: str = ""
    key: str = ""
    rejected: str = ""


@dataclass(frozen=True)
class Tenants:
    """`ours` holds the canaries, named by `names`; `theirs` is another customer's."""

    up: Up
    ours: Tenant
    theirs: Tenant
    names: Names
    client: httpx.Client
    """Carries no credential of its own."""

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request without any credential but the given."""
        return self.client.request(method, path, **arguments)


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@contextmanager
def running_tenants(directory: Path) -> Iterator[Tenants]:
    """The suite on `directory`, with both projects filled and everything of them readable."""
    with (
        footfall_up(directory, environ={"FOOTFALL_ADMIN_TOKEN": ADMIN_TOKEN}) as up,
        httpx.Client(base_url=up.url, timeout=20, trust_env=False) as client,
    ):
        ours, theirs = (open_tenant(up, name) for name in (f"{CANARY} project", "other project"))
        yield Tenants(up, ours, theirs, _fill(up, ours, theirs), client)


def open_tenant(up: Up, name: str) -> Tenant:
    """A new project and a session that sees it alone."""
    with httpx.Client(base_url=up.url, timeout=15, trust_env=False) as client:
        made = client.post("/v1/projects", json={"name": name}, headers=bearer(ADMIN_TOKEN)).json()
        link = client.post("/v1/logins", headers=bearer(made["secret_key"])).json()["path"]
        token = httpx.URL(link).params["token"]
        opened = client.post("/login", data={"token": token}, headers={"origin": up.url})
        assert opened.status_code == 303, opened.text
        return Tenant(made["project"], made["write_key"], made["secret_key"], client.cookies[SESSION_COOKIE])


def _fill(up: Up, ours: Tenant, theirs: Tenant) -> Names:
    names = Names()
    with (
        httpx.Client(base_url=up.url, headers=bearer(ours.secret_key), timeout=15, trust_env=False) as our,
        httpx.Client(
            base_url=up.url, headers=bearer(theirs.secret_key), timeout=15, trust_env=False
        ) as their,
    ):
        rule = f'rule "{names.rule}" {{ on "{names.action}" do dashboard(note: "{CANARY} note") }}'
        assert our.post("/v1/rules", json={"text": rule}).status_code == 200
        key = our.post(
            f"/v1/projects/{ours.project}/keys", json={"kind": "write", "label": f"{CANARY} label"}
        )
        sent = {
            "user": names.user,
            "account": names.account,
            "action": names.action,
            "id": names.event,
            "properties": {f"{CANARY}_name": f"{CANARY} value"},
        }
        described = {
            "type": "identify",
            "user": names.user,
            "id": f"{CANARY}-identify",
            "traits": {"plan": f"{CANARY} plan"},
        }
        sdk = {"user-agent": f"{CANARY}-sdk/1"}
        visited = {"anonymous_id": names.visitor, "action": names.action, "id": f"{CANARY}-visit"}
        posted = our.post("/v1/events", json=[sent, described, visited], headers=sdk)
        assert posted.json()["accepted"] == 3
        refused = our.post(
            "/v1/events", json={**sent, "id": f"{CANARY}-refused", "action": None}, headers=sdk
        )
        assert refused.status_code == 400
        plain = {"user": "ada", "account": "acme", "action": "opened report", "id": "their-event"}
        assert their.post("/v1/events", json=plain).json()["accepted"] == 1
        lines = [
            json.dumps({**sent, "id": f"{CANARY}-imported", "time": "2026-01-05T10:00:00Z"}),
            f"{CANARY} no JSON",
        ]
        run = our.post(
            "/v1/imports",
            params={"source": "ndjson", "name": f"{CANARY}.ndjson"},
            content=gzip.compress("\n".join(lines).encode()),
        ).json()["run"]
        for client, path in (
            (our, f"/v1/activity/{names.event}"),
            (our, f"/v1/activity/{CANARY}-imported"),
            (our, f"/v1/activity/{CANARY}-visit"),
            (their, "/v1/activity/their-event"),
        ):
            eventually(lambda client=client, path=path: client.get(path).status_code == 200, 30)  # type: ignore[misc]  # its arguments are bound here
        eventually(lambda: our.get(f"/v1/imports/{run}").json()["state"] == "done", 30)
        eventually(lambda: our.get("/v1/actions").json()["items"], 30)
        eventually(lambda: len(our.get("/v1/rejected").json()["items"]) == 2, 30)
        kept = our.get("/v1/rejected", params={"source": "ingest"}).json()["items"]
    return Names(run=run, key=key.json()["id"], rejected=kept[0]["id"])
