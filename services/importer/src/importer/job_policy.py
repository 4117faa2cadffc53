"""What of a project decides about its imported events, as a job carries it."""

from typing import Any

from access.model import Project


def policy_of(project: Project | None) -> dict[str, Any]:
    """The fields of a Job that make the project's policy; none for a project that is unknown here."""
    if project is None:
        return {}
    return {
        "privacy": project.settings.privacy,
        "hash_key": project.hash_key,
        "tracking_plan": None if project.plan is None else project.plan.plan,
    }
