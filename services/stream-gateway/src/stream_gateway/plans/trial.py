"""What a plan would have said about recent traffic."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from policy import Mode, Plan, compile_policy
from policy.rules import DEFAULT_RULES
from stream_gateway.plans.traffic import Traffic

MAX_VIOLATIONS: Final = 200


class ViolationCount(msgspec.Struct, frozen=True):
    """How often events of an action departed from the plan in the same way."""

    action: str
    mode: Mode
    code: str
    field: str | None
    message: str
    count: int


def try_plan(plan: Plan, traffic: Traffic) -> Sequence[ViolationCount]:
    """The violations there would have been, most frequent first, at most MAX_VIOLATIONS."""
    measure = compile_policy(DEFAULT_RULES, b"", plan).measure
    counts: Counter[tuple[str, Mode, str, str | None, str]] = Counter()
    for event in traffic.events if measure else ():
        verdict = measure.judge(event) if measure else None
        if verdict is not None:
            counts[event.action, verdict.mode, verdict.code, verdict.field, verdict.message] += 1
    return [ViolationCount(*what, count) for what, count in counts.most_common(MAX_VIOLATIONS)]
