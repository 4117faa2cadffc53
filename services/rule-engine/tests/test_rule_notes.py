"""Notes: texts with values of the event in them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from eventmodel import Event, EventId, ProjectId
from rule_engine.language import check, read
from rule_engine.templates import MAX_NOTE_CHARACTERS, compile_template

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def render(note: str, properties: dict[str, Any] | None = None) -> str:
    reading = read(f'rule "big order" {{ on any do dashboard(note: "{note}") }}')
    assert reading.errors == (), reading.errors
    event = Event(
        id=EventId("e1"),
        project=ProjectId("paaaaaaaaaaa"),
        kind="track",
        action="paid",
        occurred_at=AT,
        received_at=AT,
        origin="live",
        user="ada@acme.example",
        account="acme",
        properties=properties or {},
        traits={"plan": "free"},
    )
    return compile_template(reading.rules[0].notes[0], reading.rules[0].title)(event)


@pytest.mark.parametrize(
    ("note", "properties", "expected"),
    [
        ("plain", {}, "plain"),
        ("", {}, ""),
        (
            "{{ event.amount }} by {{user}} of {{ account }}",
            {"amount": 12.5},
            "12.5 by ada@acme.example of acme",
        ),
        ("{{ event.amount }}", {"amount": 3.0}, "3"),
        ("[{{ event.amount }}{{ anonymous_id }}]", {}, "[]"),
        ("{{ event.ok }}", {"ok": True}, "true"),
        ("{{ event.tags }}", {"tags": ["a", 1]}, "a, 1"),
        ("{{ event.cart }}", {"cart": {"n": 1}}, '{"n": 1}'),
        ("{{ event.cart.n }}", {"cart": {"n": 1}}, "1"),
        ("{{ event.action }} {{ event.time }} {{ event.traits.plan }}", {}, "paid 2026-11-22T09:30:00Z free"),
        ("{{ rule }}: {{ event.user }}", {}, "big order: ada@acme.example"),
        (r"a \"b\" \\ {{ event.x }}\n", {"x": "<b>&"}, 'a "b" \\ <b>&\n'),
        ("{{ event.x }}", {"x": "{{ user }}"}, "{{ user }}"),
        ("{{ event.x }}", {"x": "a\0b"}, "ab"),
        ("{ {x} }", {}, "{ {x} }"),
    ],
)
def test_note_shows_values_as_plain_text(note: str, properties: dict[str, Any], expected: str) -> None:
    assert render(note, properties) == expected


def test_long_note_is_cut() -> None:
    shown = render("{{ event.x }}", {"x": "x" * 10_000})
    assert len(shown) == MAX_NOTE_CHARACTERS
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("note", "offset", "code", "hint"),
    [
        ("by {{ usr }}", 3, "unknown_value", "user"),
        ("{{ user.email }}", 0, "unknown_value", "{{ user }}"),
        ("{{ event }}", 0, "unknown_value", "event.<name>"),
        ("{{ event.user.name }}", 0, "unknown_value", "event.user"),
        ("{{ event.properties }}", 0, "unknown_value", "<name>"),
        ("{{ event.a + 1 }}", 0, "unreadable_value", "later"),
        ("{{ event.a", 0, "unclosed_value", "both"),
        ("event.a }}", 8, "unclosed_value", "both"),
        (r"a \q", 2, "unknown_escape", "backslash"),
    ],
)
def test_mistake_in_a_note_is_found_at_its_place(note: str, offset: int, code: str, hint: str) -> None:
    before = 'rule "x" { on any do dashboard(note: "'
    (error,) = check(before + note + '") }')
    assert (error.column, error.code) == (len(before) + offset + 1, code)
    assert hint in (error.hint or "")
