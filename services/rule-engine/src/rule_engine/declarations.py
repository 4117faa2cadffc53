"""From a declaration's tree to a checked rule: the part of the language this version acts on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lark import Token, Tree

from rule_engine.conditions import check_condition
from rule_engine.errors import RuleError
from rule_engine.expressions import All, Expression
from rule_engine.problems import Problems
from rule_engine.syntax import Node
from rule_engine.templates import Template, read_template, unescape
from rule_engine.vocabulary import ACTIONS, LATER_ACTIONS, LATER_OPTIONS, MODES, Mode, nearest

MAX_TITLE_CHARACTERS = 200
MAX_ACTIONS = 20

EXAMPLE = 'rule "title" { on signed_up where $event.plan == "free" do dashboard(note: "…") }'

_LATER_DECLARATIONS = {
    "define": "Variables (define)",
    "segment": "Segments",
    "score": "Scores",
    "journey": "Journeys",
    "metric": "Metrics",
}
_LATER_OPTIONS: dict[str, str] = {
    "limit": "Limits",
    "rearm": "Rearm conditions",
    "cancel": "Cancel conditions",
    "quiet": "Quiet hours",
    "cap": "Caps",
    "history": "History options",
    "stale": "Stale options",
    "consent": "Consent options",
}
assert set(_LATER_OPTIONS) == set(LATER_OPTIONS)

Children: TypeAlias = Sequence[Node | Token | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked rule. `action` is the event's, None for any activity; `text` its declaration as written."""

    title: str
    text: str
    mode: Mode
    action: str | None
    condition: Expression | None
    notes: tuple[Template, ...]


def check_declaration(problems: Problems, tree: Node) -> Rule | None:
    """The rule of `tree`, or None with everything that is wrong in `problems`."""
    if tree.data != "rule":
        problems.not_yet(tree, _LATER_DECLARATIONS[tree.data], f"This version understands: {EXAMPLE}")
        return None
    title_token, subject, trigger, guard, actions, *options = tree.children
    assert isinstance(title_token, Token)
    assert isinstance(trigger, Tree)
    assert isinstance(actions, Tree)
    title = _title(problems, title_token)
    if isinstance(subject, Tree):
        problems.not_yet(
            subject,
            "Rules per user or per account",
            "Leave it out: the rule acts for whoever the event is about.",
        )
    action, where = _trigger(problems, trigger)
    conditions = [
        check_condition(problems, tree.children[0])
        for tree in (where, guard)
        if isinstance(tree, Tree) and isinstance(tree.children[0], Tree)
    ]
    notes = _notes(problems, actions)
    mode = _mode(problems, options)
    if problems.found:
        return None
    checked = tuple(condition for condition in conditions if condition is not None)
    condition = checked[0] if len(checked) == 1 else All(checked) if checked else None
    return Rule(title, problems.text(tree), mode, action, condition, notes)


def _title(problems: Problems, token: Token) -> str:
    start, _ = problems.span(token)
    title = unescape(problems.source, start + 1, token[1:-1])
    if isinstance(title, RuleError):
        problems.found.append(title)
        return ""
    if not title.strip() or len(title) > MAX_TITLE_CHARACTERS or not title.isprintable():
        problems.report(
            token,
            "bad_title",
            f"A rule's title has 1 to {MAX_TITLE_CHARACTERS} characters on one line.",
            'Write a short name: rule "big order" { … }',
        )
    return title


def _trigger(problems: Problems, tree: Node) -> tuple[str | None, Node | Token | None]:
    """(action, where) of a trigger; the action is None for any activity."""
    if tree.data == "when_edge":
        problems.not_yet(
            tree, "Rules with when", "This version acts on one event: on <event> where <condition>"
        )
        return None, None
    if tree.data == "every":
        problems.not_yet(tree, "Schedules", "This version acts on one event: on <event> where <condition>")
        return None, None
    event, where = tree.children
    assert isinstance(event, Tree)
    named = event.children[0]
    if isinstance(named, Tree):
        return ".".join(str(name) for name in named.children), where
    assert isinstance(named, Token)
    if named.type == "ANY":
        return None, where
    start, _ = problems.span(named)
    action = unescape(problems.source, start + 1, named[1:-1])
    if isinstance(action, RuleError):
        problems.found.append(action)
        return None, where
    if not action:
        problems.report(
            named, "empty_event", "The event has no name.", 'Write its action, or any: on "opened report"'
        )
    return action, where


def _notes(problems: Problems, tree: Node) -> tuple[Template, ...]:
    actions = [child for child in tree.children if isinstance(child, Tree)]
    if len(actions) > MAX_ACTIONS:
        problems.report(tree, "too_many_actions", f"A rule has at most {MAX_ACTIONS} actions.")
    notes = [_action(problems, action) for action in actions]
    return tuple(note for note in notes if note is not None)


def _action(problems: Problems, tree: Node) -> Template | None:
    name, arguments, guard, best_time = tree.children
    assert isinstance(name, Token)
    if isinstance(guard, Tree):
        problems.not_yet(
            guard, "Conditions on single actions", "Put the condition before do: if <condition> do …"
        )
    if isinstance(best_time, Tree):
        problems.not_yet(best_time, "Best times")
    if name in LATER_ACTIONS:
        problems.not_yet(
            tree, f"Actions such as {name}", 'This version writes to the dashboard: dashboard(note: "…")'
        )
        return None
    if name not in ACTIONS:
        near = nearest(str(name), (*ACTIONS, *LATER_ACTIONS))
        hint = f"Did you mean {near}?" if near else 'Write dashboard(note: "…").'
        problems.report(name, "unknown_action", f"There is no action {name}.", hint)
        return None
    return _note(problems, tree, arguments.children if isinstance(arguments, Tree) else ())


def _note(problems: Problems, action: Node, arguments: Children) -> Template | None:
    notes: list[Node] = []
    misnamed = False
    for argument in arguments:
        assert isinstance(argument, Tree)
        if argument.data != "named":
            problems.report(
                argument, "unnamed_argument", "Arguments are named.", f"Write note: {problems.text(argument)}"
            )
            return None
        name, value = argument.children
        assert isinstance(name, Token)
        assert isinstance(value, Tree)
        if name == "note":
            notes.append(value)
        else:
            misnamed = True
            near = nearest(str(name), ACTIONS["dashboard"])
            problems.report(
                name,
                "unknown_argument",
                f"dashboard takes no {name}.",
                f"Did you mean {near}?" if near else 'It takes a note: dashboard(note: "…")',
            )
    if len(notes) != 1:
        if notes or not misnamed:
            problems.report(
                notes[1] if notes else action,
                "one_note",
                "dashboard takes one note.",
                'Write dashboard(note: "…").',
            )
        return None
    if notes[0].data != "text":
        problems.report(
            notes[0],
            "not_a_text",
            "A note is a text in quotes.",
            'Values stand inside it: note: "{{ event.amount }} by {{ user }}"',
        )
        return None
    start, end = problems.span(notes[0])
    template = read_template(problems.source, start + 1, problems.source.text[start + 1 : end - 1])
    if isinstance(template, Template):
        return template
    problems.found += template
    return None


def _mode(problems: Problems, options: Children) -> Mode:
    mode: Mode = "live"
    met = False
    for option in options:
        assert isinstance(option, Tree)
        if option.data != "mode":
            problems.not_yet(
                option, _LATER_OPTIONS[option.data], "This version knows one option: mode live|shadow|off"
            )
            continue
        written = option.children[0]
        assert isinstance(written, Token)
        if met:
            problems.report(option, "second_mode", "A rule has one mode.", "Leave one of them out.")
        met = True
        if written in MODES:
            mode = MODES[str(written)]
        else:
            problems.not_yet(option, "Test modes", "Write mode shadow: the actions are kept and not shown.")
    return mode
