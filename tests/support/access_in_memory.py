"""An Access over what a test says, without a database."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from access.cache import Access
from access.errors import AccessUnavailable
from access.keys import digest, new_id
from access.model import KeyKind, Principal, Project, ProjectSettings
from access.snapshot import Snapshot
from eventmodel import ProjectId
from lifecycle.clock import Clock
from telemetry.metrics import Metrics


class MemoryStore:
    """A store in memory: `snapshot` is what is in the database, `away` makes every read fail."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot or Snapshot(version=1)
        self.away = False
        self.versions_read = 0
        self.snapshots_read = 0

    def add_project(self, name: str = "main", settings: ProjectSettings | None = None) -> Project:
        project = Project(ProjectId(new_id("project")), name, settings or ProjectSettings())
        self.put(replace(self.snapshot, projects={**self.snapshot.projects, project.id: project}))
        return project

    def add_key(self, project: ProjectId, key: str, kind: KeyKind) -> Principal:
        principal = Principal(project, kind, new_id("key"))
        self.put(replace(self.snapshot, keys={**self.snapshot.keys, digest(key): principal}))
        return principal

    def put(self, snapshot: Snapshot) -> None:
        """Replace everything, under the next version."""
        self.snapshot = replace(snapshot, version=self.snapshot.version + 1)

    async def version(self) -> int:
        self.versions_read += 1
        self._answer()
        return self.snapshot.version

    async def load(self, now: datetime) -> Snapshot:
        self.snapshots_read += 1
        self._answer()
        sessions = {key: value for key, value in self.snapshot.sessions.items() if value.expires_at > now}
        return replace(self.snapshot, sessions=sessions)

    def _answer(self) -> None:
        if self.away:
            raise AccessUnavailable("The database does not answer (as the test says).")


async def access_for(
    projects: Iterable[Project], keys: Iterable[tuple[str, Principal]], clock: Clock
) -> Access:
    """An Access that knows these projects and these keys' texts."""
    store = MemoryStore(
        Snapshot(
            version=1,
            projects={project.id: project for project in projects},
            keys={digest(key): principal for key, principal in keys},
        )
    )
    access = Access(store, clock, Metrics("test"))
    await access.refresh()
    return access
