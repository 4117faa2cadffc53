"""Texts that programs write where an id is missing: taken for an id, each would make one person of many."""

from typing import Final

_WORDS: Final = (
    *("null", "nil", "none", "undefined", "unknown", "n/a", "na", "nan"),
    *("<nil>", "<null>", "(null)", "(none)", "(not set)"),
    *("anon", "anonymous"),
    *("0", "-1", "true", "false"),
    *("[]", "{}", '""', "''", "[object object]"),
)
PLACEHOLDERS: Final = frozenset({*_WORDS, "00000000-0000-0000-0000-000000000000", "0" * 32})
"""In lower case, without space around them."""

LONGEST_WORD: Final = max(map(len, _WORDS))
"""In characters. What is longer is a UUID of zeros, or has space before it."""
SECOND_OF_LONGER: Final = frozenset("0 \t\r\n")
"""The second character of what is longer."""
