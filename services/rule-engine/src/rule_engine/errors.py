"""What is wrong with a rule, in words its author can act on."""

import msgspec


class RuleError(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake at one place.

    `line` and `column` count from 1, `length` is at least 1, all in characters; the place never runs past
    the end of its line. `code` is stable, `message` a sentence, `hint` what to write instead.
    """

    line: int
    column: int
    length: int
    code: str
    message: str
    hint: str | None = None
