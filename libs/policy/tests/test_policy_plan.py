"""Plans: what they may say, and how events are measured by them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventmodel import Event, EventId, Kind, ProjectId
from policy import Measure, PlanInvalid, Verdict, next_plan, read_plan
from policy.measure import CODES, Similar

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def _event(action: str, kind: Kind = "track", **given: Any) -> Event:
    of_people = kind in ("identify", "group")
    return Event(
        id=EventId("1"),
        project=ProjectId("pabcdefgh234"),
        kind=kind,
        action=action,
        occurred_at=NOW,
        received_at=NOW,
        origin="live",
        properties={} if of_people else given,
        traits=given if of_people else {},
    )


def _judge(document: object, event: Event) -> Verdict | None:
    return Measure(read_plan(document)).judge(event)


PLAN: dict[str, Any] = {
    "mode": "warn",
    "actions": {
        "opened report": {
            "description": "Somebody looked at a report.",
            "properties": {
                "report": {"type": "string", "enum": ["churn", "usage"]},
                "rows": {"type": "integer", "minimum": 0},
                "owner": {
                    "type": "object",
                    "properties": {"mail": {"format": "email"}},
                    "required": ["mail"],
                },
            },
            "required": ["report"],
            "additionalProperties": False,
        },
        "identified": {"mode": "block", "properties": {"plan": {"type": "string"}}},
        "viewed page": {"properties": {"path": {"pattern": "^/"}}},
    },
}


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"report": "churn", "rows": 0, "owner": {"mail": "ada@acme.example"}}, None, None),
        ({}, "missing_property", "properties.report"),
        ({"report": "sales"}, "invalid_property", "properties.report"),
        ({"report": "churn", "rows": -1}, "invalid_property", "properties.rows"),
        ({"report": "churn", "rows": "7"}, "invalid_property", "properties.rows"),
        ({"report": "churn", "owner": {}}, "missing_property", "properties.owner.mail"),
        ({"report": "churn", "owner": {"mail": "ada"}}, "invalid_property", "properties.owner.mail"),
        ({"report": "churn", "row": 1}, "unplanned_property", "properties.row"),
    ],
)
def test_an_event_is_measured_by_what_it_carries(
    given: dict[str, Any], code: str | None, field: str | None
) -> None:
    verdict = _judge(PLAN, _event("opened report", **given))
    assert (verdict and verdict.code, verdict and verdict.field) == (code, field)
    assert code is None or code in CODES


def test_a_verdict_never_repeats_the_value() -> None:
    for value in ("zqsecret", ["zqsecret"], {"mail": "zqsecret"}):
        for name in ("report", "rows", "owner"):
            verdict = _judge(PLAN, _event("opened report", "track", **{"report": "churn", name: value}))
            assert verdict is not None
            assert "zqsecret" not in str(verdict)


def test_traits_are_measured_and_pages_are_never_unplanned() -> None:
    measure = Measure(read_plan(PLAN))
    identified = measure.judge(_event("identified", "identify", plan=7))
    assert identified is not None
    assert (identified.mode, identified.field) == ("block", "traits.plan")
    assert measure.judge(_event("Home", "page")) is None
    assert measure.judge(_event("joined account", "group")) is None
    assert measure.judge(_event("viewed page", "page", path="x")) is not None


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("Opened Report", "opened report"),
        ("opened_report", "opened report"),
        ("openedReport", "opened report"),
        ("opend report", "opened report"),
        ("paid", None),
    ],
)
def test_an_unplanned_action_is_told_with_what_it_probably_means(sent: str, meant: str | None) -> None:
    verdict = _judge(PLAN, _event(sent))
    assert verdict is not None
    assert (verdict.mode, verdict.code) == ("warn", "unplanned_action")
    assert (f'"{meant}"' in (verdict.hint or "")) == (meant is not None)


def test_searching_for_similar_actions_is_bounded() -> None:
    similar = Similar({f"action number {number}": None for number in range(1000)}, max_searches=3)
    assert similar.to("action nubmer 7") is not None
    for number in range(5):
        similar.to(f"nothing of the kind {number}")
    assert similar.to("action nubmer 8") is None
    assert similar.to("Action_Number_8") == "action number 8"


def test_modes_are_the_actions_then_the_plans() -> None:
    document = {
        "mode": "block",
        "unplanned": "observe",
        "actions": {"a": {"mode": "warn", "required": ["x"]}},
    }
    modes = [verdict.mode for action in ("a", "b") if (verdict := _judge(document, _event(action)))]
    assert modes == ["warn", "observe"]


def test_an_actions_version_rises_with_what_it_carries() -> None:
    first = next_plan(read_plan({"actions": {"a": {"required": ["x"]}, "b": {}}}), None)
    second = next_plan(
        read_plan({"mode": "warn", "actions": {"a": {"required": ["y"]}, "b": {"mode": "warn"}}}), first
    )
    assert {name: action.version for name, action in second.actions.items()} == {"a": 2, "b": 1}


def _of(schema: Any) -> dict[str, Any]:
    return {"actions": {"a": {"properties": {"x": schema}}}}


def _many(count: int) -> dict[str, Any]:
    return {str(number): {} for number in range(count)}


def _nested(depth: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": _nested(depth - 1)}} if depth else {}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (7, "plan"),
        ({"action": {}}, "plan"),
        ({"mode": "loud"}, "mode"),
        ({"actions": {"": {}}}, "actions."),
        ({"actions": {"a b": {}, "A_B": {}}}, "actions.A_B"),
        ({"actions": {"a": {"required": ["x"], "additionalProperties": False}}}, "actions.a.required"),
        ({"actions": {str(number): {} for number in range(1001)}}, "actions"),
        (_of({"$ref": "http://127.0.0.1:9/x"}), "actions.a.properties.x.$ref"),
        (_of({"$ref": "#"}), "actions.a.properties.x.$ref"),
        (_of({"$id": "http://x", "type": "string"}), "actions.a.properties.x.$id"),
        (_of({"allOf": []}), "actions.a.properties.x.allOf"),
        (_of({"patternProperties": {}}), "actions.a.properties.x.patternProperties"),
        (_of({"type": "text"}), "actions.a.properties.x.type"),
        (_of({"type": [["string"]]}), "actions.a.properties.x.type"),
        (_of({"pattern": "(?=a)"}), "actions.a.properties.x.pattern"),
        (_of({"pattern": "(a+)+$" * 50}), "actions.a.properties.x.pattern"),
        (_of({"pattern": "((a{100}){100}){100}"}), "actions.a.properties.x.pattern"),
        (_of({"format": "ipv5"}), "actions.a.properties.x.format"),
        (_of({"format": []}), "actions.a.properties.x.format"),
        (_of({"enum": list(range(201))}), "actions.a.properties.x.enum"),
        (_of({"anyOf": [{"anyOf": []}]}), "actions.a.properties.x.anyOf.0.anyOf"),
        (_of({"anyOf": [{}] * 11}), "actions.a.properties.x.anyOf"),
        (_of({"minimum": "7"}), "actions.a.properties.x.minimum"),
        (_of("string"), "actions.a.properties.x"),
        (_of(_nested(9)), "actions.a"),
        (_of({"properties": {str(n): {"properties": _many(30)} for n in range(30)}}), "actions.a"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_used_says_where(document: object, path: str) -> None:
    with pytest.raises(PlanInvalid) as caught:
        read_plan(document)
    assert caught.value.problems[0].path.startswith(path)
    assert len(caught.value.problems) <= 50


def test_a_pattern_takes_time_linear_in_the_text() -> None:
    plan = _of({"pattern": "^(a+)+$"})
    assert _judge(plan, _event("a", x="a" * 100_000 + "b")) is not None


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "anyOf", "pattern", "required", "x"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_document_is_a_plan_or_told_to_be_none(document: Any) -> None:
    for tried in (document, {"actions": {"a": document}}, _of(document)):
        try:
            measure = Measure(read_plan(tried))
        except PlanInvalid:
            continue
        measure.judge(_event("a", x=1))
