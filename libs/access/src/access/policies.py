"""The compiled policies of a process's projects."""

from collections.abc import Container

from access.model import Project
from eventmodel import ProjectId
from policy import PlanInvalid, Policy, compile_policy
from telemetry.logs import get_logger

_log = get_logger(__name__)


class Policies:
    """Compiles a project's policy when it is first asked for, and again when what it is made of has changed."""

    def __init__(self) -> None:
        self._held: dict[ProjectId, tuple[Project, Policy]] = {}

    def of(self, project: Project) -> Policy:
        """The policy of the project as it is now."""
        held = self._held.get(project.id)
        if held is not None and held[0] is project:
            return held[1]
        policy = held[1] if held is not None and _same(held[0], project) else _compiled(project)
        self._held[project.id] = (project, policy)
        return policy

    def forget_others(self, projects: Container[ProjectId]) -> None:
        """Let go of what is not among these."""
        for project in [project for project in self._held if project not in projects]:
            del self._held[project]


def _same(one: Project, other: Project) -> bool:
    return (
        one.settings.privacy == other.settings.privacy
        and one.plan is other.plan
        and one.hash_key == other.hash_key
    )


def _compiled(project: Project) -> Policy:
    rules, plan = project.settings.privacy, project.plan
    try:
        return compile_policy(rules, project.hash_key, None if plan is None else plan.plan)
    except PlanInvalid as error:
        # Applied under another release, which took it: the events still come in, unmeasured.
        _log.error(
            "a tracking plan cannot be used and measures nothing: apply it again",
            project=project.id,
            version=None if plan is None else plan.version,
            reason=str(error),
        )
        return compile_policy(rules, project.hash_key, None)
