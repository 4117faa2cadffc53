"""What every route of the suite is, and how it is asked about the first of two tenants."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from two_tenants import Tenants

Kind: TypeAlias = Literal[
    "read list", "read whole", "read one", "change own", "change one", "project", "projects",
    "new project", "login link", "send", "pixel", "public", "page", "session",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """How a route is asked about our project. `shows` when its answer to us holds the canary."""

    kind: Kind
    path: str
    body: Any = None
    content: bytes | None = None
    shows: bool = False


def cases(tenants: Tenants) -> dict[tuple[str, str], Case]:
    """Every route and what it is; a route that is missing here fails the first test."""
    project, names = tenants.ours.project, tenants.names
    of_project, run = f"/v1/projects/{project}", f"/v1/imports/{names.run}"
    rejected = f"/v1/rejected/{names.rejected}"
    event = {"user": "bob", "action": "tried", "id": "tried"}
    rule = 'rule "tried" { on tried do dashboard(note: "tried") }'
    return {
        ("GET", "/v1/activity"): Case("read list", "/v1/activity", shows=True),
        ("GET", "/v1/stream"): Case("read list", "/v1/stream"),
        ("GET", "/v1/pulse"): Case("read whole", "/v1/pulse", shows=True),
        ("GET", "/v1/pulse/days"): Case("read whole", "/v1/pulse/days", shows=True),
        ("GET", "/v1/sources"): Case("read whole", "/v1/sources", shows=True),
        ("GET", "/v1/pulse/minutes"): Case("read whole", "/v1/pulse/minutes"),
        ("GET", "/v1/pulse/hours"): Case("read whole", "/v1/pulse/hours"),
        ("GET", "/v1/accounts"): Case("read whole", "/v1/accounts", shows=True),
        ("GET", "/v1/users"): Case("read whole", "/v1/users", shows=True),
        ("GET", "/v1/activity/{event_id:path}"): Case("read one", f"/v1/activity/{names.event}", shows=True),
        ("GET", "/v1/accounts/{account:path}"): Case("read one", f"/v1/accounts/{names.account}", shows=True),
        ("GET", "/v1/users/{user:path}"): Case("read one", f"/v1/users/{names.user}", shows=True),
        ("GET", "/v1/visitors/{anonymous_id:path}"): Case(
            "read one", f"/v1/visitors/{names.visitor}", shows=True
        ),
        ("DELETE", "/v1/users/{user:path}"): Case("change own", "/v1/users/nobody-here"),
        ("GET", "/v1/forgotten"): Case("change own", "/v1/forgotten"),
        ("GET", "/v1/forgotten/{request_id}"): Case("change one", "/v1/forgotten/fabcdefghijk"),
        ("GET", "/v1/rules"): Case("change own", "/v1/rules", shows=True),
        ("POST", "/v1/rules"): Case("change own", "/v1/rules", {"text": rule}),
        ("POST", "/v1/rules/check"): Case("change own", "/v1/rules/check", {"text": rule}),
        ("GET", "/v1/rules/{name:path}"): Case("change one", f"/v1/rules/{names.rule}", shows=True),
        ("DELETE", "/v1/rules/{name:path}"): Case("change one", f"/v1/rules/{names.rule}"),
        ("GET", "/v1/plan"): Case("change own", "/v1/plan"),
        ("PUT", "/v1/plan"): Case("change own", "/v1/plan", {"actions": {}}),
        ("GET", "/v1/plan/versions"): Case("change own", "/v1/plan/versions"),
        ("POST", "/v1/plan/check"): Case("change own", "/v1/plan/check", {"actions": {}}),
        ("POST", "/v1/plan/learn"): Case("change own", "/v1/plan/learn", {}),
        ("GET", "/v1/plan/unplanned"): Case("change own", "/v1/plan/unplanned"),
        ("GET", "/v1/actions"): Case("change own", "/v1/actions", shows=True),
        ("GET", "/v1/imports"): Case("change own", "/v1/imports", shows=True),
        ("POST", "/v1/imports"): Case("change own", "/v1/imports?source=ndjson", content=b"{}"),
        ("POST", "/v1/imports/plan"): Case("change own", "/v1/imports/plan?source=ndjson", content=b"{}"),
        ("GET", "/v1/imports/{run}"): Case("change one", run, shows=True),
        ("GET", "/v1/imports/{run}/events"): Case("change one", f"{run}/events", shows=True),
        ("GET", "/v1/imports/{run}/rejected"): Case("change one", f"{run}/rejected", shows=True),
        ("POST", "/v1/imports/{run}/cancel"): Case("change one", f"{run}/cancel"),
        ("GET", "/v1/rejected"): Case("change own", "/v1/rejected", shows=True),
        ("GET", "/v1/rejected/summary"): Case("change own", "/v1/rejected/summary"),
        ("POST", "/v1/rejected/replay"): Case("change own", "/v1/rejected/replay", {"ids": [names.rejected]}),
        ("POST", "/v1/rejected/dismiss"): Case(
            "change own", "/v1/rejected/dismiss", {"ids": [names.rejected]}
        ),
        ("GET", "/v1/rejected/{rejection_id}"): Case("change one", rejected, shows=True),
        ("POST", "/v1/rejected/{rejection_id}/replay"): Case(
            "change one", f"{rejected}/replay", {"event": event}
        ),
        ("POST", "/v1/rejected/{rejection_id}/dismiss"): Case("change one", f"{rejected}/dismiss"),
        ("POST", "/v1/tokens"): Case("change own", "/v1/tokens", {}),
        ("GET", "/v1/projects"): Case("projects", "/v1/projects", shows=True),
        ("POST", "/v1/projects"): Case("new project", "/v1/projects", {"name": "tried"}),
        ("GET", "/v1/projects/{project}"): Case("project", of_project, shows=True),
        ("PATCH", "/v1/projects/{project}"): Case("project", of_project, {"name": "tried"}),
        ("DELETE", "/v1/projects/{project}"): Case("project", of_project),
        ("GET", "/v1/projects/{project}/keys"): Case("project", f"{of_project}/keys", shows=True),
        ("POST", "/v1/projects/{project}/keys"): Case("project", f"{of_project}/keys", {"kind": "secret"}),
        ("DELETE", "/v1/projects/{project}/keys/{key_id}"): Case("project", f"{of_project}/keys/{names.key}"),
        ("POST", "/v1/logins"): Case("login link", "/v1/logins", {"project": project}),
        ("POST", "/v1/events"): Case("send", "/v1/events", event),
        ("POST", "/v1/events/"): Case("send", "/v1/events/", event),
        ("GET", "/t.gif"): Case("pixel", "/t.gif?user=bob&action=tried"),
        ("POST", "/t.gif"): Case("pixel", "/t.gif", event),
        ("GET", "/js/footfall.js"): Case("public", "/js/footfall.js"),
        ("GET", "/js/footfall.mjs"): Case("public", "/js/footfall.mjs"),
        ("GET", "/js/totango.js"): Case("public", "/js/totango.js"),
        ("GET", "/js/footfall.d.mts"): Case("public", "/js/footfall.d.mts"),
        ("GET", "/login"): Case("public", "/login"),
        ("POST", "/login"): Case("public", "/login", content=b"token=tried"),
        ("POST", "/logout"): Case("public", "/logout"),
        ("GET", "/v1/session"): Case("session", "/v1/session"),
        ("GET", "/"): Case("public", "/"),
        ("GET", "/assets/{version}/{path:path}"): Case("public", "/assets/tried/app.js"),
        ("GET", "/pulse"): Case("page", "/pulse"),
        ("GET", "/accounts"): Case("page", "/accounts"),
        ("GET", "/accounts/{account:path}"): Case("page", "/accounts/tried"),
        ("GET", "/users"): Case("page", "/users"),
        ("GET", "/users/{user:path}"): Case("page", "/users/tried"),
        ("GET", "/visitors/{anonymous_id:path}"): Case("page", "/visitors/tried"),
        ("GET", "/activity/{event_id:path}"): Case("page", "/activity/tried"),
        ("GET", "/sources"): Case("page", "/sources"),
        ("GET", "/rejected"): Case("page", "/rejected"),
        ("GET", "/actions"): Case("page", "/actions"),
        ("GET", "/livez"): Case("public", "/livez"),
        ("GET", "/readyz"): Case("public", "/readyz"),
        ("GET", "/metrics"): Case("public", "/metrics"),
        ("GET", "/openapi.json"): Case("public", "/openapi.json"),
    }
