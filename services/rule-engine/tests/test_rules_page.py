"""docs/rules.md: every example works, every mistake reads as printed, every word is there."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventmodel import Event, EventId, ProjectId
from rule_engine import declarations, language, syntax, templates, vocabulary
from rule_engine.actions import REASONS
from rule_engine.engine import STALE_AFTER
from rule_engine.evaluation import compile_condition
from rule_engine.language import check, read
from rule_engine.settings import RuleEngineSettings

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
GOOD = re.findall(r"^```rules\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WRONG = re.findall(r"^```rules wrong\n(.*?)^```\n```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OUTCOMES = re.findall(r"^\| `(.+?)` \| `(\{.*?\})` \| (true|false|unknown) \|$", PAGE, re.MULTILINE)
LATER = dict(re.findall(r"^\| (\w+) \| (.+?) \|$", PAGE.partition("## What comes later")[2], re.MULTILINE))


def words(text: str) -> set[str]:
    return set(re.findall(r"`(.+?)`", text))


def test_page_has_examples() -> None:
    assert (len(GOOD), len(WRONG), len(OUTCOMES)) == (3, 3, 10)


@pytest.mark.parametrize("text", GOOD)
def test_example_is_a_rule(text: str) -> None:
    reading = read(text)
    assert reading.errors == ()
    assert reading.rules


@pytest.mark.parametrize(("text", "printed"), WRONG)
def test_mistake_reads_as_printed(text: str, printed: str) -> None:
    said = [f"{e.line}:{e.column} {e.code}: {e.message} {e.hint or ''}".rstrip() for e in check(text)]
    assert said == printed.splitlines()


@pytest.mark.parametrize(("condition", "properties", "result"), OUTCOMES)
def test_condition_has_the_printed_result(condition: str, properties: str, result: str) -> None:
    (rule,) = read(f'rule "x" {{ on any where {condition} do dashboard(note: "n") }}').rules
    assert rule.condition is not None
    now = datetime.now(UTC)
    event = Event(
        id=EventId("e"),
        project=ProjectId("p"),
        kind="track",
        action="a",
        occurred_at=now,
        received_at=now,
        origin="live",
        properties=json.loads(properties),
    )
    assert {True: "true", False: "false", None: "unknown"}[compile_condition(rule.condition)(event)] == result


def test_later_words_are_all_listed_and_exist() -> None:
    assert words(LATER["declarations"]) == set(vocabulary.LATER_DECLARATIONS)
    assert words(LATER["variables"]) == set(vocabulary.LATER_VARIABLES)
    assert words(LATER["actions"]) == set(vocabulary.LATER_ACTIONS)
    assert words(LATER["options"]) == set(vocabulary.LATER_OPTIONS)
    assert words(LATER["functions"]) == {f"#{name}" for name in vocabulary.LATER_FUNCTIONS}


@pytest.mark.parametrize("function", vocabulary.LATER_FUNCTIONS)
def test_later_function_answers_not_yet(function: str) -> None:
    text = f'rule "x" {{ on any where #{function}(any) do dashboard(note: "n") }}'
    assert [error.code for error in check(text)] == ["not_yet"]


def test_values_of_the_event_are_all_listed_and_exist() -> None:
    listed = set(
        re.findall(r"\$event\.([a-z_]+)", PAGE.partition("### Values of the event")[2].partition("###")[0])
    )
    own = set(vocabulary.EVENT_FIELDS) | set(vocabulary.EVENT_OBJECTS)
    assert listed - {"amount", "cart"} == own
    assert words(PAGE.partition("## Notes")[2].partition("##")[0]) >= {
        f"{{{{ {name} }}}}" for name in vocabulary.NOTE_VALUES if name != "event"
    }


def test_modes_actions_and_reasons_are_all_listed() -> None:
    parts = PAGE.partition("## The parts of a rule")[2].partition("## ")[0]
    assert set(vocabulary.MODES) <= words(parts)
    assert list(vocabulary.ACTIONS) == ["dashboard"]
    assert (
        tuple(re.findall(r"^\| `(\w+)` \| ", PAGE.partition("## What happened")[2].partition("## ")[0], re.M))
        == REASONS
    )


def test_bounds_are_as_printed() -> None:
    for bound in (
        f"1 to {declarations.MAX_TITLE_CHARACTERS} characters",
        f"1 to {declarations.MAX_ACTIONS} actions",
        f"{syntax.MAX_DECLARATION_CHARACTERS:,} characters and {syntax.MAX_DEPTH} levels",
        f"{templates.MAX_NOTE_CHARACTERS:,}\ncharacters",
        f"{language.MAX_TEXT_CHARACTERS:,} characters, a body 2 MiB, an answer {language.MAX_ERRORS} errors",
        f"active rules ({RuleEngineSettings.model_fields['rules_per_project'].default:,})",
        f"more than {STALE_AFTER.total_seconds() / 3600:.0f} hour old",
    ):
        assert bound in PAGE, bound
