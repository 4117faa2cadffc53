"""From a condition's tree to its checked, typed form; all mistakes are reported, not the first."""

from collections.abc import Sequence
from datetime import UTC, datetime

from lark import Token, Tree

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
    In,
    Known,
    Negate,
    Not,
    Operator,
    kind_of,
)
from rule_engine.problems import Problems
from rule_engine.syntax import Node
from rule_engine.values import check_value
from rule_engine.vocabulary import Kind

_COMPARISONS: dict[str, Comparison] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPERATORS: dict[str, Operator] = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def check_condition(problems: Problems, tree: Node) -> Expression | None:
    """The condition `tree` says, of type boolean or any; None when something is wrong with it."""
    condition = _check(problems, tree)
    if condition is None:
        return None
    kind = kind_of(condition)
    if kind not in {"boolean", "any"}:
        problems.report(
            tree,
            "not_a_condition",
            f"{problems.text(tree)} is a {kind}, not a condition.",
            "Compare it with something: ==, <, contains, is known …",
        )
        return None
    return condition


def _check(problems: Problems, tree: Node) -> Expression | None:
    match tree.data:
        case "and_" | "or_":
            operands = [check_condition(problems, child) for child in _trees(tree)]
            whole = _all_there(operands)
            if whole is None:
                return None
            return All(whole) if tree.data == "and_" else AnyOf(whole)
        case "not_":
            operand = check_condition(problems, _trees(tree)[0])
            return operand and Not(operand)
        case "compare" | "between":
            return _comparison(problems, tree)
        case "in_":
            return _membership(problems, tree)
        case "contains" | "starts" | "ends":
            return _text_test(problems, tree)
        case "known" | "unknown":
            operand = _check(problems, _trees(tree)[0])
            return operand and Known(operand, tree.data == "known")
        case "coalesce":
            value, default = (_check(problems, child) for child in _trees(tree))
            return Coalesce(value, default) if value and default else None
        case "add" | "sub" | "mul" | "div" | "neg":
            return _arithmetic(problems, tree)
        case _:
            return check_value(problems, tree)


def _comparison(problems: Problems, tree: Node) -> Expression | None:
    operands = [_check(problems, child) for child in _trees(tree)]
    for child, operand in zip(_trees(tree), operands, strict=True):
        if operand == Constant(None, "any"):
            problems.report(
                child, "compares_unknown", "Nothing equals unknown.", "Write: is known, or is unknown."
            )
            return None
    whole = _all_there(operands)
    whole = whole and _as_times(problems, tree, whole)
    if whole is None or not _alike(problems, tree, whole):
        return None
    if tree.data == "between":
        first, low, high = whole
        return Between(first, low, high)
    comparison = _COMPARISONS[str(next(child for child in tree.children if isinstance(child, Token)))]
    if comparison not in {"==", "!="} and "boolean" in {kind_of(operand) for operand in whole}:
        problems.report(tree, "wrong_type", "True and false have no order.", "Compare them with == or !=.")
        return None
    return Compare(comparison, *whole)


def _membership(problems: Problems, tree: Node) -> Expression | None:
    searched, items = _trees(tree)
    value = _check(problems, searched)
    given = _trees(items)
    if not given:
        problems.report(
            items, "empty_list", "Nothing is in an empty list.", 'Write at least one value: in ["EUR", "USD"]'
        )
    checked = _all_there([_check(problems, item) for item in given])
    if value is None or not checked:
        return None
    whole = _as_times(problems, tree, (value, *checked))
    return In(whole[0], whole[1:]) if whole and _alike(problems, tree, whole) else None


def _text_test(problems: Problems, tree: Node) -> Expression | None:
    children = _trees(tree)
    whole, part = (_check(problems, child) for child in children)
    if whole is None or part is None:
        return None
    wrong = [
        child
        for child, side in zip(children, (whole, part), strict=True)
        if kind_of(side) not in {"text", "any"} and not (tree.data == "contains" and side is part)
    ]
    for child in wrong:
        problems.report(
            child,
            "wrong_type",
            f"{problems.text(child)} is no text.",
            "contains looks into a text or a list; starts with and ends with look at a text.",
        )
    if wrong:
        return None
    if tree.data == "contains":
        return Contains(whole, part)
    return Affix("start" if tree.data == "starts" else "end", whole, part)


def _arithmetic(problems: Problems, tree: Node) -> Expression | None:
    children = _trees(tree)
    operands = [_check(problems, child) for child in children]
    wrong = False
    for child, operand in zip(children, operands, strict=True):
        if operand is not None and kind_of(operand) not in {"number", "any"}:
            problems.report(
                child,
                "wrong_type",
                f"{problems.text(child)} is a {kind_of(operand)}; only numbers are calculated with.",
            )
            wrong = True
    whole = _all_there(operands)
    if whole is None or wrong:
        return None
    return Negate(*whole) if tree.data == "neg" else Arithmetic(_OPERATORS[tree.data], *whole)


def _alike(problems: Problems, tree: Node, operands: Sequence[Expression]) -> bool:
    kinds: list[Kind] = [kind for kind in map(kind_of, operands) if kind != "any"]
    other = next((kind for kind in kinds if kind != kinds[0]), None)
    if other is None:
        return True
    problems.report(
        tree,
        "wrong_type",
        f"A {kinds[0]} is never compared with a {other}.",
        "Texts stand in quotes, numbers, true and false do not.",
    )
    return False


def _as_times(
    problems: Problems, tree: Node, operands: Sequence[Expression]
) -> tuple[Expression, ...] | None:
    """Texts compared with a time are times themselves: a date, or a date and time, UTC unless it says."""
    if "time" not in map(kind_of, operands):
        return tuple(operands)
    times: list[Expression] = []
    for operand in operands:
        if not (isinstance(operand, Constant) and isinstance(operand.value, str)):
            times.append(operand)
            continue
        try:
            value = datetime.fromisoformat(operand.value)
        except ValueError:
            problems.report(
                tree,
                "not_a_time",
                f'"{operand.value}" is no time.',
                'Write a date or a time: "2026-11-22" or "2026-11-22T09:30:00Z"',
            )
            return None
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        times.append(Constant(aware, "time"))
    return tuple(times)


def _all_there(operands: Sequence[Expression | None]) -> tuple[Expression, ...] | None:
    there = tuple(operand for operand in operands if operand is not None)
    return there if len(there) == len(operands) else None


def _trees(tree: Node) -> list[Node]:
    return [child for child in tree.children if isinstance(child, Tree)]
