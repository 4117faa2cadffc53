"""What the rules of a project did, newest first, a page at a time."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from asyncpg import Record

from eventmodel import ProjectId
from rule_engine.actions import Action, Cause, Status
from rule_engine.database import Pool, connected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_BYTES = 32
_TIME_BYTES = 8


class Before(NamedTuple):
    """A place between two actions: the next page begins with what is older."""

    recorded_at: datetime
    key: bytes


class Filters(NamedTuple):
    """What a page is restricted to; None leaves it open."""

    user: str | None = None
    account: str | None = None
    rule: str | None = None
    status: Status | None = None


class Page(NamedTuple):
    """`next` is None on the last page."""

    actions: Sequence[Action]
    next: Before | None


class InvalidPlace(ValueError):
    """The text is no place that `format_place` wrote."""


def format_place(before: Before) -> str:
    """A place as URL-safe text."""
    micros = (before.recorded_at - _EPOCH) // timedelta(microseconds=1)
    packed = micros.to_bytes(_TIME_BYTES, "big", signed=True) + before.key
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def parse_place(text: str) -> Before:
    """The place of a text; raises InvalidPlace."""
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if len(packed) != _TIME_BYTES + _KEY_BYTES:
            raise InvalidPlace(text)
        micros = int.from_bytes(packed[:_TIME_BYTES], "big", signed=True)
        return Before(_EPOCH + timedelta(microseconds=micros), packed[_TIME_BYTES:])
    except (binascii.Error, ValueError, OverflowError) as error:
        raise InvalidPlace(text) from error


async def read_page(
    pool: Pool, project: ProjectId, filters: Filters, before: Before | None, limit: int
) -> Page:
    """At most `limit` actions, newest first by the log's clock. Raises RulesUnavailable."""
    conditions = ["project = $1"]
    values: list[object] = [project]

    def narrow(condition: str, *given: object) -> None:
        places = [f"${len(values) + number}" for number in range(1, len(given) + 1)]
        values.extend(given)
        conditions.append(condition.format(*places))

    if filters.user is not None:
        narrow("user_id = {}", filters.user)
    if filters.account is not None:
        narrow("account = {}", filters.account)
    if filters.rule is not None:
        narrow("rule = {}", filters.rule)
    if filters.status is not None:
        narrow("status = {}", filters.status)
    if before is not None:
        narrow("(recorded_at, key) < ({}, {})", before.recorded_at, before.key)
    values.append(limit + 1)
    async with connected(pool) as connection:
        rows = await connection.fetch(
            f"select * from rules.action where {' and '.join(conditions)}"  # noqa: S608 conditions from above
            f" order by recorded_at desc, key desc limit ${len(values)}",
            *values,
        )
    kept = rows[:limit]
    last = kept[-1] if len(rows) > limit else None
    return Page([_action(row) for row in kept], Before(last["recorded_at"], last["key"]) if last else None)


def _action(row: Record) -> Action:
    return Action(
        id=row["key"].hex(),
        project=row["project"],
        type=row["type"],
        rule=row["rule"],
        rule_version=row["rule_version"],
        subject=row["subject"],
        event=Cause(id=row["event_id"], action=row["event_action"], occurred_at=row["occurred_at"]),
        note=row["note"],
        status=row["status"],
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        user=row["user_id"],
        anonymous_id=row["anonymous_id"],
        account=row["account"],
        reason=row["reason"],
    )
