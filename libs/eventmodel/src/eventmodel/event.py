"""The canonical event: what every source's data becomes before it is one record of the log."""

from datetime import datetime
from typing import Any, Literal, NewType, TypeAlias, get_args

import msgspec

from eventmodel.sender import Sender

ProjectId = NewType("ProjectId", str)
EventId = NewType("EventId", str)

Kind: TypeAlias = Literal["track", "identify", "group", "page", "screen", "alias"]
Origin: TypeAlias = Literal["live", "import", "replay"]
Mark: TypeAlias = Literal["clamped", "hashed", "redacted", "skew_corrected"]

KINDS: frozenset[str] = frozenset(get_args(Kind))
ACTIVITY_KINDS: frozenset[str] = frozenset({"track", "page", "screen"})
"""The kinds that count as activity: the others say who somebody is, not what they did."""

DEFAULT_ACTIONS: dict[str, str] = {
    "identify": "identified",
    "group": "joined account",
    "page": "viewed page",
    "screen": "viewed screen",
    "alias": "merged identity",
}
"""The action of a kind whose sender named none; `track` has no default."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened, as it stands in the log and on the stream.

    Times are aware UTC. `occurred_at` is the sender's clock after correction and clamping, `received_at`
    ours. `run` names the import or replay when `origin` is not `live`. `marks` says what admission changed.
    `sender` is known of what came in through ingest.
    Source: contracts/schemas/event.v1.json.
    """

    id: EventId
    project: ProjectId
    kind: Kind = msgspec.field(name="type")
    action: str
    occurred_at: datetime
    received_at: datetime
    origin: Origin
    user: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    account: str | None = None
    run: str | None = None
    sent_at: datetime | None = None
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    traits: dict[str, Any] = msgspec.field(default_factory=dict)
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    marks: list[Mark] = msgspec.field(default_factory=list)
    sender: Sender | None = None

    @property
    def subject(self) -> str:
        """Whom the event is about, with a prefix for what is known of them: see `subject_of`."""
        return subject_of(self.user, self.anonymous_id, self.account, self.id)


def subject_of(user: str | None, anonymous_id: str | None, account: str | None, event_id: str) -> str:
    """`u:`user, else `a:`anonymous id, else `g:`account, else `e:`event id (design: one event is one record)."""
    if user is not None:
        return "u:" + user
    if anonymous_id is not None:
        return "a:" + anonymous_id
    if account is not None:
        return "g:" + account
    return "e:" + event_id
