"""From the characters of one declaration to its tree, or to what the grammar found wrong with it."""

import re
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rule_engine.errors import RuleError
from rule_engine.source import Chunk, Source
from rule_engine.vocabulary import (
    ACTIONS,
    DECLARATIONS,
    LATER_ACTIONS,
    LATER_DECLARATIONS,
    LATER_OPTIONS,
    nearest,
)

Node: TypeAlias = Tree[Token]

MAX_DECLARATION_CHARACTERS = 16_384
MAX_DEPTH = 64

_NAMES = {
    "NAME": "a name",
    "FIELD": "a name",
    "STRING": 'a text in "quotes"',
    "NUMBER": "a number",
    "VAR": "a value such as $event.amount",
    "FUNC": "a function",
    "DURATION": "a duration such as 2d",
    "TIME": "a time such as 09:00",
    "CMP": "a comparison such as ==",
    "MODE": "live, shadow or off",
    "HIST": "ignore, count or fire",
    "SCHEDULE": "hour, day, week or month",
}
_OTHER_SIGNS = {
    "&": "Write and.",
    "|": "Write or.",
    "!": "Write not, or != between two values.",
    "<>": "Write !=.",
    "'": 'Texts stand in double quotes: "…".',
    "’": 'Texts stand in double quotes: "…".',
    "“": 'Use straight quotes: "…".',
    "”": 'Use straight quotes: "…".',
    "//": "Comments begin with --.",
    "/*": "Comments begin with -- and end with the line.",
    "# ": "Comments begin with --.",
    ";": "Nothing stands between two parts of a rule; leave the semicolon out.",
    '"': 'The text is not closed: its " is missing on this line.',
}
_WORD = re.compile(r"[A-Za-z_]\w*")
_VALUE = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\d$#\[][^\s,)]*')
_UNQUOTED = re.compile(r"(?:(?!(?:where|if|do)\b)[A-Za-z_]\w*[ \t]*)+")
_AFTER_TOKENS = (UnexpectedToken, UnexpectedCharacters)


@cache
def grammar() -> Lark:
    """The parser of one declaration, built at first use."""
    text = (files("rule_engine") / "rules.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", start="declaration", propagate_positions=True)


def parse(source: Source, chunk: Chunk) -> Node | RuleError:
    """The tree of a declaration, positions relative to the chunk; or the first place that does not fit."""
    if len(chunk.text) > MAX_DECLARATION_CHARACTERS:
        return source.error(
            chunk.start,
            chunk.start + 1,
            "too_long",
            f"One declaration has at most {MAX_DECLARATION_CHARACTERS:,} characters.",
            "Split the rule in two.",
        )
    word = _WORD.match(chunk.text)
    keywords = (*DECLARATIONS, *LATER_DECLARATIONS)
    if word is None or word.group() not in keywords:
        near = nearest(word.group(), keywords) if word else None
        return source.error(
            chunk.start,
            chunk.start + (word.end() if word else 1),
            "not_a_declaration",
            f"{word.group() if word else chunk.text[0]} begins no declaration.",
            f"Did you mean {near}?"
            if near
            else 'A rule is written: rule "title" { on signed_up do dashboard(note: "…") }',
        )
    try:
        tree = grammar().parse(chunk.text)
    except UnexpectedInput as error:
        return _explain(source, chunk, error)
    return tree if _depth(tree) <= MAX_DEPTH else _too_deep(source, chunk)


def _depth(tree: Node) -> int:
    deepest = 0
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in node.children if isinstance(child, Tree)]
    return deepest


def _too_deep(source: Source, chunk: Chunk) -> RuleError:
    return source.error(
        chunk.start,
        chunk.start + len(chunk.text),
        "too_deep",
        f"The declaration nests deeper than {MAX_DEPTH} levels.",
        "Join conditions with and and or on one level.",
    )


def _explain(source: Source, chunk: Chunk, error: UnexpectedInput) -> RuleError:
    accepted: frozenset[str] = frozenset(error.interactive_parser.accepts())  # type: ignore[no-untyped-call]
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return _unfinished(source, chunk, accepted)
    place = error.pos_in_stream or 0  # type: ignore[redundant-expr]  # None for $END, says lark's code
    rest = chunk.text[place:]
    found = str(error.token) if isinstance(error, UnexpectedToken) else _sign(rest)
    before = error.token_history[-1] if isinstance(error, _AFTER_TOKENS) and error.token_history else None
    message, hint = _advice(found, rest, before, accepted)
    start = chunk.start + place
    return source.error(start, start + len(found), "unexpected", message, hint)


def _sign(rest: str) -> str:
    if word := _WORD.match(rest):
        return word.group()
    return next((sign for sign in ("&&", "||", "<>", "//", "/*") if rest.startswith(sign)), rest[:1])


def _advice(found: str, rest: str, before: Token | None, expected: frozenset[str]) -> tuple[str, str | None]:
    """(message, hint) about `found`, with which `rest` begins, after the token `before`."""
    words = {_keyword(name) for name in expected} - {"", *LATER_OPTIONS}
    message = f"{found} does not fit here; expected {_expected(expected)}."
    if found == "=" and "CMP" in expected:
        return "= does not compare.", "Use == to compare."
    if before is not None and (quoting := _quoting(found, rest, before, expected, words)):
        return quoting
    if before is not None and before.type == "NAME" and "COLON" in expected and (value := _VALUE.match(rest)):
        return f"After {before} a colon is missing.", f"Write {before}: {value.group()}"
    if found in {*ACTIONS, *LATER_ACTIONS} and "DO" in expected:
        return message, f"Write do before the actions: do {found}(…)"
    is_word = _WORD.match(found) is not None
    if is_word and (near := nearest(found, words)):
        case = " Words of the language are written in small letters." if found.lower() == near else ""
        return message, f"Did you mean {near}?{case}"
    for sign, hint in _OTHER_SIGNS.items():
        if rest.startswith(sign):
            return message, hint
    if is_word and "VAR" in expected:
        return message, f'Write $event.{found} for a property of the event, or "{found}" for a text.'
    return message, None


def _quoting(
    found: str, rest: str, before: Token, expected: frozenset[str], words: set[str]
) -> tuple[str, str] | None:
    """The advice to quote an event's name: it has a capital, or a second word."""
    name = _UNQUOTED.match(rest)
    if name is None:
        return None
    if before.type == "ON":
        return (
            f"{found} is no plain event name.",
            f'Names with spaces or capitals are quoted: on "{name.group().strip()}"',
        )
    if before.type == "NAME" and {"DOT", "DO"} <= expected and nearest(found, words) is None:
        return (
            f"{found} does not fit after the event {before}.",
            f'A name with a space is quoted: on "{before} {name.group().strip()}"',
        )
    return None


def _unfinished(source: Source, chunk: Chunk, expected: frozenset[str]) -> RuleError:
    end = chunk.start + len(chunk.text)
    closing = {"RBRACE": "}", "RPAR": ")", "RSQB": "]"}
    missing = next((sign for name, sign in closing.items() if name in expected), None)
    if missing:
        message, hint = f"The declaration ends before its closing {missing}.", f"Write {missing} at its end."
    else:
        message, hint = "The declaration ends too early.", f"Write {_expected(expected)} next."
    return source.error(end - 1, end, "unfinished", message, hint)


def _keyword(terminal: str) -> str:
    if terminal == "$END":
        return ""
    pattern = grammar().get_terminal(terminal).pattern
    return pattern.value if pattern.type == "str" else ""


def _expected(terminals: frozenset[str]) -> str:
    """The accepted words and signs for a sentence, at most six."""
    if {"VAR", "NUMBER", "STRING"} <= terminals:
        return "a value such as $event.amount"
    names = {_NAMES.get(name) or _keyword(name) for name in terminals} - {"", *LATER_OPTIONS}
    if "CMP" in terminals:
        names -= {"+", "-", "*", "/", "??", "."}
    ordered = sorted(names, key=lambda name: (not name.startswith("a comparison"), name))
    if not ordered:
        return "nothing more"
    if len(ordered) > 6:
        return ", ".join(ordered[:6]) + " or another word"
    return " or ".join(filter(None, (", ".join(ordered[:-1]), ordered[-1])))
