"""Which of the groups an event names is the customer: vendors let senders choose the names of group keys."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ingest_api.protocols.payload import text_of

GROUP_KEYS: Final = (
    "account",
    "company",
    "organization",
    "organisation",
    "org",
    "customer",
    "tenant",
    "workspace",
    "team",
    "group",
)
"""Names of groups that are accounts, the first of several counts; case, separators and an `id` do not matter."""

_NO_ACCOUNT: Final = 2 * len(GROUP_KEYS)
_MAX_NAME_CHARS: Final = 32


def is_account(group_key: str) -> bool:
    """Whether groups of this key are accounts."""
    return _rank(group_key) < _NO_ACCOUNT


def account_of(groups: Mapping[str, Any]) -> str | None:
    """The account's id among values by group key; of a list the first value counts."""
    best, found = _NO_ACCOUNT, None
    for name, value in groups.items():
        rank = _rank(name)
        if rank < best:
            account = text_of(value[0] if isinstance(value, list) and value else value)
            if account is not None:
                best, found = rank, account
    return found


@lru_cache(maxsize=4_096)
def _rank(name: str) -> int:
    if len(name) > _MAX_NAME_CHARS:
        return _NO_ACCOUNT
    folded = name.lower().replace("_", "").replace("-", "").replace(" ", "")
    plain = folded.removesuffix("id")
    # An id says more exactly who it is than what may be a display name.
    return 2 * GROUP_KEYS.index(plain) + (plain == folded) if plain in GROUP_KEYS else _NO_ACCOUNT
