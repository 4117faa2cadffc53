"""The text of rules: places in it, and where one declaration ends and the next begins."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rule_engine.errors import RuleError
from rule_engine.vocabulary import DECLARATIONS, LATER_DECLARATIONS

_KEYWORDS = frozenset((*DECLARATIONS, *LATER_DECLARATIONS))
_NAMING = _KEYWORDS | {"per"}
"""Words after which a name follows, which may look like a keyword."""

_LEXEME = re.compile(
    r'(?P<skip>--[^\n]*|"(?:[^"\\\n]|\\.)*"|[$#.][A-Za-z_]\w*)|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<word>[A-Za-z_]\w*)'
)


class Source:
    """A text with places in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def error(self, start: int, end: int, code: str, message: str, hint: str | None = None) -> RuleError:
        """A RuleError about the characters from `start` to before `end`."""
        line = bisect_right(self._line_starts, start)
        line_start = self._line_starts[line - 1]
        line_end = self.text.find("\n", start)
        end = min(end, len(self.text) if line_end < 0 else line_end)
        return RuleError(
            line=line,
            column=start - line_start + 1,
            length=max(1, end - start),
            code=code,
            message=message,
            hint=hint,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One declaration's characters, comments before it left out; `start` is its place in the source."""

    start: int
    text: str


def split(source: Source) -> Sequence[Chunk]:
    """One chunk per declaration, in order; what stands before the first keyword is a chunk of its own.

    A declaration begins at its keyword outside all brackets, or in the first column whatever is still
    open: so a forgotten bracket spoils one declaration and not all that follow.
    """
    text = source.text
    cuts: list[int] = []
    depth = 0
    before = ""
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif kind == "word":
            word = match.group()
            in_first_column = match.start() == 0 or text[match.start() - 1] == "\n"
            if word in _KEYWORDS and before not in _NAMING and (depth == 0 or in_first_column):
                cuts.append(match.start())
                depth = 0
            before = word
            continue
        if not match.group().startswith("--"):
            before = ""
    bounds = [0, *cuts, len(text)]
    chunks = (_trimmed(text, start, end) for start, end in pairwise(bounds))
    return [chunk for chunk in chunks if chunk.text]


_LEADING = re.compile(r"(?:\s+|--[^\n]*)*")


def _trimmed(text: str, start: int, end: int) -> Chunk:
    leading = _LEADING.match(text, start, end)
    begin = leading.end() if leading else start
    return Chunk(begin, text[begin:end].rstrip())
