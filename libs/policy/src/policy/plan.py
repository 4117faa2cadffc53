"""A tracking plan: which actions there are, and a JSON Schema for what each carries."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from eventmodel import fold_action
from policy.schema import check_schema

Mode: TypeAlias = Literal["observe", "warn", "quarantine", "block"]
"""What becomes of an event that departs from the plan: counted; warned of; set aside; refused."""

MAX_ACTIONS: Final = 1_000
MAX_ACTION_CHARS: Final = 256
MAX_DESCRIPTION_CHARS: Final = 2_000
MAX_PLAN_BYTES: Final = 256 * 1024
MAX_PROBLEMS: Final = 50


class PlannedAction(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"additional": "additionalProperties"},
):
    """One action. `properties`, `required` and `additionalProperties` are those of a JSON Schema of an object.

    `version` is counted by Footfall: it rises when the rest changes, but for `mode` and `description`.
    """

    description: str = ""
    mode: Mode | None = None
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    required: list[str] = msgspec.field(default_factory=list)
    additional: bool = True
    version: int = 1

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what an event carries."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": self.additional,
        }


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The actions by name. `mode` is that of actions without their own, `unplanned` that of actions not listed."""

    mode: Mode = "observe"
    unplanned: Mode | None = None
    actions: dict[str, PlannedAction] = msgspec.field(default_factory=dict)


class PlanProblem(NamedTuple):
    """What is wrong with a plan, and where: a dotted path."""

    path: str
    message: str
    hint: str | None = None


class PlanInvalid(ValueError):
    """A plan that cannot be used, with everything that is wrong with it, at most MAX_PROBLEMS."""

    def __init__(self, problems: list[PlanProblem]) -> None:
        super().__init__(problems[0].message)
        self.problems = problems[:MAX_PROBLEMS]


def read_plan(document: object) -> Plan:
    """The plan of a decoded JSON or YAML document; raises PlanInvalid."""
    try:
        # Strict: a field that nobody knows is a misspelt one.
        plan = msgspec.convert(document, _StrictPlan)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        path = place.strip("`").removeprefix("$").lstrip(".") or "plan"
        raise PlanInvalid([PlanProblem(path, f"{message}.", _HINT)]) from error
    problems = list(_problems(plan))
    if problems:
        raise PlanInvalid(problems)
    actions = {
        name: msgspec.convert(action, PlannedAction, from_attributes=True)
        for name, action in plan.actions.items()
    }
    return Plan(mode=plan.mode, unplanned=plan.unplanned, actions=actions)


def next_plan(plan: Plan, before: Plan | None) -> Plan:
    """The plan with each action's version: one higher than before where what it carries has changed."""
    known: Mapping[str, PlannedAction] = {} if before is None else before.actions
    return msgspec.structs.replace(
        plan, actions={name: _numbered(action, known.get(name)) for name, action in plan.actions.items()}
    )


def _numbered(action: PlannedAction, before: PlannedAction | None) -> PlannedAction:
    version = 1 if before is None else before.version + (before.schema() != action.schema())
    return msgspec.structs.replace(action, version=version)


class _StrictAction(PlannedAction, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As written."""


class _StrictPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mode: Mode = "observe"
    unplanned: Mode | None = None
    actions: dict[str, _StrictAction] = msgspec.field(default_factory=dict)


_HINT: Final = (
    "A plan holds mode, unplanned and actions; an action description, mode, properties, required and "
    "additionalProperties (true or false). Modes are observe, warn, quarantine and block."
)


def _problems(plan: _StrictPlan) -> Iterator[PlanProblem]:
    if len(plan.actions) > MAX_ACTIONS:
        yield PlanProblem(
            "actions", f"A plan holds at most {MAX_ACTIONS:,} actions; this has {len(plan.actions):,}."
        )
        return
    folded: dict[str, str] = {}
    for name, action in plan.actions.items():
        path = f"actions.{name[:60]}"
        if not name.strip() or len(name) > MAX_ACTION_CHARS or "\0" in name:
            yield PlanProblem(path, f"An action's name has 1 to {MAX_ACTION_CHARS} characters.")
            continue
        first = folded.setdefault(fold_action(name), name)
        if first != name:
            yield PlanProblem(path, f'"{name}" and "{first}" are the same action.', "Keep one of them.")
        if len(action.description) > MAX_DESCRIPTION_CHARS:
            yield PlanProblem(path, f"A description has at most {MAX_DESCRIPTION_CHARS:,} characters.")
        missing = [
            field for field in action.required if not action.additional and field not in action.properties
        ]
        if missing:
            yield PlanProblem(
                f"{path}.required",
                f"`{missing[0][:60]}` is required, and not one of the properties, which are all there may be.",
                "Describe it under properties, or leave additionalProperties out.",
            )
        for where, message, hint in check_schema(action.schema()):
            yield PlanProblem(f"{path}.{where}" if where else path, message, hint)
