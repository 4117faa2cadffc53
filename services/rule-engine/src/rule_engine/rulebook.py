"""The active rules of all projects, compiled and indexed: what the engine asks for every event."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from asyncpg import Record

from eventmodel import ACTIVITY_KINDS, Event, ProjectId
from rule_engine.database import Pool, RulesUnavailable, connected
from rule_engine.declarations import Rule
from rule_engine.evaluation import Condition, compile_condition
from rule_engine.language import read
from rule_engine.templates import Renderer, compile_template
from rule_engine.vocabulary import Mode
from telemetry import catalog
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_REFRESH_S = 1.0

_log = get_logger("rulebook")

_Identity: TypeAlias = tuple[ProjectId, str, int]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be asked. `action` is None for any activity, `condition` None for always."""

    title: str
    version: int
    mode: Mode
    action: str | None
    condition: Condition | None
    notes: tuple[Renderer, ...]


class _Index:
    """The rules of one project by the event's action, in order of their titles."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._any = [rule for rule in rules if rule.action is None]
        named = {rule.action for rule in rules if rule.action is not None}
        self._both = {name: [r for r in rules if r.action in {None, name}] for name in named}
        self._named = {name: [r for r in rules if r.action == name] for name in named}

    def about(self, event: Event) -> Sequence[CompiledRule]:
        if event.kind in ACTIVITY_KINDS:
            return self._both.get(event.action, self._any)
        return self._named.get(event.action, ())


class RuleBook:
    """The rules as of the last refresh; `run` refreshes within a second of a change and needs an owner."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._version: int | None = None
        self._compiled: dict[_Identity, CompiledRule] = {}
        self._indexes: dict[ProjectId, _Index] = {}
        self._loaded = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._active = metrics.gauge(catalog.RULES_ACTIVE)
        self._unreadable = metrics.gauge(catalog.RULES_UNREADABLE)

    def covers(self, project: ProjectId) -> bool:
        """Whether the project has any rule to ask."""
        return project in self._indexes

    def about(self, event: Event) -> Sequence[CompiledRule]:
        """The rules whose trigger names this event; their conditions are still to be asked."""
        index = self._indexes.get(event.project)
        return index.about(event) if index else ()

    async def loaded(self) -> None:
        """Return once the rules have been read: before that, no event may be applied."""
        await self._loaded.wait()

    async def refresh(self) -> None:
        """Read the rules when they changed. Raises RulesUnavailable; what is held stays."""
        async with self._refreshing:
            async with connected(self._pool) as connection:
                version = await connection.fetchval("select n from rules.version")
                if version == self._version:
                    return
                rows = await connection.fetch(
                    "select project, name, version, text from rules.rule where active and mode <> 'off'"
                    " order by project, name"
                )
            await self._hold(rows)
            self._version = version
            self._loaded.set()

    async def _hold(self, rows: Sequence[Record]) -> None:
        compiled: dict[_Identity, CompiledRule] = {}
        by_project: dict[ProjectId, list[CompiledRule]] = {}
        for row in rows:
            identity = (ProjectId(row["project"]), row["name"], row["version"])
            rule = self._compiled.get(identity) or _compile(identity, row["text"])
            if rule is not None:
                compiled[identity] = rule
                by_project.setdefault(identity[0], []).append(rule)
            # A thousand new rules take a second: let others have the loop in between.
            await asyncio.sleep(0)
        self._compiled = compiled
        self._indexes = {project: _Index(rules) for project, rules in by_project.items()}
        self._active.set(len(compiled))
        self._unreadable.set(len(rows) - len(compiled))

    async def run(self) -> None:
        """Refresh every second until cancelled; an outage leaves the rules as they were."""
        while True:
            try:
                await self.refresh()
            except RulesUnavailable as error:
                _log.warning("rules_not_refreshed", reason=str(error))
            await asyncio.sleep(_REFRESH_S)


def compile_rule(rule: Rule, version: int) -> CompiledRule:
    """The closures of a checked rule."""
    return CompiledRule(
        rule.title,
        version,
        rule.mode,
        rule.action,
        compile_condition(rule.condition) if rule.condition is not None else None,
        tuple(compile_template(note, rule.title) for note in rule.notes),
    )


def _compile(identity: _Identity, text: str) -> CompiledRule | None:
    project, name, version = identity
    reading = read(text)
    if reading.errors:
        _log.error(
            "rule_unreadable", project=project, rule=name, version=version, why=reading.errors[0].message
        )
        return None
    return compile_rule(reading.rules[0], version)
