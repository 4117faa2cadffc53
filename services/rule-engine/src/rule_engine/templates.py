"""Texts with values of the event in them: `"order of {{ event.amount }} by {{ user }}"`."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from eventmodel import Event
from rule_engine.errors import RuleError
from rule_engine.evaluation import Evaluator, Value, compile_field
from rule_engine.source import Source
from rule_engine.vocabulary import EVENT_FIELDS, EVENT_OBJECTS, NOTE_VALUES, nearest

MAX_NOTE_CHARACTERS = 2_000

_HOLE = re.compile(r"\{\{(.*?)\}\}|\{\{|\}\}")
_PATH = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*", re.ASCII)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}

Piece: TypeAlias = str | tuple[str, ...]
"""A literal text, or the path of a value."""


@dataclass(frozen=True, slots=True)
class Template:
    """A checked text. `{{ user }}` and the like are paths that begin with a word of NOTE_VALUES."""

    pieces: tuple[Piece, ...]


def unescape(source: Source, start: int, raw: str) -> str | RuleError:
    """The characters that stand for `raw`, a quoted text without its quotes, found at `start`."""
    for match in _ESCAPE.finditer(raw):
        if match.group(1) not in _ESCAPED:
            place = start + match.start()
            return source.error(
                place,
                place + 2,
                "unknown_escape",
                f"{match.group()} has no meaning in a text.",
                'Write \\" for a quote, \\\\ for a backslash, \\n for a line break, \\t for a tab.',
            )
    return _ESCAPE.sub(lambda match: _ESCAPED[match.group(1)], raw)


def read_template(source: Source, start: int, raw: str) -> Template | Sequence[RuleError]:
    """The template of `raw`, a quoted text without its quotes, found at `start`; or all its mistakes."""
    errors: list[RuleError] = []
    pieces: list[Piece] = []
    done = 0

    def literal(until: int) -> None:
        text = unescape(source, start + done, raw[done:until])
        if isinstance(text, RuleError):
            errors.append(text)
        elif text:
            pieces.append(text)

    for match in _HOLE.finditer(raw):
        literal(match.start())
        done = match.end()
        path = _read_path(source, start + match.start(), match)
        if isinstance(path, RuleError):
            errors.append(path)
        else:
            pieces.append(path)
    literal(len(raw))
    return errors or Template(tuple(pieces))


def _read_path(source: Source, start: int, match: re.Match[str]) -> tuple[str, ...] | RuleError:
    end = start + len(match.group())
    if match.group(1) is None:
        return source.error(
            start,
            end,
            "unclosed_value",
            "{{ and }} must stand in pairs in one text.",
            "Write {{ event.amount }} with both braces on both sides.",
        )
    read = _PATH.fullmatch(match.group(1))
    if read is None:
        return source.error(
            start,
            end,
            "unreadable_value",
            "Between {{ and }} stands one name, such as event.amount.",
            "Calculations in texts come with a later version; use {{ event.<name> }} or {{ user }}.",
        )
    path = tuple(read.group(1).split("."))
    wrong = _wrong_path(path)
    return source.error(start, end, "unknown_value", *wrong) if wrong else path


def _wrong_path(path: tuple[str, ...]) -> tuple[str, str] | None:
    head, rest = path[0], path[1:]
    if head not in NOTE_VALUES:
        near = nearest(head, NOTE_VALUES)
        hint = f"Did you mean {near}?" if near else f"A text can hold {', '.join(NOTE_VALUES)}."
        return f"{{{{ {'.'.join(path)} }}}} names no value.", hint
    if head == "event" and not rest:
        return "{{ event }} is the whole event.", "Write {{ event.<name> }} for one value of it."
    if head == "event" and rest[0] in EVENT_FIELDS and len(rest) > 1:
        return f"event.{rest[0]} has nothing inside.", f"Write {{{{ event.{rest[0]} }}}}."
    if head == "event" and rest[0] in EVENT_OBJECTS and len(rest) == 1:
        return f"event.{rest[0]} is a whole object.", f"Write {{{{ event.{rest[0]}.<name> }}}}."
    if head != "event" and rest:
        return (
            f"Traits such as {'.'.join(path)} come with a later version.",
            f"Write {{{{ {head} }}}} for the id.",
        )
    return None


Renderer: TypeAlias = Callable[[Event], str]


def compile_template(template: Template, rule: str) -> Renderer:
    """The closure that renders plain text: cut at MAX_NOTE_CHARACTERS, unknown values left out."""
    pieces = [piece if isinstance(piece, str) else _reader(piece, rule) for piece in template.pieces]

    def render(event: Event) -> str:
        text = "".join(piece if isinstance(piece, str) else show(piece(event)) for piece in pieces)
        # PostgreSQL stores no NUL character in a text.
        text = text.replace("\0", "")
        return text if len(text) <= MAX_NOTE_CHARACTERS else text[: MAX_NOTE_CHARACTERS - 1] + "…"

    return render


def _reader(path: tuple[str, ...], rule: str) -> Evaluator:
    if path == ("rule",):
        return lambda event: rule
    if path[0] != "event":
        return compile_field(path)
    rest = path[1:]
    own = rest[0] in EVENT_FIELDS or rest[0] in EVENT_OBJECTS
    return compile_field(rest if own else ("properties", *rest))


def show(value: Value) -> str:
    """A value as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime():
            return value.isoformat(timespec="seconds").replace("+00:00", "Z")
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(item, str | int | float) for item in value):
            return ", ".join(show(item) for item in value)
        case _:
            return json.dumps(value, ensure_ascii=False)
