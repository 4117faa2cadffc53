"""A project's privacy rules as they are stored and shown, and what they may hold."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

IpRule: TypeAlias = Literal["keep", "truncate", "drop"]
Consent: TypeAlias = Literal["off", "required"]

MAX_PATHS: Final = 100
MAX_PATH_CHARS: Final = 200
MAX_CATEGORIES: Final = 20
ROOTS: Final = ("properties", "traits", "context")
ANYWHERE: Final = "**"


class PrivacyRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of whom.

    `redact` and `hash` are paths such as `properties.card.number`, or `**.password` for a name at any depth.
    `consent_categories` must all be granted where `consent` is required. `opt_out_signals` says that the
    headers Sec-GPC and DNT refuse an event.
    """

    ip: IpRule = "truncate"
    redact: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    consent: Consent = "off"
    consent_categories: tuple[str, ...] = ("analytics",)
    opt_out_signals: bool = False


DEFAULT_RULES: Final = PrivacyRules()


class RuleInvalid(ValueError):
    """A rule is none; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_rules(rules: PrivacyRules) -> PrivacyRules:
    """The rules, each path once; raises RuleInvalid."""
    categories = tuple(dict.fromkeys(rules.consent_categories))
    if len(categories) > MAX_CATEGORIES or not all(0 < len(name) <= MAX_PATH_CHARS for name in categories):
        raise RuleInvalid(
            "consent_categories",
            f"consent_categories takes at most {MAX_CATEGORIES} names of up to {MAX_PATH_CHARS} characters.",
        )
    if not categories:
        raise RuleInvalid("consent_categories", "Name at least one category that must be granted.")
    return msgspec.structs.replace(
        rules,
        redact=_checked("redact", rules.redact),
        hash=_checked("hash", rules.hash),
        consent_categories=categories,
    )


def steps_of(path: str) -> tuple[str, ...]:
    """The names of a path from the root on, as they are compared: without case."""
    return tuple(path.casefold().split("."))


def _checked(field: str, paths: Sequence[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(path.strip() for path in paths))
    if len(kept) > MAX_PATHS:
        raise RuleInvalid(field, f"{field} takes at most {MAX_PATHS} paths.")
    for path in kept:
        root, *names = steps_of(path)
        rooted = root in ROOTS or (root == ANYWHERE and len(names) == 1)
        named = bool(names) and all(names) and "*" not in "".join(names) and path.isprintable()
        if not rooted or not named or len(path) > MAX_PATH_CHARS:
            raise RuleInvalid(
                field,
                f"{path[:60]!r} is no path. Write properties.NAME, traits.NAME or context.NAME, with more names "
                f"after dots, or **.NAME for a name at any depth; at most {MAX_PATH_CHARS} characters. Ids such as "
                "user and account cannot be redacted: send a pseudonymous id instead.",
            )
    return kept
