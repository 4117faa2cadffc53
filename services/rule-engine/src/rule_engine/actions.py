"""An action: what a rule did about one event, or would have done; and its record in `footfall.actions`."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Final, Literal, TypeAlias

import msgspec

from eventmodel import ProjectId
from rule_engine.database import Connection

Status: TypeAlias = Literal["sent", "suppressed"]
Reason: TypeAlias = Literal["history", "stale", "shadow"]

REASONS: Final[tuple[Reason, ...]] = ("history", "stale", "shadow")
"""Why an action was only kept; of several, the first in this order is told."""

_RECORD = (files("rule_engine") / "record_actions.sql").read_text()
_encoder = msgspec.json.Encoder()


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event an action answers."""

    id: str
    action: str
    occurred_at: datetime


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One action as it stands in the log, in GET /v1/actions and on the dashboard.

    `id` is the same however often the event is applied, so consumers drop what they have seen.
    `occurred_at` is the event's, `received_at` the log's clock when the rule saw the event. Text in `note`
    is plain: who shows it as HTML escapes it. Source: contracts/schemas/action.v1.json.
    """

    id: str
    project: ProjectId
    type: Literal["dashboard"]
    rule: str
    rule_version: int
    subject: str
    event: Cause
    note: str
    status: Status
    occurred_at: datetime
    received_at: datetime
    user: str | None = None
    anonymous_id: str | None = None
    account: str | None = None
    reason: Reason | None = None


class Recording(msgspec.Struct, frozen=True):
    """An action and where it belongs: the event's part and record key, and that record's `recorded_at`."""

    part: int
    record_key: bytes
    recorded_at: datetime
    action: Action


def action_key(project: ProjectId, rule: str, subject: str, episode: str, index: int) -> str:
    """The action's id: 64 hex digits, the same for the same cause, whatever version the rule has by then.

    `episode` is the event's id; `index` counts the rule's actions from 0.
    Source: specs of rules, "exactly once": sha256(project, rule, subject, episode, index).
    """
    digest = hashlib.sha256()
    for part in (project, rule, subject, episode, str(index)):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


async def record(tx: Connection, recordings: Sequence[Recording]) -> Sequence[Reason | None]:
    """Keep the actions not kept before, and post those that are sent; the reasons of the ones now kept.

    Runs in the consumer's transaction, so an action is kept and posted exactly when its event counts as
    applied.
    """
    columns = zip(*(_row(recording) for recording in recordings), strict=True)
    rows = await tx.fetch(_RECORD, *columns)
    return [row["reason"] for row in rows]


def _row(recording: Recording) -> tuple[object, ...]:
    action = recording.action
    return (
        recording.part,
        action.project,
        bytes.fromhex(action.id),
        action.rule,
        action.rule_version,
        action.type,
        action.subject,
        action.user,
        action.anonymous_id,
        action.account,
        action.event.id,
        action.event.action,
        action.note,
        action.status,
        action.reason,
        action.occurred_at,
        action.received_at,
        recording.recorded_at,
        recording.record_key,
        _encoder.encode(action),
    )
