"""What became of a body's events."""

from typing import NamedTuple, TypeAlias

import msgspec

from admission.limits import MAX_QUARANTINED_BYTES
from admission.refusal import Fault
from eventmodel import Rejection, Sender
from policy import Mode, Verdict

Wire: TypeAlias = tuple[bytes, bytes]
"""(key, value) of one record."""


class Kept(NamedTuple):
    """What may be kept of an event that is not stored: the sender's bytes, and its native form if they are another."""

    body: bytes
    event: bytes | None = None


class Admitted(msgspec.Struct, kw_only=True):
    """What became of a body's events, each list in the order of the body.

    `senders` goes with `messages`. `past` are the old events of a vendor's import, and `past_senders` goes with them.
    `rejected_bodies` and `rejected_senders` go with `rejections`, a body being None
    where nothing may be kept; `quarantined_bodies` and `quarantined_senders` with `quarantined`. Warned of is what
    is stored all the same. `violations` are all departures from the plan: mode and code.
    """

    messages: list[Wire] = []
    senders: list[Sender | None] = []
    past: list[Wire] = []
    past_senders: list[Sender | None] = []
    rejections: list[Rejection] = []
    rejected_bodies: list[Kept | None] = []
    rejected_senders: list[Sender | None] = []
    quarantined: list[Rejection] = []
    quarantined_bodies: list[Kept] = []
    quarantined_senders: list[Sender | None] = []
    warnings: list[Rejection] = []
    violations: list[tuple[Mode, str]] = []

    @property
    def taken(self) -> int:
        """How many events their sender need not care for any more."""
        return len(self.messages) + len(self.past) + len(self.quarantined)

    def take(self, wire: Wire, sender: Sender | None, *, past: bool = False) -> None:
        """Add an event."""
        if past:
            self.past.append(wire)
            self.past_senders.append(sender)
        else:
            self.messages.append(wire)
            self.senders.append(sender)

    def refuse(self, index: int, fault: Fault, kept: Kept | None, sender: Sender | None) -> None:
        """Add a rejection."""
        self.rejections.append(rejection_of(index, fault))
        self.rejected_bodies.append(kept)
        self.rejected_senders.append(sender)

    def judge(
        self,
        index: int,
        wire: Wire,
        sender: Sender | None,
        verdict: Verdict,
        kept: Kept | None,
        *,
        past: bool = False,
    ) -> None:
        """Add an event that departs from the plan, as the plan's mode says."""
        mode, fault = verdict.mode, Fault(*verdict[1:])
        if mode == "quarantine" and (kept is None or len(kept.event or kept.body) > MAX_QUARANTINED_BYTES):
            mode = "block"
        self.violations.append((mode, verdict.code))
        match mode:
            case "observe":
                self.take(wire, sender, past=past)
            case "warn":
                self.take(wire, sender, past=past)
                self.warnings.append(rejection_of(index, fault))
            case "quarantine":
                assert kept is not None
                self.quarantined.append(rejection_of(index, fault))
                self.quarantined_bodies.append(kept)
                self.quarantined_senders.append(sender)
            case "block":
                self.refuse(index, fault, kept, sender)


def rejection_of(index: int, fault: Fault) -> Rejection:
    """What the sender of the event at `index` is told of its fault."""
    return Rejection(index=index, code=fault.code, message=fault.message, field=fault.field, hint=fault.hint)
