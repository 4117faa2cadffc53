"""Measures events by a plan: what departs from it, in a sentence, and what is to become of the event."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from eventmodel import Event, fold_action
from policy.plan import Mode, Plan, PlanInvalid, PlannedAction, PlanProblem
from policy.schema import compile_schema

CODES: Final = ("invalid_property", "missing_property", "unplanned_action", "unplanned_property")

_MAX_ERRORS: Final = 10
_MAX_MESSAGE_CHARS: Final = 300
_MAX_SEARCHES: Final = 200
"""Names for which one process looks for a similar one, per plan: a search takes milliseconds."""
_MAX_SEARCHED_CHARS: Final = 64
_CLOSE: Final = 0.75


class Verdict(NamedTuple):
    """How an event departs from the plan: a code of CODES, a sentence, the path, what to do."""

    mode: Mode
    code: str
    message: str
    field: str | None
    hint: str | None


class Measure:
    """A plan, compiled. Activities are measured by their properties, identify and group events by their traits."""

    def __init__(self, plan: Plan) -> None:
        self._unplanned: Mode = plan.unplanned or plan.mode
        self._actions = {name: _Action(name, action, plan.mode) for name, action in plan.actions.items()}
        self._similar = Similar(plan.actions)

    def judge(self, event: Event) -> Verdict | None:
        """How the event departs from the plan; None when it does not.

        Only track events can be unplanned: pages have a name each, and the other kinds one action.
        """
        action = self._actions.get(event.action)
        if action is None:
            return self._unknown(event.action) if event.kind == "track" else None
        if event.kind == "alias":
            return None
        return action.judge(
            *(
                ("traits", event.traits)
                if event.kind in ("identify", "group")
                else ("properties", event.properties)
            )
        )

    def _unknown(self, name: str) -> Verdict:
        similar = self._similar.to(name)
        hint = (
            f'Did you mean "{similar}"?'
            if similar
            else "Add it to the plan, or send one of the plan's actions."
        )
        return Verdict(
            self._unplanned, "unplanned_action", f'The plan has no action "{name}".', "action", hint
        )


class Similar:
    """Finds the planned action that a name probably means."""

    def __init__(self, names: Mapping[str, object], *, max_searches: int = _MAX_SEARCHES) -> None:
        self._folded = {fold_action(name): name for name in names}
        self._found: dict[str, str | None] = {}
        self._max_searches = max_searches

    def to(self, name: str) -> str | None:
        """The name in the plan, or None; after so many searches only what differs in case and separators."""
        folded = fold_action(name)
        same = self._folded.get(folded)
        if same is not None or len(folded) > _MAX_SEARCHED_CHARS:
            return same
        if folded not in self._found:
            if len(self._found) >= self._max_searches:
                return None
            close = get_close_matches(folded, self._folded, n=1, cutoff=_CLOSE)
            self._found[folded] = self._folded[close[0]] if close else None
        return self._found[folded]


class _Action:
    def __init__(self, name: str, planned: PlannedAction, mode: Mode) -> None:
        self._name = name
        self._mode = planned.mode or mode
        try:
            self._validator = compile_schema(planned.schema())
        except ValueError as error:
            raise PlanInvalid(
                [PlanProblem(f"actions.{name[:60]}", str(error)[:_MAX_MESSAGE_CHARS])]
            ) from error
        self._is_valid = self._validator.is_valid
        self._names = tuple(planned.properties)

    def judge(self, root: str, given: dict[str, Any]) -> Verdict | None:
        if self._is_valid(given):
            return None
        errors = [
            error for error, _ in zip(self._validator.iter_errors(given), range(_MAX_ERRORS), strict=False)
        ]
        return self._verdict(
            root, min(errors, key=lambda error: (len(error.instance_path), _RANK.get(type(error.kind), 0)))
        )

    def _verdict(self, root: str, error: ValidationError) -> Verdict:
        path = ".".join([root, *map(str, error.instance_path)])
        match error.kind:
            case ValidationErrorKind.Required(property=name):
                return self._said(
                    "missing_property",
                    f"`{path}.{name}` is missing.",
                    f"{path}.{name}",
                    f'The plan asks for it with every "{self._name}".',
                )
            case ValidationErrorKind.AdditionalProperties(unexpected=[first, *_]):
                close = get_close_matches(first[:_MAX_SEARCHED_CHARS], self._names, n=1, cutoff=_CLOSE)
                return self._said(
                    "unplanned_property",
                    f'`{path}.{first}` is not in the plan of "{self._name}".',
                    f"{path}.{first}",
                    f"Did you mean `{close[0]}`?" if close and not error.instance_path else None,
                )
        return self._said("invalid_property", f"`{path}` {error.message.removeprefix('It ')}.", path, None)

    def _said(self, code: str, message: str, field: str, hint: str | None) -> Verdict:
        return Verdict(self._mode, code, message[:_MAX_MESSAGE_CHARS], field[:_MAX_MESSAGE_CHARS], hint)


_RANK: Final = {ValidationErrorKind.Required: 1, ValidationErrorKind.AdditionalProperties: 2}
