"""When two spellings are the same action."""

import re
from functools import lru_cache

_SEPARATORS = re.compile(r"[\s_-]+")


@lru_cache(maxsize=10_000)
def fold_action(action: str) -> str:
    """The action as it is compared: without case, spaces, underscores and hyphens."""
    return _SEPARATORS.sub("", action.casefold())
