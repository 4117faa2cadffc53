"""Projects, keys, stream tokens, login and versioned settings."""

from access.cache import Access, open_access
from access.errors import AccessError, AccessUnavailable, InvalidValue, NameTaken, TooManyKeys, UnknownProject
from access.model import KeyKind, Principal, Project, ProjectSettings, Session
from access.project_settings import is_trial_action

__all__ = [
    "Access",
    "AccessError",
    "AccessUnavailable",
    "InvalidValue",
    "KeyKind",
    "NameTaken",
    "Principal",
    "Project",
    "ProjectSettings",
    "Session",
    "TooManyKeys",
    "UnknownProject",
    "is_trial_action",
    "open_access",
]
