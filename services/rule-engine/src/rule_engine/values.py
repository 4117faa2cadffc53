"""Single values of a condition: literals and what stands in the event; functions are refused here."""

from lark import Token, Tree

from rule_engine.errors import RuleError
from rule_engine.expressions import Constant, Expression, Field
from rule_engine.problems import Problems
from rule_engine.syntax import Node
from rule_engine.templates import unescape
from rule_engine.vocabulary import EVENT_FIELDS, EVENT_OBJECTS, LATER_FUNCTIONS, LATER_VARIABLES, nearest


def check_value(problems: Problems, tree: Node) -> Expression | None:
    """The value `tree` says; None when something is wrong with it."""
    match tree.data:
        case "true" | "false":
            return Constant(tree.data == "true", "boolean")
        case "nothing":
            return Constant(None, "any")
        case "number":
            return _number(str(tree.children[0]))
        case "text":
            return _text(problems, tree)
        case "variable":
            return _variable(problems, tree)
        case "call":
            _refuse_function(problems, tree)
        case "duration":
            problems.not_yet(tree, "Durations", "Write a number: properties of events have no duration type.")
        case "list":
            problems.report(tree, "wrong_type", "A list stands only after in.", 'Write: value in ["a", "b"]')
        case _:
            problems.report(tree, "unexpected", f"{problems.text(tree)} does not fit here.")
    return None


def _number(written: str) -> Constant:
    percent = written.endswith("%")
    value = float(written.removesuffix("%")) / (100 if percent else 1)
    whole = not percent and "." not in written
    return Constant(int(written) if whole and len(written) < 16 else value, "number")


def _text(problems: Problems, tree: Node) -> Expression | None:
    start, end = problems.span(tree)
    text = unescape(problems.source, start + 1, problems.source.text[start + 1 : end - 1])
    if isinstance(text, RuleError):
        problems.found.append(text)
        return None
    return Constant(text, "text")


def _variable(problems: Problems, tree: Node) -> Expression | None:
    name, path_tree = tree.children
    assert isinstance(name, Token)
    if name in LATER_VARIABLES:
        problems.not_yet(
            tree, f"Traits such as {problems.text(tree)}", "This version reads the event: $event.<name>"
        )
        return None
    if name != "$event":
        plain = name.removeprefix("$")
        near = nearest(str(name), ["$event"])
        hint = f"Did you mean {near}?" if near else f"A property of the event is written $event.{plain}"
        problems.report(name, "unknown_variable", f"{name} is not defined.", hint)
        return None
    path = _path(problems, path_tree)
    if path is None:
        return None
    if not path:
        problems.report(tree, "whole_event", "$event is the whole event.", "Write $event.<name>.")
        return None
    head = path[0]
    if head in EVENT_FIELDS:
        if len(path) > 1:
            problems.report(
                tree,
                "no_such_field",
                f"$event.{head} has nothing inside.",
                f"For a property named {head}: $event.properties.{'.'.join(path)}",
            )
            return None
        return Field(path, EVENT_FIELDS[head])
    if head in EVENT_OBJECTS:
        if len(path) == 1:
            problems.report(
                tree, "whole_object", f"$event.{head} is a whole object.", f"Write $event.{head}.<name>."
            )
            return None
        return Field(path, "any")
    return Field(("properties", *path), "any")


def _path(problems: Problems, tree: Node | Token | None) -> tuple[str, ...] | None:
    if not isinstance(tree, Tree):
        return ()
    names: list[str | None] = []
    for token in tree.children:
        assert isinstance(token, Token)
        if token.type != "STRING":
            names.append(str(token))
            continue
        start, _ = problems.span(token)
        name = unescape(problems.source, start + 1, token[1:-1])
        if isinstance(name, RuleError):
            problems.found.append(name)
            names.append(None)
        else:
            names.append(name)
    return None if None in names else tuple(name for name in names if name is not None)


def _refuse_function(problems: Problems, tree: Node) -> None:
    name = tree.children[0]
    assert isinstance(name, Token)
    plain = name.removeprefix("#")
    if plain in LATER_FUNCTIONS:
        problems.not_yet(
            tree,
            f"Functions over a user's history such as {name}",
            "This version looks at one event: $event.<name>",
        )
        return
    near = nearest(plain, LATER_FUNCTIONS)
    problems.report(
        name,
        "unknown_function",
        f"There is no function {name}.",
        f"Did you mean #{near}? It comes with a later version." if near else "See the list in docs/rules.md.",
    )
