"""The rule language: a text of declarations in, checked rules and all mistakes out. Pure."""

from typing import NamedTuple

from rule_engine.declarations import Rule, check_declaration
from rule_engine.errors import RuleError
from rule_engine.problems import Problems
from rule_engine.source import Source, split
from rule_engine.syntax import parse

MAX_TEXT_CHARACTERS = 262_144
MAX_ERRORS = 100


class Reading(NamedTuple):
    """What a text says: `rules` in its order, `errors` by place. The rules are whole only without errors."""

    rules: tuple[Rule, ...]
    errors: tuple[RuleError, ...]


def check(text: str) -> list[RuleError]:
    """Everything that keeps `text` from being rules this version acts on, by place; at most MAX_ERRORS."""
    return list(read(text).errors)


def read(text: str) -> Reading:
    """The rules of `text` and everything that is wrong with it; a mistake spoils its own declaration only."""
    source = Source(text)
    if len(text) > MAX_TEXT_CHARACTERS:
        error = source.error(
            0, 1, "too_long", f"The text has more than {MAX_TEXT_CHARACTERS:,} characters.", "Split it."
        )
        return Reading((), (error,))
    unprintable = _unprintable(source)
    if unprintable:
        return Reading((), (unprintable,))
    rules: list[Rule] = []
    errors: list[RuleError] = []
    titles: set[str] = set()
    for chunk in split(source):
        problems = Problems(source, chunk)
        tree = parse(source, chunk)
        if isinstance(tree, RuleError):
            errors.append(tree)
            continue
        rule = check_declaration(problems, tree)
        if rule is not None and rule.title in titles:
            problems.report(
                tree, "second_rule", f'The text has two rules "{rule.title}".', "Give each its own title."
            )
        elif rule is not None:
            titles.add(rule.title)
            rules.append(rule)
        errors += problems.found
        if len(errors) >= MAX_ERRORS:
            break
    errors.sort(key=lambda error: (error.line, error.column))
    return Reading(tuple(rules), tuple(errors[:MAX_ERRORS]))


def _unprintable(source: Source) -> RuleError | None:
    """No database stores NUL, and no UTF-8 holds half a surrogate pair."""
    for place, character in enumerate(source.text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            return source.error(
                place, place + 1, "unprintable", "The text holds a character that is none.", "Delete it."
            )
    return None
