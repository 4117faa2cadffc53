"""The plan's routes on a real database: applied, tried, learned, and what arrives that is not in it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from access.cache import Access, open_access
from access.database import Pool
from access.plans import MAX_VERSIONS, Plans
from access.projects import Created, Projects
from eventmodel import Event, EventId, ProjectId, RejectedRecord, Sender, wire
from fake_clock import FakeClock
from lifecycle.database import open_pool
from lifecycle.errors import install_errors
from policy import read_plan
from project_routes import bearer
from stream_gateway.plans.routes import plan_routes
from stream_gateway.plans.traffic import RecentTraffic
from stream_gateway.projection.history import ensure_months
from telemetry.metrics import Metrics

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PLAN: dict[str, Any] = {"mode": "quarantine", "actions": {"opened report": {"required": ["rows"]}}}


class Stand:
    """The routes for one project, which is asked about with its secret key."""

    def __init__(self, pool: Pool, access: Access, projects: Projects, made: Created, app: FastAPI) -> None:
        self.pool = pool
        self.access = access
        self.projects = projects
        self.project = made.project
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://gateway.test", headers=bearer(made.secret_key)
        )

    async def fill(self, *events: Event) -> None:
        await self.pool.executemany(
            "insert into gateway.history"
            " (part, project, occurred_at, subject, account, kind, action, origin, id, event)"
            " values (0, $1, $2, $3, '', $4, $5, 'live', $6, $7)",
            [
                (e.project, e.occurred_at, e.subject, e.kind, e.action, e.id, wire.encode(e).decode())
                for e in events
            ],
        )

    def event(self, number: int, action: str, sdk: str = "curl/8", **properties: Any) -> Event:
        at = NOW - timedelta(minutes=number)
        return Event(
            id=EventId(str(number)),
            project=self.project,
            kind="track",
            action=action,
            occurred_at=at,
            received_at=at,
            origin="live",
            user="ada",
            properties=properties,
            sender=Sender(key="kaaaaaaaaaaa", sdk=sdk),
        )


@pytest.fixture
async def stand(migrated_url: str) -> AsyncIterator[Stand]:
    clock = FakeClock()
    async with open_pool(migrated_url) as pool, open_access(pool, clock, Metrics("test")) as access:
        async with pool.acquire() as connection:
            await ensure_months(connection, NOW, 1)
        projects = Projects(pool, clock)
        made = await projects.create("main")
        app = FastAPI(redirect_slashes=False)
        install_errors(app)
        app.include_router(plan_routes(Plans(pool, clock), RecentTraffic(pool), access, clock))
        stand = Stand(pool, access, projects, made, app)
        async with stand.client:
            yield stand


async def test_a_plan_is_in_force_once_applied_and_the_ones_before_are_kept(stand: Stand) -> None:
    nothing = (await stand.client.get("/v1/plan")).json()
    assert nothing == {"version": 0, "applied_at": None, "plan": {"mode": "observe", "actions": {}}}
    first = (await stand.client.put("/v1/plan", json=PLAN)).json()
    measure = stand.access.policy(stand.project).measure
    assert measure is not None
    assert measure.judge(stand.event(1, "opened report")) is not None
    again = (await stand.client.put("/v1/plan", json=first["plan"])).json()
    second = (await stand.client.put("/v1/plan", json={**PLAN, "mode": "warn"})).json()
    assert (first["version"], again["version"], second["version"]) == (1, 1, 2)
    assert (await stand.client.get("/v1/plan")).json() == second
    assert (await stand.client.get("/v1/plan?version=1")).json() == first
    assert (await stand.client.get("/v1/plan?version=3")).status_code == 404
    listed = (await stand.client.get("/v1/plan/versions")).json()["items"]
    assert [(item["version"], item["mode"], item["actions"]) for item in listed] == [
        (2, "warn", 1),
        (1, "quarantine", 1),
    ]


async def test_a_process_follows_without_reading_plans_that_did_not_change(stand: Stand) -> None:
    await stand.client.put("/v1/plan", json=PLAN)
    before = stand.access.policy(stand.project)
    await stand.projects.create("another")
    await stand.access.refresh()
    assert stand.access.policy(stand.project) is before
    await stand.projects.change(stand.project, privacy={"ip": "drop"})
    await stand.access.refresh()
    after = stand.access.policy(stand.project)
    assert after is not before
    assert after.measure is not None


async def test_a_plan_with_mistakes_changes_nothing_and_says_where_they_are(stand: Stand) -> None:
    await stand.client.put("/v1/plan", json=PLAN)
    wrong = {
        "actions": {"a": {"properties": {"x": {"$ref": "http://elsewhere.example/"}, "y": {"type": "text"}}}}
    }
    refused = await stand.client.put("/v1/plan", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid_plan"
    assert [error["path"] for error in refused.json()["errors"]] == [
        "actions.a.properties.x.$ref",
        "actions.a.properties.y.type",
    ]
    checked = await stand.client.post("/v1/plan/check", json=wrong)
    assert checked.status_code == 200
    assert checked.json()["errors"] == refused.json()["errors"]
    assert (await stand.client.get("/v1/plan")).json()["version"] == 1
    assert (await stand.client.put("/v1/plan", content=b"{")).json()["code"] == "invalid_json"


async def test_only_so_many_versions_are_kept(stand: Stand) -> None:
    plans = Plans(stand.pool, FakeClock())
    for mode in ("observe", "warn"):
        await plans.apply(stand.project, read_plan({**PLAN, "mode": mode}))
    await stand.pool.execute("update access.plan set version = $1 where version = 2", MAX_VERSIONS)
    await plans.apply(stand.project, read_plan(PLAN))
    kept = [stored.version for stored in await plans.history(stand.project)]
    assert kept == [MAX_VERSIONS + 1, MAX_VERSIONS]


async def test_a_check_says_what_the_plan_would_have_said(stand: Stand) -> None:
    await stand.fill(
        *(stand.event(number, "opened report") for number in range(3)),
        stand.event(3, "opened report", rows=1),
        stand.event(4, "paid"),
    )
    found = (await stand.client.post("/v1/plan/check", json=PLAN)).json()
    assert found["events"] == 5
    assert [(item["count"], item["action"], item["code"]) for item in found["violations"]] == [
        (3, "opened report", "missing_property"),
        (1, "paid", "unplanned_action"),
    ]


async def test_a_draft_is_learned_and_keeps_what_it_was_learned_from(stand: Stand) -> None:
    await stand.fill(
        *(
            stand.event(
                number,
                "opened report",
                report="churn" if number % 2 else "usage",
                rows=number,
                ratio=number / 2,
                mail=f"a{number}@b.example",
                **dict[str, Any]({"note": None} if number % 3 else {}),
            )
            for number in range(40)
        ),
        stand.event(41, "Opened_Report"),
    )
    learned = (await stand.client.post("/v1/plan/learn", json={"events": 100})).json()
    assert learned["events"] == 41
    [(name, action)] = learned["plan"]["actions"].items()
    assert name == "opened report"
    assert action["properties"] == {
        "mail": {"type": "string", "format": "email"},
        "note": {"type": "null"},
        "ratio": {"type": "number"},
        "report": {"type": "string", "enum": ["churn", "usage"]},
        "rows": {"type": "integer"},
    }
    assert action["required"] == ["mail", "ratio", "report", "rows"]
    assert (await stand.client.get("/v1/plan")).json()["version"] == 0
    tried = (await stand.client.post("/v1/plan/check", json=learned["plan"])).json()
    assert [item["action"] for item in tried["violations"]] == ["Opened_Report"]
    assert (await stand.client.post("/v1/plan/learn", json={"events": 0})).status_code == 422


def _set_aside(project: ProjectId, number: int, action: str) -> RejectedRecord:
    return RejectedRecord(
        id=str(number),
        project=project,
        received_at=NOW,
        source="ingest",
        code="unplanned_action",
        message="The plan has no such action.",
        place={"path": "/v1/events", "index": 0},
        body=f'{{"user":"ada","action":"{action}"}}',
        quarantined=True,
    )


async def test_unplanned_actions_are_listed_with_who_sends_them_and_what_they_mean(stand: Stand) -> None:
    await stand.client.put("/v1/plan", json=PLAN)
    await stand.fill(
        stand.event(1, "opend report", "a/1"),
        stand.event(2, "opend report", "b/2"),
        stand.event(3, "opend report", "b/2"),
        stand.event(4, "opened report"),
    )
    await stand.pool.executemany(
        "insert into gateway.rejected (part, project, id, received_at, source, code, record)"
        " values (0, $1, $2, $3, 'ingest', 'unplanned_action', $4)",
        [
            (
                stand.project,
                str(number),
                NOW,
                msgspec.json.encode(_set_aside(stand.project, number, action)).decode(),
            )
            for number, action in enumerate(["paid", "opened report"])
        ],
    )
    items = (await stand.client.get("/v1/plan/unplanned")).json()["items"]
    assert [(item["action"], item["stored"], item["set_aside"], item["suggestion"]) for item in items] == [
        ("opend report", 3, 0, "opened report"),
        ("paid", 0, 1, None),
    ]
    assert [(sender["sdk"], sender["count"]) for sender in items[0]["senders"]] == [("b/2", 2), ("a/1", 1)]


async def test_pseudonyms_have_a_secret_of_their_own_in_each_project(stand: Stand) -> None:
    await stand.projects.create("another")
    await stand.access.refresh()
    keys = [project.hash_key for project in stand.access.projects()]
    assert len(set(keys)) == 2
    assert {len(key) for key in keys} == {32}
    assert keys[0].hex() not in repr(stand.access.projects())
