"""Conditions: what they mean, against a reference written straight from the rules of Kleene logic."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventmodel import Event, EventId, ProjectId
from rule_engine.evaluation import compile_condition
from rule_engine.language import check, read

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def event(properties: dict[str, Any]) -> Event:
    return Event(
        id=EventId("e1"),
        project=ProjectId("paaaaaaaaaaa"),
        kind="track",
        action="Order Paid",
        occurred_at=AT,
        received_at=AT,
        origin="live",
        user="ada@acme.example",
        account="acme",
        properties=properties,
        traits={"plan": "free"},
        context={"page": {"url": "https://acme.example/a"}},
    )


def evaluate(condition: str, properties: dict[str, Any]) -> bool | None:
    reading = read(f'rule "x" {{ on any where {condition} do dashboard(note: "n") }}')
    assert reading.errors == (), reading.errors
    checked = reading.rules[0].condition
    assert checked is not None
    return compile_condition(checked)(event(properties))


@pytest.mark.parametrize(
    ("condition", "properties", "expected"),
    [
        ("$event.amount >= 1000", {"amount": 1000}, True),
        ("$event.amount >= 1000", {"amount": 999.5}, False),
        ("$event.amount >= 1000", {}, None),
        ("$event.amount >= 1000", {"amount": "1000"}, None),
        ("$event.amount >= 1000", {"amount": True}, None),
        ("$event.amount >= 1000", {"amount": None}, None),
        ('$event.amount == "1000"', {"amount": 1000}, None),
        ('$event.currency != "EUR"', {"currency": "USD"}, True),
        ('$event.currency != "EUR"', {}, None),
        ("$event.share >= 90%", {"share": 0.9}, True),
        ("$event.a between 1 to 3", {"a": 3}, True),
        ("$event.a between 1 to 3", {"a": 4}, False),
        ("$event.a between 1 to $event.b", {"a": 0}, False),
        ("$event.a between 1 to $event.b", {"a": 2}, None),
        ('$event.a in ["x", "y"]', {"a": "y"}, True),
        ('$event.a in ["x", "y"]', {"a": "z"}, False),
        ('$event.a in ["x", "y"]', {"a": 3}, None),
        ('$event.a in ["x", $event.b]', {"a": "x"}, True),
        ('$event.a in ["x", $event.b]', {"a": "z"}, None),
        ('$event.a contains "bc"', {"a": "abcd"}, True),
        ('$event.a contains "b"', {"a": ["b", 3]}, True),
        ("$event.a contains 3", {"a": ["b", 3.0]}, True),
        ("$event.a contains 1", {"a": [True]}, False),
        ('$event.a contains "b"', {"a": 3}, None),
        ('$event.a starts with "ab"', {"a": "abc"}, True),
        ('$event.a ends with "ab"', {"a": "abc"}, False),
        ('$event.a ends with "ab"', {"a": 3}, None),
        ("$event.a is known", {"a": 0}, True),
        ("$event.a is known", {"a": None}, False),
        ("$event.a is unknown", {}, True),
        ("($event.a > 3) is unknown", {}, True),
        ("$event.a ?? 5 > 4", {}, True),
        ("$event.a ?? 5 > 4", {"a": 1}, False),
        ("$event.a / $event.b > 1", {"a": 4, "b": 2}, True),
        ("$event.a / $event.b > 1", {"a": 4, "b": 0}, None),
        ("$event.a * $event.a > 1", {"a": 1e300}, None),
        ("$event.a + 1 - 2 * 3 == -4", {"a": 1}, True),
        ("-$event.a < 0", {"a": 1}, True),
        ("$event.a + 1 > 0", {"a": "1"}, None),
        ("$event.a", {"a": True}, True),
        ("$event.a", {"a": "yes"}, None),
        ("not $event.a", {"a": False}, True),
        ("not $event.a", {}, None),
        ("$event.a == true", {"a": True}, True),
        ("$event.a == true", {"a": 1}, None),
        ("true", {}, True),
        ("unknown", {}, None),
        ("$event.a and $event.b", {"a": False}, False),
        ("$event.a and $event.b", {"a": True}, None),
        ("$event.a or $event.b", {"b": True}, True),
        ("$event.a or $event.b", {"b": False}, None),
        ('$event.action == "Order Paid"', {}, True),
        ('$event.user ends with "@acme.example"', {}, True),
        ('$event.account == "acme" and $event.type == "track" and $event.id == "e1"', {}, True),
        ("$event.anonymous_id is unknown", {}, True),
        ('$event.properties.user == "other"', {"user": "other"}, True),
        ('$event.user == "other"', {"user": "other"}, False),
        ('$event.traits.plan == "free"', {}, True),
        ('$event.context.page.url starts with "https://"', {}, True),
        ("$event.context.page.url.deeper is unknown", {}, True),
        ("$event.cart.total > 3", {"cart": {"total": 4}}, True),
        ("$event.cart.total > 3", {"cart": [4]}, None),
        ("$event.planName is known", {"planName": "x"}, True),
        ('$event."Plan name" == "x"', {"Plan name": "x"}, True),
        ('$event.time >= "2026-11-22"', {}, True),
        ('$event.time between "2026-11-22T10:00:00+01:00" to "2026-11-22T09:30:00Z"', {}, True),
        ('$event.time < "2026-11-22T09:30:00"', {}, False),
        ("$event.time == $event.a", {"a": "2026-11-22"}, None),
        ("$event.a < $event.b", {"a": "a", "b": "b"}, True),
        ("$event.a < $event.b", {"a": True, "b": False}, None),
    ],
)
def test_meaning(condition: str, properties: dict[str, Any], expected: bool | None) -> None:
    assert evaluate(condition, properties) is expected


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("3", "not_a_condition"),
        ('"x" and true', "not_a_condition"),
        ("$event.a + 1", "not_a_condition"),
        ("$event.user", "not_a_condition"),
        ('3 == "x"', "wrong_type"),
        ("$event.user > 3", "wrong_type"),
        ('$event.a between 1 to "x"', "wrong_type"),
        ('$event.user in ["x", 3]', "wrong_type"),
        ('$event.a + "x" > 3', "wrong_type"),
        ("$event.a contains 3 == true", "unexpected"),
        ("true < false", "wrong_type"),
        ("3 contains 3", "wrong_type"),
        ("$event.a starts with 3", "wrong_type"),
        ('$event.a == ["x"]', "wrong_type"),
        ("$event.a in []", "empty_list"),
        ("$event.a == unknown", "compares_unknown"),
        ("$event.a > 2d", "not_yet"),
        ("$event", "whole_event"),
        ("$event.properties is known", "whole_object"),
        ("$event.user.email is known", "no_such_field"),
        ("$evnt.a", "unknown_variable"),
        ("$account.mrr > 3", "not_yet"),
        ("#count(any) > 3", "not_yet"),
        ('$event.time > "yesterday"', "not_a_time"),
        ('$event."a\\q" > 3', "unknown_escape"),
        ('$event.a == "\\u0041"', "unknown_escape"),
    ],
)
def test_mistakes_are_told_when_the_rule_is_written(condition: str, code: str) -> None:
    assert [
        error.code for error in check(f'rule "x" {{ on any where {condition} do dashboard(note: "n") }}')
    ] == [code]


def test_where_and_if_must_both_be_true() -> None:
    (rule,) = read('rule "x" { on any where $event.a if $event.b do dashboard(note: "n") }').rules
    assert rule.condition is not None
    condition = compile_condition(rule.condition)
    assert condition(event({"a": True, "b": True})) is True
    assert condition(event({"a": True, "b": False})) is False
    assert condition(event({"a": True})) is None


# A condition as its text and its meaning: a function of the properties, written from the truth tables.
Meaning = Callable[[dict[str, Any]], bool | None]
Case = tuple[str, Meaning]
VALUES = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, "", "a", "ab", [], ["a", 1], {}])
)
PROPERTIES = st.dictionaries(st.sampled_from("abc"), VALUES)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def less(left: Any, right: Any) -> bool | None:
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return bool(left < right)
    return None


def equal(left: Any, right: Any) -> bool | None:
    if isinstance(left, bool) and isinstance(right, bool):
        return left is right
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return bool(left == right)
    return None


def negation(value: bool | None) -> bool | None:
    return None if value is None else not value


def conjunction(left: bool | None, right: bool | None) -> bool | None:
    table: dict[tuple[bool | None, bool | None], bool | None] = {
        (True, True): True,
        (True, None): None,
        (None, True): None,
        (None, None): None,
    }
    return table.get((left, right), False)


def disjunction(left: bool | None, right: bool | None) -> bool | None:
    return negation(conjunction(negation(left), negation(right)))


@st.composite
def atoms(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from("abc"))
    text, value = draw(st.sampled_from([("1", 1), ("0.5", 0.5), ('"a"', "a"), ('""', "")]))
    match draw(
        st.sampled_from(["==", "!=", "<", ">=", "known", "unknown", "in", "contains", "plain", "coalesce"])
    ):
        case "==":
            return f"$event.{name} == {text}", lambda p: equal(p.get(name), value)
        case "!=":
            return f"$event.{name} != {text}", lambda p: negation(equal(p.get(name), value))
        case "<":
            return f"$event.{name} < {text}", lambda p: less(p.get(name), value)
        case ">=":
            return f"$event.{name} >= {text}", lambda p: negation(less(p.get(name), value))
        case "known":
            return f"$event.{name} is known", lambda p: p.get(name) is not None
        case "unknown":
            return f"$event.{name} is unknown", lambda p: p.get(name) is None
        case "in":
            return f"$event.{name} in [{text}, $event.a]", lambda p: disjunction(
                equal(p.get(name), value), equal(p.get(name), p.get("a"))
            )
        case "contains":

            def contains(p: dict[str, Any]) -> bool | None:
                whole = p.get(name)
                if isinstance(whole, list):
                    return any(equal(item, value) for item in whole)
                return value in whole if isinstance(whole, str) and isinstance(value, str) else None

            return f"$event.{name} contains {text}", contains
        case "coalesce":

            def coalesced(p: dict[str, Any]) -> bool | None:
                found = value if p.get(name) is None else p[name]
                return equal(found, value)

            return f"$event.{name} ?? {text} == {text}", coalesced
        case _:
            return f"$event.{name}", lambda p: p.get(name) if isinstance(p.get(name), bool) else None


def combined(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    def negated(case: Case) -> Case:
        return f"not ({case[0]})", lambda p: negation(case[1](p))

    def joined(pair: tuple[Case, Case, bool]) -> Case:
        (left, left_means), (right, right_means), is_and = pair
        join = conjunction if is_and else disjunction
        word = "and" if is_and else "or"
        return f"({left}) {word} ({right})", lambda p: join(left_means(p), right_means(p))

    return inner.map(negated) | st.tuples(inner, inner, st.booleans()).map(joined)


@given(st.recursive(atoms(), combined, max_leaves=8), PROPERTIES)
def test_conditions_agree_with_the_truth_tables(case: Case, properties: dict[str, Any]) -> None:
    text, meaning = case
    assert evaluate(text, properties) is meaning(properties)


def test_and_binds_stronger_than_or_and_not_strongest() -> None:
    assert evaluate("true or true and false", {}) is True
    assert evaluate("not false and false", {}) is False
