"""The engine in the consumer's transaction: nothing twice, nothing half, nothing of a deleted project."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from access.projects import OWNERS, Projects
from enrichment import Enricher
from eventlog.batch import Batch
from eventlog.errors import LogUnavailable
from eventlog.memory import MemoryLog
from eventlog.parts import StoreUnavailable
from eventmodel import ProjectId
from lifecycle.clock import SystemClock
from rule_engine.action_history import Before, Filters, read_page
from rule_engine.engine import Engine
from rule_engine.purge import Purge
from rule_engine.relay import Relay
from rule_engine.rulebook import RuleBook
from running_rules import RunningRules, make_event, record_of, relayed, running_rules

RULE = 'rule "all" { on any do dashboard(note: "{{ event.n }}") }'


class Parts:
    """The engine with its book and relay, outside the runtime."""

    def __init__(self, rules: RunningRules) -> None:
        self.rules = rules
        self.gone: set[ProjectId] = set()
        self.book = RuleBook(rules.pool, rules.metrics)
        self.relay = Relay(rules.pool, rules.log, rules.metrics)
        self.engine = Engine(self.book, self.relay, rules.metrics, self._exists, rules.access, Enricher())

    async def _exists(self, project: ProjectId) -> bool:
        return project not in self.gone

    async def apply(self, *numbers: int, fail: bool = False) -> None:
        """Apply events in a transaction, which fails at its end when told to."""
        events = [make_event(self.rules.main.project, n, properties={"n": n}) for n in numbers]
        batch = Batch([record_of(event, n) for n, event in zip(numbers, events, strict=True)], [])
        async with self.rules.pool.acquire() as connection, connection.transaction():
            await self.engine.apply(connection, batch)
            if fail:
                raise StoreUnavailable("The connection broke.")
        await self.engine.committed(batch)

    async def count(self, table: str) -> int:
        number = await self.rules.pool.fetchval(f"select count(*) from {table}")
        assert isinstance(number, int)
        return number


@pytest.fixture
async def parts(migrated_url: str) -> AsyncIterator[Parts]:
    async with running_rules(migrated_url) as rules:
        await rules.put(RULE)
        parts = Parts(rules)
        await parts.book.refresh()
        yield parts


async def test_replay_cannot_create_a_second_action(parts: Parts) -> None:
    """Even when the runtime has forgotten the ids and the rule has a new version since."""
    await parts.apply(1, 2)
    first = {item["id"] for item in await parts.rules.actions()}
    await parts.rules.put('rule "all" { on any do dashboard(note: "changed") }')
    await parts.book.refresh()
    await parts.apply(1, 2)
    await parts.apply(1)
    assert {item["id"] for item in await parts.rules.actions()} == first
    assert await parts.count("rules.outbox") == 2
    assert {item["rule_version"] for item in await parts.rules.actions()} == {1}


async def test_failed_transaction_leaves_nothing(parts: Parts) -> None:
    with pytest.raises(StoreUnavailable):
        await parts.apply(1, fail=True)
    assert (await parts.count("rules.action"), await parts.count("rules.outbox")) == (0, 0)
    await parts.apply(1)
    assert (await parts.count("rules.action"), await parts.count("rules.outbox")) == (1, 1)
    assert (
        b'footfall_rules_actions_total{outcome="sent",service="rule-engine"} 1.0'
        in parts.rules.metrics.render()
    )


async def test_crash_between_append_and_delete_repeats_the_same_id(parts: Parts) -> None:
    await parts.apply(1)
    parts.relay.own(frozenset(range(8)))
    kept = await parts.rules.pool.fetch("select part, project, key, value from rules.outbox")
    assert await parts.relay.relay_page() == 1
    await parts.rules.pool.executemany(
        "insert into rules.outbox (part, project, key, value) values ($1, $2, $3, $4)",
        [tuple(row.values()) for row in kept],
    )
    assert await parts.relay.relay_page() == 1
    first, second = await relayed(parts.rules.log)
    assert first == second
    assert await parts.relay.relay_page() == 0


async def test_actions_stay_in_order_while_the_log_is_away(parts: Parts) -> None:
    log = parts.rules.log
    assert isinstance(log, MemoryLog)
    parts.relay.own(frozenset(range(8)))
    await parts.apply(1, 2)
    log.away = True
    with pytest.raises(LogUnavailable):
        await parts.relay.relay_page()
    await parts.apply(3)
    log.away = False
    assert await parts.relay.relay_page() == 3
    assert [record["event"]["id"] for record in await relayed(log)] == ["e1", "e2", "e3"]


async def test_relay_leaves_the_parts_of_others(parts: Parts) -> None:
    await parts.apply(1)
    mine = record_of(make_event(parts.rules.main.project, 1)).part
    parts.relay.own(frozenset(range(8)) - {mine})
    assert await parts.relay.relay_page() == 0
    await parts.engine.tend(frozenset(range(8)), parts.rules.pool.acquire)  # type: ignore[arg-type]
    parts.engine.forget(frozenset({mine}))
    assert await parts.relay.relay_page() == 0
    parts.relay.own(frozenset({mine}))
    assert await parts.relay.relay_page() == 1


async def test_defect_of_one_rule_does_not_stop_the_others(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await parts.rules.put('rule "bad" { on any where $event.n > 0 do dashboard(note: "x") }')
    await parts.book.refresh()
    (bad,) = [
        rule for rule in parts.book.about(make_event(parts.rules.main.project, 1)) if rule.title == "bad"
    ]

    def defect(event: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(
        type(bad), "condition", property(lambda rule: defect if rule.title == "bad" else None)
    )
    await parts.apply(1)
    assert [item["rule"] for item in await parts.rules.actions()] == ["all"]
    assert b'footfall_rules_failed_total{service="rule-engine"} 1.0' in parts.rules.metrics.render()


async def test_unreadable_stored_rule_is_counted_and_the_others_are_asked(parts: Parts) -> None:
    await parts.rules.pool.execute(
        "insert into rules.rule (project, name, version, text, mode, active)"
        " values ($1, 'later', 1, 'rule \"later\" { when true do email() }', 'live', true)",
        parts.rules.main.project,
    )
    await parts.book.refresh()
    await parts.apply(1)
    assert [item["rule"] for item in await parts.rules.actions()] == ["all"]
    assert b'footfall_rules_unreadable{service="rule-engine"} 1.0' in parts.rules.metrics.render()


async def test_events_of_a_deleted_project_are_passed_over(parts: Parts) -> None:
    parts.gone.add(parts.rules.main.project)
    await parts.apply(1)
    assert await parts.count("rules.action") == 0


async def test_purge_removes_what_is_kept_of_deleted_projects(parts: Parts) -> None:
    projects = Projects(parts.rules.pool, SystemClock())
    await parts.apply(1, 2, 3)
    other = await projects.create("other")
    await parts.rules.pool.execute(
        "insert into rules.rule (project, name, version, text, mode, active) values ($1, 'r', 1, $2, 'live', true)",
        other.project,
        RULE,
    )
    await projects.delete(parts.rules.main.project)
    purge = Purge(parts.rules.pool, projects)
    await purge.purge()
    assert await parts.count("rules.action") == 3, "another engine may not know of the deletion yet"
    await purge.purge()
    assert [await parts.count(f"rules.{table}") for table in ("action", "outbox", "rule")] == [0, 0, 1]
    assert await projects.deleted("rules") == []
    assert set(OWNERS) > {"rules"}


async def test_page_reads_by_index(parts: Parts) -> None:
    """A page must cost the same in a long history: no filter may sort or scan the table."""
    project = parts.rules.main.project
    await parts.rules.pool.execute(
        "insert into rules.action (part, project, key, rule, rule_version, type, subject, user_id, account,"
        " event_id, event_action, note, status, occurred_at, received_at, recorded_at)"
        " select n % 8, $1, sha256(n::text::bytea), 'r' || n % 50, 1, 'dashboard', 's', 'u' || n % 500,"
        " 'a' || n % 100, n::text, 'paid', 'n', 'sent', t, t, t"
        " from generate_series(1, 20000) n, lateral (select timestamptz '2026-11-01' + n * interval '1 s') l(t)",
        project,
    )
    await parts.rules.pool.execute("analyze rules.action")
    place = Before(datetime(2026, 11, 1, 2, tzinfo=UTC), b"\0" * 32)
    for column, value in (("user_id", "u7"), ("account", "a7"), ("rule", "r7"), ("project", project)):
        plan = await parts.rules.pool.fetch(
            f"explain select * from rules.action where project = $1 and {column} = $2"
            " and (recorded_at, key) < ($3, $4) order by recorded_at desc, key desc limit 51",
            project,
            value,
            *place,
        )
        lines = [row[0] for row in plan]
        assert any("Index Scan" in line for line in lines), lines
        assert not any("Sort" in line or "Seq Scan" in line for line in lines), lines


async def test_pages_follow_each_other_without_gap_or_repeat(parts: Parts) -> None:
    await parts.apply(*range(25))
    seen: list[str] = []
    place = None
    while True:
        page = await read_page(parts.rules.pool, parts.rules.main.project, Filters(), place, 7)
        seen += [action.event.id for action in page.actions]
        place = page.next
        if place is None:
            break
    assert len(seen) == len(set(seen)) == 25
    times = [action["received_at"] for action in await parts.rules.actions()]
    assert times == sorted(times, reverse=True)
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(times[0]) < timedelta(minutes=5)


async def test_a_rule_asks_what_the_context_tells_and_no_sender_can_claim_it(parts: Parts) -> None:
    await parts.rules.put(
        'rule "all" { on any where $event.enriched.bot == true '
        'do dashboard(note: "{{ event.enriched.referrer_domain }}") }'
    )
    await parts.book.refresh()
    page = {"url": "https://acme.example/", "referrer": "https://news.example/1"}
    contexts: list[dict[str, object]] = [
        {"user_agent": "Googlebot/2.1", "page": page},
        {
            "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0.0.0 Safari/537.36",
            "page": page,
        },
        {"enriched": {"bot": True}},
        {},
    ]
    project = parts.rules.main.project
    events = [make_event(project, n, context=context) for n, context in enumerate(contexts)]
    batch = Batch([record_of(event, n) for n, event in enumerate(events)], [])
    async with parts.rules.pool.acquire() as connection, connection.transaction():
        await parts.engine.apply(connection, batch)
    (action,) = await parts.rules.actions()
    assert (action["event"]["id"], action["note"]) == ("e0", "news.example")
