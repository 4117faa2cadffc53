"""A project's settings: what they may hold, how they are stored, and which actions start a trial."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any
from zoneinfo import available_timezones

import msgspec

from access.errors import InvalidValue
from access.model import DEFAULT_TRIAL_ACTIONS, ProjectSettings
from eventmodel import fold_action
from policy import PrivacyRules, RuleInvalid, check_rules

MAX_TRIAL_ACTIONS = 100
MAX_ACTION_CHARS = 200

# Present in some systems' zone directories, but not a place on earth.
_NO_ZONES = frozenset({"localtime", "Factory"})


class _Stored(msgspec.Struct, omit_defaults=True):
    time_zone: str = "UTC"
    trial_actions: tuple[str, ...] = DEFAULT_TRIAL_ACTIONS
    demo: bool = False
    privacy: PrivacyRules | None = None


def is_trial_action(settings: ProjectSettings, action: str) -> bool:
    """Whether the action counts as a trial sign-up.

    Case, spaces, underscores and hyphens make no difference: "signed up", "Signed_Up", "signed-up" and
    "SignedUp" are the same action.
    """
    return fold_action(action) in _folded_all(settings.trial_actions)


def change_settings(
    settings: ProjectSettings,
    *,
    time_zone: str | None = None,
    trial_actions: Sequence[str] | None = None,
    privacy: Mapping[str, Any] | None = None,
) -> ProjectSettings:
    """The settings with what is given replaced, one version higher; the same object when nothing differs.

    Raises InvalidValue.
    """
    changed = settings
    if time_zone is not None:
        if time_zone not in _zones():
            raise InvalidValue(
                "time_zone",
                f"{time_zone[:60]!r} is not a time zone. Give an IANA name such as Europe/Berlin or UTC.",
            )
        changed = replace(changed, time_zone=time_zone)
    if trial_actions is not None:
        changed = replace(changed, trial_actions=_checked_actions(trial_actions))
    if privacy:
        rules = msgspec.structs.replace(
            changed.privacy,
            **{name: tuple(value) if isinstance(value, list) else value for name, value in privacy.items()},
        )
        try:
            changed = replace(changed, privacy=check_rules(rules))
        except RuleInvalid as error:
            raise InvalidValue(f"privacy.{error.field}", str(error)) from error
    return settings if changed == settings else replace(changed, version=settings.version + 1)


def encode_settings(settings: ProjectSettings) -> str:
    """JSON of what differs from the defaults, so that a better default reaches projects that set nothing."""
    return msgspec.json.encode(
        _Stored(
            time_zone=settings.time_zone,
            trial_actions=settings.trial_actions,
            demo=settings.demo,
            privacy=None if settings.privacy == PrivacyRules() else settings.privacy,
        )
    ).decode()


def decode_settings(stored: str, version: int) -> ProjectSettings:
    """The settings `encode_settings` wrote."""
    held = msgspec.json.decode(stored, type=_Stored)
    return ProjectSettings(
        held.time_zone, held.trial_actions, held.demo, version, held.privacy or PrivacyRules()
    )


def _checked_actions(actions: Sequence[str]) -> tuple[str, ...]:
    cleaned = tuple(dict.fromkeys(action.strip() for action in actions))
    if len(cleaned) > MAX_TRIAL_ACTIONS:
        raise InvalidValue("trial_actions", f"trial_actions takes at most {MAX_TRIAL_ACTIONS} actions.")
    for action in cleaned:
        if not fold_action(action) or len(action) > MAX_ACTION_CHARS or not action.isprintable():
            raise InvalidValue(
                "trial_actions",
                f"Each of trial_actions is the name of an action, 1 to {MAX_ACTION_CHARS} printable characters.",
            )
    return cleaned


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)


@lru_cache(maxsize=1_000)
def _folded_all(actions: tuple[str, ...]) -> frozenset[str]:
    return frozenset(fold_action(action) for action in actions)
