"""Checked conditions as data: typed, immutable, free of positions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from rule_engine.vocabulary import Kind

Comparison: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Operator: TypeAlias = Literal["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int | float | bool | datetime | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Field:
    """A value of the event: `path` begins with an event field or with properties, traits or context."""

    path: tuple[str, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class All:
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Compare:
    comparison: Comparison
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Between:
    value: "Expression"
    low: "Expression"
    high: "Expression"


@dataclass(frozen=True, slots=True)
class In:
    value: "Expression"
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Contains:
    whole: "Expression"
    part: "Expression"


@dataclass(frozen=True, slots=True)
class Affix:
    """Whether a text begins or ends with another."""

    at: Literal["start", "end"]
    whole: "Expression"
    part: "Expression"


@dataclass(frozen=True, slots=True)
class Known:
    operand: "Expression"
    known: bool


@dataclass(frozen=True, slots=True)
class Coalesce:
    value: "Expression"
    default: "Expression"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: Operator
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Negate:
    operand: "Expression"


Expression: TypeAlias = (
    Constant
    | Field
    | Not
    | All
    | AnyOf
    | Compare
    | Between
    | In
    | Contains
    | Affix
    | Known
    | Coalesce
    | Arithmetic
    | Negate
)


def kind_of(expression: Expression) -> Kind:
    """The compile-time type of an expression's value."""
    match expression:
        case Constant() | Field():
            return expression.kind
        case Coalesce(value, default):
            kind = kind_of(value)
            return kind if kind == kind_of(default) else "any"
        case Arithmetic() | Negate():
            return "number"
        case _:
            return "boolean"
