"""`/v1/projects` and `/v1/logins`: projects, their settings, their keys, and links to log in with."""

from contextlib import suppress
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from access.cache import Access
from access.errors import AccessUnavailable
from access.key_rows import KeyEntry
from access.keys import is_id
from access.logins import DEFAULT_LINK_S, Logins
from access.model import Session
from access.projects import ProjectEntry, Projects
from eventmodel import ProjectId
from lifecycle.errors import Problem
from policy import Consent, IpRule, PrivacyRules
from stream_gateway.principals import Administrators, Authority, as_problems, require_sees, sees


class NewProject(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    demo: bool = False


class CreatedProject(BaseModel):
    """The secret key is shown this once."""

    project: str
    name: str
    write_key: str
    secret_key: str


class PrivacyChange(BaseModel):
    """What is absent or null stays as it is."""

    model_config = ConfigDict(extra="forbid")

    ip: IpRule | None = None
    redact: list[str] | None = None
    hash: list[str] | None = None
    consent: Consent | None = None
    consent_categories: list[str] | None = None
    opt_out_signals: bool | None = None


class PrivacyView(BaseModel):
    """See docs/privacy.md."""

    ip: IpRule
    redact: list[str]
    hash: list[str]
    consent: Consent
    consent_categories: list[str]
    opt_out_signals: bool

    @classmethod
    def of(cls, rules: PrivacyRules) -> "PrivacyView":
        return cls.model_validate(rules, from_attributes=True)


class ProjectChange(BaseModel):
    """What is absent or null stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    time_zone: str | None = None
    trial_actions: list[str] | None = None
    privacy: PrivacyChange | None = None


class ProjectView(BaseModel):
    project: str
    name: str
    created_at: datetime
    demo: bool
    time_zone: str
    trial_actions: list[str]
    privacy: PrivacyView
    settings_version: int

    @classmethod
    def of(cls, entry: ProjectEntry) -> "ProjectView":
        settings = entry.project.settings
        return cls(
            project=entry.project.id,
            name=entry.project.name,
            created_at=entry.created_at,
            demo=settings.demo,
            time_zone=settings.time_zone,
            trial_actions=list(settings.trial_actions),
            privacy=PrivacyView.of(settings.privacy),
            settings_version=settings.version,
        )


class ProjectList(BaseModel):
    items: list[ProjectView]


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["write", "secret"]
    label: str = ""


class KeyView(BaseModel):
    id: str
    kind: Literal["write", "secret"]
    label: str
    last_four: str
    created_at: datetime
    revoked_at: datetime | None
    key: str | None
    """A write key's text; null for a secret key, and for a write key made before its text was kept."""

    @classmethod
    def of(cls, entry: KeyEntry) -> "KeyView":
        return cls.model_validate(entry, from_attributes=True)


class CreatedKeyView(KeyView):
    """A secret key's text is shown this once."""

    key: str


class KeyList(BaseModel):
    items: list[KeyView]


class NewLogin(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: str | None = None
    expires_in_s: int = DEFAULT_LINK_S


class LoginView(BaseModel):
    """`path` is the link without scheme and host, which the caller knows better; it works once."""

    path: str
    expires_at: datetime


def router(projects: Projects, logins: Logins, access: Access, administrators: Administrators) -> APIRouter:
    """The routes. Their answers show what was just written; other processes follow within a second."""
    routes = APIRouter()

    @routes.post("/v1/projects", status_code=201)
    async def create_project(request: Request, response: Response, wanted: NewProject) -> CreatedProject:
        """A project with its first two keys; the secret key is shown this once."""
        await administrators.admin(request)
        with as_problems():
            created = await projects.create(wanted.name, demo=wanted.demo)
        await _follow(access)
        _keep_private(response)
        return CreatedProject(
            project=created.project,
            name=wanted.name.strip(),
            write_key=created.write_key,
            secret_key=created.secret_key,
        )

    @routes.get("/v1/projects")
    async def list_projects(request: Request) -> ProjectList:
        """The projects one may see."""
        authority = await administrators.authority(request)
        entries = await projects.list()
        return ProjectList(
            items=[ProjectView.of(entry) for entry in entries if sees(authority, entry.project.id)]
        )

    @routes.get("/v1/projects/{project}")
    async def get_project(request: Request, project: str) -> ProjectView:
        """One project and its settings."""
        own = await administrators.over(request, project)
        with as_problems():
            return ProjectView.of(await projects.get(own))

    @routes.patch("/v1/projects/{project}")
    async def change_project(request: Request, project: str, change: ProjectChange) -> ProjectView:
        """Change what is given; the rows that depend on it are made again in the background."""
        own = await administrators.over(request, project)
        with as_problems():
            entry = await projects.change(
                own,
                name=change.name,
                time_zone=change.time_zone,
                trial_actions=change.trial_actions,
                privacy={} if change.privacy is None else change.privacy.model_dump(exclude_none=True),
            )
        await _follow(access)
        return ProjectView.of(entry)

    @routes.delete("/v1/projects/{project}", status_code=204)
    async def delete_project(request: Request, project: str) -> None:
        """Delete it: its keys stop within seconds, its data goes in the background."""
        own = await administrators.over(request, project)
        await administrators.admin(request)
        with as_problems():
            await projects.delete(own)
        await _follow(access)

    @routes.get("/v1/projects/{project}/keys")
    async def list_keys(request: Request, project: str) -> KeyList:
        """The keys of a project, also revoked ones."""
        own = await administrators.over(request, project)
        with as_problems():
            return KeyList(items=[KeyView.of(key) for key in await projects.keys(own)])

    @routes.post("/v1/projects/{project}/keys", status_code=201)
    async def create_key(
        request: Request, response: Response, project: str, wanted: NewKey
    ) -> CreatedKeyView:
        """One more key; the text of a secret one is shown this once."""
        own = await administrators.over(request, project)
        with as_problems():
            created = await projects.create_key(own, wanted.kind, wanted.label)
        await _follow(access)
        _keep_private(response)
        return CreatedKeyView(**KeyView.of(created.entry).model_dump(exclude={"key"}), key=created.key)

    @routes.delete("/v1/projects/{project}/keys/{key_id}", status_code=204)
    async def revoke_key(request: Request, project: str, key_id: str) -> None:
        """Revoke a key: it stops within seconds, its tokens and their streams with it."""
        own = await administrators.over(request, project)
        with as_problems():
            found = is_id("key", key_id) and await projects.revoke_key(own, key_id)
        if not found:
            raise Problem(404, "unknown_key", f"The project has no key {key_id[:60]}.", field="key_id")
        await _follow(access)

    @routes.post("/v1/logins", status_code=201)
    async def create_login(request: Request, response: Response, wanted: NewLogin | None = None) -> LoginView:
        """A link that logs a browser in, once."""
        project = _project_of_link(await administrators.authority(request), wanted or NewLogin())
        with as_problems():
            link = await logins.create_link(project, (wanted or NewLogin()).expires_in_s)
        _keep_private(response)
        return LoginView(path=f"/login?token={link.token}", expires_at=link.expires_at)

    return routes


def _project_of_link(authority: Authority, wanted: NewLogin) -> ProjectId | None:
    if isinstance(authority, Session):
        raise Problem(
            403, "key_needed", "A login may not invite others. Use a secret key or the admin token."
        )
    if wanted.project is None:
        return None if authority == "admin" else authority.project
    require_sees(authority, wanted.project)
    return ProjectId(wanted.project)


async def _follow(access: Access) -> None:
    # The change holds already; without the database this process follows like the others, when it is back.
    with suppress(AccessUnavailable):
        await access.refresh()


def _keep_private(response: Response) -> None:
    response.headers["cache-control"] = "no-store"
