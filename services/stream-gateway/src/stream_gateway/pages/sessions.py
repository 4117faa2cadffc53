"""What a logged-in person may see: `/v1/session`, and which project opens first."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.database import Pool, connected
from access.model import Project, Session
from access.requests import admit_session, explicit_credential, unauthenticated
from eventmodel import ProjectId
from stream_gateway.reads.answers import answer

_WITH_EVENTS = """
select asked.project from unnest($1::text[]) with ordinality as asked (project, place)
where exists (select from gateway.history where history.project = asked.project)
order by asked.place limit 1
"""


class Sessions:
    """Every method raises AccessUnavailable; `visible` only where nothing was ever read."""

    def __init__(self, pool: Pool, access: Access) -> None:
        self._pool = pool
        self._access = access

    def visible(self, session: Session | None) -> list[Project]:
        """The live projects of the session, oldest first; all of them for None."""
        return [
            project for project in self._access.projects() if session is None or session.may_see(project.id)
        ]

    async def first(self, session: Session | None) -> ProjectId | None:
        """The project to open for who names none; None where there is none to see.

        The oldest that is no demo and holds an event; until there is one the demo, or else the oldest.
        """
        visible = self.visible(session)
        own = [project.id for project in visible if not project.settings.demo]
        async with connected(self._pool) as connection:
            found: ProjectId | None = await connection.fetchval(_WITH_EVENTS, own)
        if found is not None:
            return found
        demos = (project.id for project in visible if project.settings.demo)
        return next(demos, own[0] if own else None)


def session_routes(sessions: Sessions, access: Access) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.get("/v1/session")
    async def session(request: Request) -> Response:
        """The projects that the login of the request's cookie shows, oldest first, and when it ends."""
        if explicit_credential(request) is not None:
            raise unauthenticated(
                "This tells of a login, and the request carries a key or a token.",
                hint="Ask with the login's cookie alone. A key's project: GET /v1/projects.",
            )
        admitted = await admit_session(access, request)
        return answer(
            {
                "projects": [
                    {
                        "project": project.id,
                        "name": project.name,
                        "demo": project.settings.demo,
                        "time_zone": project.settings.time_zone,
                    }
                    for project in sessions.visible(admitted)
                ],
                "expires_at": admitted.expires_at,
            }
        )

    return routes
