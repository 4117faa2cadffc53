"""A project's rules and plan, compiled once and asked for every event."""

from typing import Final, NamedTuple

from policy.measure import Measure
from policy.plan import Plan
from policy.privacy import Privacy
from policy.rules import PrivacyRules


class Policy(NamedTuple):
    """What admission asks: `privacy` first, then `measure`, which is None without a plan."""

    privacy: Privacy
    measure: Measure | None


def compile_policy(rules: PrivacyRules, hash_key: bytes, plan: Plan | None) -> Policy:
    """The policy of these; `hash_key` is the project's own secret. Raises PlanInvalid."""
    measured = plan is not None and bool(plan.actions)
    return Policy(Privacy(rules, hash_key), Measure(plan) if plan is not None and measured else None)


OPEN: Final = compile_policy(PrivacyRules(), b"", None)
"""The policy of a project that decided nothing."""
