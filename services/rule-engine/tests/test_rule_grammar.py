"""The grammar and what it says when a text does not fit it."""

import logging
import re
from importlib.resources import files
from pathlib import Path

import lark
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rule_engine import vocabulary
from rule_engine.language import MAX_ERRORS, MAX_TEXT_CHARACTERS, check, read
from rule_engine.syntax import MAX_DECLARATION_CHARACTERS

EXAMPLES = (Path(__file__).parent / "examples.rules").read_text()
GRAMMAR = (files("rule_engine") / "rules.lark").read_text()


def test_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """lark resolves shift/reduce conflicts in silence, except in its debug log."""
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark(GRAMMAR, parser="lalr", start="declaration", debug=True)
    assert [record.message for record in caplog.records if "onflict" in record.message] == []


def test_conflict_would_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark('start: start "+" start | "1"', parser="lalr", debug=True)
    assert [record for record in caplog.records if "onflict" in record.message]


def test_whole_language_parses_and_each_later_construct_is_named() -> None:
    errors = check(EXAMPLES)
    assert {error.code for error in errors} == {"not_yet"}
    said = " ".join(error.message for error in errors)
    for construct in (
        "Segments",
        "Scores",
        "Journeys",
        "Metrics",
        "Variables",
        "Limits",
        "Quiet hours",
        "Caps",
        "Cancel",
        "Rearm",
        "History",
        "Stale",
        "Best times",
        "#score",
        "email",
        "notify",
        "slack",
        "webhook",
        "task",
        "tour",
        "show",
        "Rules with when",
        "per user or per account",
        "Conditions on single actions",
    ):
        assert construct in said, construct


def test_words_of_the_whole_language_are_known() -> None:
    """A function or action of the language is never called unknown."""
    functions = set(re.findall(r"#([a-z_]+)\(", EXAMPLES))
    assert functions <= set(vocabulary.LATER_FUNCTIONS)
    assert set(vocabulary.DECLARATIONS + vocabulary.LATER_DECLARATIONS) == set(
        re.findall(r"^([a-z]+) ", EXAMPLES, re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("text", "column", "length", "hint"),
    [
        ('rule "x" { on any where $event.a = 3 do dashboard(note: "n") }', 34, 1, "=="),
        ('rule "x" { on any do dashboard(note "n") }', 37, 3, 'note: "n"'),
        ('rule "x" { when #did(paid, within 7d) do email() }', 35, 2, "within: 7d"),
        ('rule "x" { on any wher $event.a == 1 do dashboard(note: "n") }', 19, 4, "where"),
        ('rule "x" { on any where $event.a AND $event.b do dashboard(note: "n") }', 34, 3, "small letters"),
        ('rule "x" { on any where $event.a && $event.b do dashboard(note: "n") }', 34, 2, "and"),
        ("rule 'x' { on any do dashboard(note: \"n\") }", 6, 1, "double quotes"),
        ('rule "x { on any }', 6, 1, "not closed"),
        ('rule "x" { on opened report do dashboard(note: "n") }', 22, 6, 'on "opened report"'),
        ('rule "x" { on Opened Report do dashboard(note: "n") }', 15, 6, 'on "Opened Report"'),
        ('rule "x" { on any where amount > 3 do dashboard(note: "n") }', 25, 6, "$event.amount"),
        ('rule "x" { on any where $event.a == 1 dashboard(note: "n") }', 39, 9, "Write do"),
        ('rule "x" { on any do dashboard(note: "n")', 41, 1, "}"),
        ('rule "x" { on any do dashboard(note: "n" }', 42, 1, ""),
        ("rulee", 1, 5, "Did you mean rule?"),
        ("-- a comment\n\n  hello", 3, 5, "A rule is written"),
    ],
)
def test_misfit_is_found_at_its_place_with_advice(text: str, column: int, length: int, hint: str) -> None:
    (error,) = check(text)
    assert (error.column, error.length) == (column, length)
    assert hint in (error.hint or "")


def test_a_mistake_spoils_its_own_declaration_only() -> None:
    reading = read(
        'rule "a" { on any do dashboard(note: "x")\n\n'
        'rule "b" { on any do dashboard(note: "y") }\n'
        'rule "c" { on any where $event.a = 1 do dashboard(note: "y") }\n'
        'rule "d" { on any do dashboard(note: "y") }\n'
    )
    assert [(error.line, error.column) for error in reading.errors] == [(1, 41), (4, 34)]
    assert [rule.title for rule in reading.rules] == ["b", "d"]


def test_all_mistakes_of_one_declaration_are_told() -> None:
    errors = check(
        'rule "" per user {\n'
        "  on signed_up where #dit(any) and $amount > 3 and $user.plan == 1\n"
        '  do dashboard(nota: "x"), dashbord(note: "y")\n'
        "  limit once  mode test\n"
        "}"
    )
    assert [(error.line, error.code) for error in errors] == [
        (1, "bad_title"),
        (1, "not_yet"),
        (2, "unknown_function"),
        (2, "unknown_variable"),
        (2, "not_yet"),
        (3, "unknown_argument"),
        (3, "unknown_action"),
        (4, "not_yet"),
        (4, "not_yet"),
    ]
    hints = {error.code: error.hint or "" for error in errors}
    assert "#did" in hints["unknown_function"]
    assert "$event.amount" in hints["unknown_variable"]
    assert "note" in hints["unknown_argument"]
    assert "dashboard" in hints["unknown_action"]


def test_keywords_may_be_names_and_stand_in_texts() -> None:
    reading = read(
        'rule "rule" { on limit where $event.rule == "metric nps" and $event.when == 1\n'
        'do dashboard(note: "score 1\\nrule") }'
    )
    assert reading.errors == ()
    assert (reading.rules[0].title, reading.rules[0].action) == ("rule", "limit")


def test_rule_keeps_its_text_as_written() -> None:
    rule = 'rule "a" {\n  -- why\n  on any do dashboard(note: "x")\n}'
    (found,) = read(f"-- before\n{rule}\n-- after\n").rules
    assert found.text == rule
    assert read(found.text).rules == (found,)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x" * (MAX_TEXT_CHARACTERS + 1), "too_long"),
        ('rule "x" { on any do dashboard(note: "' + "n" * MAX_DECLARATION_CHARACTERS + '") }', "too_long"),
        ('rule "x" { on any where ' + "not " * 500 + '$event.a do dashboard(note: "n") }', "too_deep"),
        ('rule "x" { on any where $event.a == 1' + " + 1" * 500 + ' do dashboard(note: "n") }', "too_deep"),
        ('rule "x\0" { on any do dashboard(note: "n") }', "unprintable"),
        ('rule "x" { on any do dashboard(note: "\ud800") }', "unprintable"),
        (
            'rule "x" { on any do dashboard(note: "a") }\nrule "x" { on any do dashboard(note: "b") }',
            "second_rule",
        ),
        ('rule "x" { on "" do dashboard(note: "a") }', "empty_event"),
        ('rule "x" { on any do dashboard() }', "one_note"),
        ('rule "x" { on any do dashboard(note: "a", note: "b") }', "one_note"),
        ('rule "x" { on any do dashboard(note: 3) }', "not_a_text"),
        ('rule "x" { on any do dashboard("a") }', "unnamed_argument"),
        ('rule "x" { on any do dashboard(note: "\\q") }', "unknown_escape"),
        ('rule "x" { on any do dashboard(note: "a") mode live mode off }', "second_mode"),
        ('rule "x" { every day do dashboard(note: "a") }', "not_yet"),
        ('rule "x" { on any do ' + ", ".join(['dashboard(note: "a")'] * 21) + " }", "too_many_actions"),
    ],
)
def test_bounds_and_refusals(text: str, code: str) -> None:
    assert [error.code for error in check(text)] == [code]


def test_long_chains_of_and_or_are_no_depth() -> None:
    chain = " or ".join(f"$event.a == {number}" for number in range(600))
    assert check(f'rule "x" {{ on any where {chain} do dashboard(note: "n") }}') == []


def test_errors_are_bounded() -> None:
    assert len(check("segment a when true\n" * 500)) == MAX_ERRORS


FRAGMENTS = st.sampled_from(
    [
        *("rule", "segment", "define", "on", "any", "where", "if", "do", "mode", "live", "and", "or", "not"),
        *("between", "to", "in", "is", "known", "unknown", "per", "user", "no", "limit", "once", "within"),
        *("{", "}", "(", ")", "[", "]", ",", ":", ".", "=", "==", "<", "+", "-", "*", "/", "??", "&&", "'"),
        *('"x"', '"{{ event.a }}"', '"{{ x', '"', "$event", "$event.a", '$event."a b"', "$x", "#did", "#x"),
        *("dashboard", "note", "7d", "3", "90%", "09:00", "--", "\n", "\\", "ä", "A", "\0", "💥"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map(" ".join) | st.text(max_size=200))
def test_no_text_crashes_and_every_place_lies_in_it(text: str) -> None:
    lines = text.split("\n")
    for error in check(text):
        line = lines[error.line - 1]
        assert 1 <= error.column <= len(line) + 1
        assert 1 <= error.length <= max(1, len(line) - error.column + 1)
        assert error.message.endswith(".")


@given(st.lists(FRAGMENTS, max_size=12).map(" ".join))
def test_no_condition_crashes(condition: str) -> None:
    check(f'rule "x" {{ on any where $event.a {condition} do dashboard(note: "n") }}')
