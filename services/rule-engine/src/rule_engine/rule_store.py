"""The rules of a project in PostgreSQL, schema `rules`: versions that never change, one of a name active."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from eventmodel import ProjectId
from rule_engine.database import Connection, Pool, connected
from rule_engine.declarations import Rule
from rule_engine.vocabulary import Mode

Change: TypeAlias = Literal["created", "replaced", "unchanged"]

_COLUMNS = "name, version, mode, text, created_at"


class StoredRule(msgspec.Struct, frozen=True):
    """One version of a rule as it was written; `created_at` is aware UTC."""

    name: str
    version: int
    mode: Mode
    text: str
    created_at: datetime


class Put(msgspec.Struct, frozen=True):
    """What became of a rule that was put: its version, and whether that is a new one."""

    name: str
    version: int
    mode: Mode
    change: Change


class TooManyRules(Exception):
    """The project would have more than `max_rules` active rules; nothing was changed."""

    def __init__(self, max_rules: int) -> None:
        super().__init__(f"A project has at most {max_rules:,} rules. Nothing was changed.")
        self.max_rules = max_rules


class RuleStore:
    """Every method raises RulesUnavailable when the database is away; a change then may or may not hold."""

    def __init__(self, pool: Pool, max_rules: int) -> None:
        self._pool = pool
        self._max_rules = max_rules

    async def put(self, project: ProjectId, rules: Sequence[Rule]) -> Sequence[Put]:
        """Make these rules the active ones of their titles, all or none; a rule with the same text stays.

        Raises TooManyRules.
        """
        async with connected(self._pool) as connection, connection.transaction():
            # Two at once would number their versions alike.
            await connection.execute("select n from rules.version for update")
            done = [await _put(connection, project, rule) for rule in rules]
            active = await connection.fetchval(
                "select count(*) from rules.rule where project = $1 and active", project
            )
            if active > self._max_rules:
                raise TooManyRules(self._max_rules)
        return done

    async def list(self, project: ProjectId) -> Sequence[StoredRule]:
        """The active rules, by name."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                f"select {_COLUMNS} from rules.rule where project = $1 and active order by name",  # noqa: S608
                project,
            )
        return [StoredRule(*row.values()) for row in rows]

    async def get(self, project: ProjectId, name: str) -> StoredRule | None:
        """The active version of the rule."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(
                f"select {_COLUMNS} from rules.rule where project = $1 and name = $2 and active",  # noqa: S608
                project,
                name,
            )
        return StoredRule(*row.values()) if row else None

    async def remove(self, project: ProjectId, name: str) -> bool:
        """Retire the rule; its versions and actions stay. Whether there was one."""
        async with connected(self._pool) as connection:
            removed = await connection.fetchval(
                "update rules.rule set active = false where project = $1 and name = $2 and active returning true",
                project,
                name,
            )
        return bool(removed)


async def _put(connection: Connection, project: ProjectId, rule: Rule) -> Put:
    last = await connection.fetchrow(
        "select version, text, active from rules.rule where project = $1 and name = $2"
        " order by version desc limit 1",
        project,
        rule.title,
    )
    if last and last["active"] and last["text"] == rule.text:
        return Put(rule.title, last["version"], rule.mode, "unchanged")
    version = last["version"] + 1 if last else 1
    await connection.execute(
        "update rules.rule set active = false where project = $1 and name = $2 and active",
        project,
        rule.title,
    )
    await connection.execute(
        "insert into rules.rule (project, name, version, text, mode, active) values ($1, $2, $3, $4, $5, true)",
        project,
        rule.title,
        version,
        rule.text,
        rule.mode,
    )
    return Put(rule.title, version, rule.mode, "replaced" if last and last["active"] else "created")
