"""Checked conditions as closures over an event, in Kleene logic: true, false or unknown (None).

A missing value, a division by zero and a value of the wrong type are unknown. Nothing here raises for
what stands in an event.
"""

import operator
from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, Final, TypeAlias, assert_never

from eventmodel import Event
from rule_engine.expressions import (
    Affix,
    All,
    AnyOf,
    Arithmetic,
    Between,
    Coalesce,
    Compare,
    Comparison,
    Constant,
    Contains,
    Expression,
    Field,
    In,
    Known,
    Negate,
    Not,
    Operator,
)

Value: TypeAlias = Any
"""A text, number, boolean, aware time, list or object of an event; None is unknown."""

Evaluator: TypeAlias = Callable[[Event], Value]
Condition: TypeAlias = Callable[[Event], bool | None]

ENRICHED: Final = "\0enriched"
"""Where in an event's context the engine keeps what enrichment tells; no sender's key holds U+0000."""

_COMPARISONS: dict[Comparison, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS: dict[Operator, Callable[[Value, Value], Value]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_OWN_FIELDS: dict[str, Evaluator] = {
    "id": lambda event: event.id,
    "action": lambda event: event.action,
    "type": lambda event: event.kind,
    "user": lambda event: event.user,
    "anonymous_id": lambda event: event.anonymous_id,
    "account": lambda event: event.account,
    "time": lambda event: event.occurred_at,
    "properties": lambda event: event.properties,
    "traits": lambda event: event.traits,
    "context": lambda event: event.context,
    "enriched": lambda event: event.context.get(ENRICHED),
}


def compile_condition(expression: Expression) -> Condition:
    """The closure of a condition: what is not a boolean at run time is unknown."""
    value = compile_expression(expression)

    def condition(event: Event) -> bool | None:
        found = value(event)
        return found if isinstance(found, bool) else None

    return condition


def compile_expression(expression: Expression) -> Evaluator:
    """The closure of an expression's value."""
    match expression:
        case Constant(constant):
            return lambda event: constant
        case Field(path):
            return compile_field(path)
        case Known(operand, known):
            inner = compile_expression(operand)
            return lambda event: (inner(event) is not None) is known
        case Coalesce(first, second):
            value, default = compile_expression(first), compile_expression(second)
            return lambda event: default(event) if (found := value(event)) is None else found
        case Not() | All() | AnyOf():
            return _logic(expression)
        case Compare() | Between() | In():
            return _comparison(expression)
        case Contains() | Affix():
            return _text_test(expression)
        case Arithmetic() | Negate():
            return _arithmetic(expression)
    assert_never(expression)


def compile_field(path: Sequence[str]) -> Evaluator:
    """The closure that reads one value of an event."""
    own = _OWN_FIELDS[path[0]]
    rest = tuple(path[1:])
    if not rest:
        return own

    def read(event: Event) -> Value:
        found = own(event)
        for name in rest:
            if not isinstance(found, dict):
                return None
            found = found.get(name)
        return found

    return read


def _logic(expression: Not | All | AnyOf) -> Condition:
    match expression:
        case Not(operand):
            condition = compile_condition(operand)
            return lambda event: None if (found := condition(event)) is None else not found
        case All(operands):
            return _chain([compile_condition(each) for each in operands], decisive=False)
        case AnyOf(operands):
            return _chain([compile_condition(each) for each in operands], decisive=True)


def _chain(conditions: Sequence[Condition], *, decisive: bool) -> Condition:
    def chain(event: Event) -> bool | None:
        answer: bool | None = not decisive
        for condition in conditions:
            found = condition(event)
            if found is decisive:
                return decisive
            if found is None:
                answer = None
        return answer

    return chain


def _comparison(expression: Compare | Between | In) -> Condition:
    match expression:
        case Compare(comparison, left, right):
            return _compared(comparison, compile_expression(left), compile_expression(right))
        case Between(value, low, high):
            middle = compile_expression(value)
            bounds = [
                _compared("<=", compile_expression(low), middle),
                _compared("<=", middle, compile_expression(high)),
            ]
            return _chain(bounds, decisive=False)
        case In(value, items):
            searched = compile_expression(value)
            return _chain(
                [_compared("==", searched, compile_expression(item)) for item in items], decisive=True
            )


def _compared(comparison: Comparison, left: Evaluator, right: Evaluator) -> Condition:
    compare = _COMPARISONS[comparison]
    ordering = comparison not in {"==", "!="}

    def compared(event: Event) -> bool | None:
        a, b = left(event), right(event)
        if not _alike(a, b) or (ordering and isinstance(a, bool)):
            return None
        return compare(a, b)

    return compared


def _alike(a: Value, b: Value) -> bool:
    if isinstance(a, str):
        return isinstance(b, str)
    if isinstance(a, bool):
        return isinstance(b, bool)
    if isinstance(a, int | float):
        return _is_number(b)
    return isinstance(a, datetime) and isinstance(b, datetime)


def _text_test(expression: Contains | Affix) -> Condition:
    whole, part = compile_expression(expression.whole), compile_expression(expression.part)
    if isinstance(expression, Contains):

        def contains(event: Event) -> bool | None:
            searched, wanted = whole(event), part(event)
            if isinstance(searched, str):
                return wanted in searched if isinstance(wanted, str) else None
            if isinstance(searched, list) and wanted is not None:
                return any(_alike(item, wanted) and item == wanted for item in searched)
            return None

        return contains
    test = str.startswith if expression.at == "start" else str.endswith

    def affixed(event: Event) -> bool | None:
        searched, wanted = whole(event), part(event)
        return test(searched, wanted) if isinstance(searched, str) and isinstance(wanted, str) else None

    return affixed


def _arithmetic(expression: Arithmetic | Negate) -> Evaluator:
    if isinstance(expression, Negate):
        inner = compile_expression(expression.operand)
        return lambda event: -found if _is_number(found := inner(event)) else None
    operate = _OPERATORS[expression.operator]
    left, right = compile_expression(expression.left), compile_expression(expression.right)

    def calculated(event: Event) -> Value:
        a, b = left(event), right(event)
        if not (_is_number(a) and _is_number(b)):
            return None
        try:
            found = operate(a, b)
            return found if isfinite(found) else None
        except ArithmeticError:
            return None

    return calculated


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
