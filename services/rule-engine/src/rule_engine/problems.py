"""Collects what is wrong with one declaration, at the places of its tree."""

from lark import Token

from rule_engine.errors import RuleError
from rule_engine.source import Chunk, Source
from rule_engine.syntax import Node


class Problems:
    """The mistakes found so far in the declaration of `chunk`."""

    def __init__(self, source: Source, chunk: Chunk) -> None:
        self.source = source
        self.chunk = chunk
        self.found: list[RuleError] = []

    def report(self, at: Node | Token, code: str, message: str, hint: str | None = None) -> None:
        start, end = self.span(at)
        self.found.append(self.source.error(start, end, code, message, hint))

    def not_yet(self, at: Node | Token, what: str, hint: str | None = None) -> None:
        """`what` is a sentence's beginning in the plural: "Segments"."""
        self.report(at, "not_yet", f"{what} come with a later version of the rule language.", hint)

    def span(self, at: Node | Token) -> tuple[int, int]:
        """The place of a node in the source; of a node without any token, the whole declaration."""
        where = at if isinstance(at, Token) else at.meta
        if isinstance(at, Token) or not at.meta.empty:
            assert where.start_pos is not None
            assert where.end_pos is not None
            return self.chunk.start + where.start_pos, self.chunk.start + where.end_pos
        return self.chunk.start, self.chunk.start + len(self.chunk.text)

    def text(self, at: Node | Token) -> str:
        """The characters of a node as they were written."""
        start, end = self.span(at)
        return self.source.text[start:end]
