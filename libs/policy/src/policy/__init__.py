"""What a project decides about its events before they are stored: privacy and its tracking plan. Pure."""

from policy.client import Client
from policy.measure import Measure, Verdict
from policy.plan import Mode, Plan, PlanInvalid, PlannedAction, PlanProblem, next_plan, read_plan
from policy.policy import OPEN, Policy, compile_policy
from policy.privacy import Privacy
from policy.rules import DEFAULT_RULES, Consent, IpRule, PrivacyRules, RuleInvalid, check_rules

__all__ = [
    "DEFAULT_RULES",
    "OPEN",
    "Client",
    "Consent",
    "IpRule",
    "Measure",
    "Mode",
    "Plan",
    "PlanInvalid",
    "PlanProblem",
    "PlannedAction",
    "Policy",
    "Privacy",
    "PrivacyRules",
    "RuleInvalid",
    "Verdict",
    "check_rules",
    "compile_policy",
    "next_plan",
    "read_plan",
]
