"""What access knows: projects with their settings, and who is asking."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from eventmodel import ProjectId
from policy import DEFAULT_RULES, Plan, PrivacyRules

KeyKind: TypeAlias = Literal["write", "secret"]

DEFAULT_TRIAL_ACTIONS: tuple[str, ...] = (
    "signed up",
    "sign up",
    "user signed up",
    "trial started",
    "started trial",
    "start trial",
    "trial signup",
    "account created",
    "created account",
    "create account",
)


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """What a project may decide. `version` rises with every change of the other fields.

    `time_zone` is an IANA name: where the project's days begin. `trial_actions` are the actions that count
    as a trial sign-up; compare through `project_settings.is_trial_action`. `demo` says that the project's data
    is made up; it is settled when the project is made. `privacy` is what admission keeps of whom.
    """

    time_zone: str = "UTC"
    trial_actions: tuple[str, ...] = DEFAULT_TRIAL_ACTIONS
    demo: bool = False
    version: int = 1
    privacy: PrivacyRules = DEFAULT_RULES


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A tracking plan under its number, which rises by one with every plan that is applied."""

    version: int
    plan: Plan
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant. The id never changes and is never used again; the name is a label.

    `hash_key` is the secret of its pseudonyms. `plan` is the newest tracking plan.
    """

    id: ProjectId
    name: str
    settings: ProjectSettings
    hash_key: bytes = field(default=b"", repr=False)
    plan: StoredPlan | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, for one project.

    `account` and `user` are what a stream token is restricted to. `key_id` is the public id of the key; for
    a token that of the key or session it was issued with, for a session its own.
    """

    project: ProjectId
    kind: Literal["write", "secret", "token", "session"]
    key_id: str | None
    account: str | None = None
    user: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A person who logged in with a link. `projects` is None for every project, also those made later."""

    id: str
    projects: frozenset[ProjectId] | None
    expires_at: datetime

    def may_see(self, project: ProjectId) -> bool:
        """Whether the project is one of the session's; it may be deleted all the same."""
        return self.projects is None or project in self.projects
