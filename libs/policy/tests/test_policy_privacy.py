"""Privacy rules: whatever stands at a path of theirs is in no event and in nothing that is kept."""

import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission import admit, admit_items
from eventmodel import ProjectId, wire
from policy import Client, PrivacyRules, RuleInvalid, check_rules, compile_policy

PROJECT, NOW = ProjectId("pabcdefgh234"), datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SECRET = "zqsecret"
RULES = PrivacyRules(
    redact=("properties.card.number", "traits.ssn", "context.device.id", "**.password"),
    hash=("properties.mail", "**.phone"),
)

_names = st.sampled_from(
    ["card", "number", "mail", "ssn", "device", "id", "x", "Card", "NUMBER", "card.number"]
)
_hidden = st.sampled_from(["password", "Password", "phone", "PHONE"])
_plain = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["y", ""])
_values: st.SearchStrategy[Any] = st.recursive(
    _plain,
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(_names, children, max_size=3)
        | st.dictionaries(_hidden, st.just(SECRET) | st.lists(st.just(SECRET)), max_size=1)
    ),
    max_leaves=10,
)
_objects = st.dictionaries(_names, _values, max_size=3)


@st.composite
def _events(draw: st.DrawFn) -> dict[str, Any]:
    """Events, most of them refused for something, with the secret at the rules' paths."""
    event: dict[str, Any] = {
        "properties": {
            **draw(_objects),
            "card": draw(st.just({"number": SECRET}) | st.just([{"Number": SECRET}])),
        },
        "traits": {**draw(_objects), "ssn": SECRET},
        "context": {**draw(_objects), "device": {"id": SECRET, "kind": "tv"}},
    }
    event["properties"][draw(st.sampled_from(["mail", "MAIL"]))] = SECRET
    for name, value in (("user", "ada"), ("action", "a"), ("time", "2026-11-22T09:29:00Z")):
        event[name] = draw(st.just(value) | st.just(7.5) | st.none() | st.just({"password": SECRET}))
    event |= draw(st.dictionaries(_hidden, st.just(SECRET), max_size=1))
    event |= draw(st.sampled_from([{}, {"event": "x"}, {"extra": {"phone": SECRET}}, {"properties": SECRET}]))
    return event


@given(st.lists(_events(), min_size=1, max_size=3))
def test_what_the_rules_name_is_in_no_record_and_in_nothing_kept(events: list[dict[str, Any]]) -> None:
    policy = compile_policy(RULES, b"key", None)
    native = admit(json.dumps(events).encode(), project=PROJECT, received_at=NOW, policy=policy)
    foreign = admit_items(
        [(index, event, {"theirs": event}) for index, event in enumerate(events)],
        project=PROJECT,
        received_at=NOW,
        policy=policy,
    )
    for admitted in (native, foreign):
        assert len(admitted.messages) + len(admitted.rejections) == len(events)
        kept = [part for body in admitted.rejected_bodies if body for part in body if part]
        told = [str(rejection).encode() for rejection in admitted.rejections]
        assert [
            text
            for text in (*(value for _, value in admitted.messages), *kept, *told)
            if SECRET.encode() in text
        ] == []


@given(_events())
def test_the_senders_objects_are_left_as_they_are(event: dict[str, Any]) -> None:
    before = json.dumps(event)
    policy = compile_policy(RULES, b"key", None)
    admit_items([(0, event, event)], project=PROJECT, received_at=NOW, policy=policy)
    assert json.dumps(event) == before


def _applied(rules: PrivacyRules, key: bytes = b"key", **event: Any) -> Any:
    body = json.dumps({"user": "ada", "action": "a", **event}).encode()
    admitted = admit(body, project=PROJECT, received_at=NOW, policy=compile_policy(rules, key, None))
    return wire.decode(admitted.messages[0][1])


def test_a_pseudonym_is_the_same_for_the_same_value_of_a_project_alone() -> None:
    rules = PrivacyRules(hash=("properties.mail", "traits.mail"))
    first = _applied(rules, properties={"mail": "ada@acme.example"}, traits={"mail": "bob@acme.example"})
    again = _applied(rules, traits={"mail": "ada@acme.example"})
    other = _applied(rules, b"another key", traits={"mail": "ada@acme.example"})
    assert first.properties["mail"] == again.traits["mail"] != other.traits["mail"]
    assert first.properties["mail"] != first.traits["mail"]


@pytest.mark.parametrize("key", [b"", b"key", b"k" * 64, b"k" * 65])
def test_a_pseudonym_is_an_hmac(key: bytes) -> None:
    event = _applied(PrivacyRules(hash=("properties.x",)), key, properties={"x": "ada"})
    assert event.properties["x"] == "hmac-sha256:" + hmac.digest(key, b"ada", "sha256").hex()


def test_a_pseudonym_that_comes_again_stays() -> None:
    rules = PrivacyRules(hash=("properties.mail",))
    first = _applied(rules, properties={"mail": "ada@acme.example"})
    assert _applied(rules, properties=first.properties).properties == first.properties


@pytest.mark.parametrize("value", ["\ud800", ["\ud800"], float("nan"), 10**400])
def test_what_cannot_be_stored_has_a_pseudonym_where_the_refused_event_is_kept(value: Any) -> None:
    privacy = compile_policy(PrivacyRules(hash=("properties.x",)), b"key", None).privacy
    kept = privacy.of_native({"properties": {"x": value}}, None)
    assert kept is not None
    assert kept["properties"]["x"].startswith("hmac-sha256:")


@pytest.mark.parametrize("value", [7, 7.5, True, ["a"], {"b": 1, "a": 2}])
def test_what_is_no_text_has_a_pseudonym_too_and_nothing_stays_nothing(value: Any) -> None:
    rules = PrivacyRules(hash=("properties.x",))
    assert _applied(rules, properties={"x": value}).properties["x"].startswith("hmac-sha256:")
    assert _applied(rules, properties={"x": None}).properties == {"x": None}


def test_of_two_rules_for_one_value_it_is_removed() -> None:
    event = _applied(
        PrivacyRules(redact=("**.mail",), hash=("properties.mail",)), properties={"mail": "x", "y": 1}
    )
    assert (event.properties, event.marks) == ({"y": 1}, ["redacted"])


def test_a_path_also_names_a_key_that_holds_dots_and_leads_through_lists() -> None:
    rules = PrivacyRules(redact=("properties.card.number",))
    for sent, kept in (
        ({"card.number": SECRET}, {}),
        ({"card": [{"number": SECRET, "kind": "visa"}, 7]}, {"card": [{"kind": "visa"}, 7]}),
        ({"number": 7, "card": {"x": {"number": 7}}}, {"number": 7, "card": {"x": {"number": 7}}}),
    ):
        assert _applied(rules, properties=sent).properties == kept


def test_an_event_that_no_rule_touches_bears_no_mark() -> None:
    assert _applied(RULES, properties={"y": 1}).marks == []


@pytest.mark.parametrize(
    "path",
    ["", "properties", "user", "account", "email", "**", "**.a.b", "properties.", "properties..x", "properties.*",
     "*.x", "traits.a*", "properties." + "x" * 200, "properties.a\0b", "properties.a\nb"],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: str) -> None:
    for rules, field in ((PrivacyRules(redact=(path,)), "redact"), (PrivacyRules(hash=(path,)), "hash")):
        with pytest.raises(RuleInvalid) as caught:
            check_rules(rules)
        assert caught.value.field == field


def test_rules_are_bounded() -> None:
    for rules in (
        PrivacyRules(redact=tuple(f"properties.x{number}" for number in range(101))),
        PrivacyRules(consent_categories=()),
        PrivacyRules(consent_categories=tuple(map(str, range(21)))),
    ):
        with pytest.raises(RuleInvalid):
            check_rules(rules)


def test_a_browser_is_asked_to_consent_where_others_are() -> None:
    policy = compile_policy(PrivacyRules(consent="required", consent_categories=("a", "b")), b"", None)
    for consent, stored in (({"a": True}, 0), ({"a": True, "b": "granted"}, 1), ([True], 0)):
        body = json.dumps({"action": "a", "context": {"consent": consent}}).encode()
        admitted = admit(body, project=PROJECT, received_at=NOW, client=Client("203.0.113.9"), policy=policy)
        assert len(admitted.messages) == stored
