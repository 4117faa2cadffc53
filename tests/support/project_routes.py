"""The gateway's project, login, token and page routes on a real database, called without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI, Request
from pydantic import SecretStr

from access.cache import Access, open_access
from access.database import Pool
from access.issuing import TokenIssuer
from access.logins import Logins
from access.projects import Created, Projects
from access.requests import SESSION_COOKIE
from eventmodel import ProjectId
from fake_clock import FakeClock
from lifecycle.database import open_pool
from lifecycle.errors import install_errors
from stream_gateway.administration import projects, tokens
from stream_gateway.pages import login
from stream_gateway.pages.assets import asset_routes, load_assets
from stream_gateway.pages.notices import Notices
from stream_gateway.pages.sessions import Sessions, session_routes
from stream_gateway.pages.shell import page_routes
from stream_gateway.principals import Administrators, Readers
from stream_gateway.projection.history import ensure_months
from telemetry.metrics import Metrics

ADMIN_TOKEN = "admin-token-of-the-test"
ORIGIN = "http://footfall.test"


@dataclass
class Routes:
    app: FastAPI
    pool: Pool
    client: httpx.AsyncClient
    access: Access
    projects: Projects
    logins: Logins
    clock: FakeClock

    async def session(self, project: ProjectId | None) -> dict[str, str]:
        """The headers of a browser that logged in, on a page of ours."""
        opened = await self.logins.consume((await self.logins.create_link(project)).token)
        assert opened is not None
        return {"cookie": f"{SESSION_COOKIE}={opened.cookie}", "origin": ORIGIN}

    async def token(self, created: Created, **restriction: str) -> str:
        answer = await self.client.post("/v1/tokens", json=restriction, headers=bearer(created.secret_key))
        token = answer.json()["token"]
        assert isinstance(token, str)
        return token


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


ADMIN = bearer(ADMIN_TOKEN)


@asynccontextmanager
async def open_routes(url: str) -> AsyncIterator[Routes]:
    """The routes, and `GET` and `POST /probe` that answer who reads."""
    clock = FakeClock()
    async with open_pool(url) as pool, open_access(pool, clock, Metrics("test")) as access:
        async with pool.acquire() as connection:
            await ensure_months(connection, clock.now(), 1)
        written, logins = Projects(pool, clock), Logins(pool, clock)
        app = FastAPI(redirect_slashes=False)
        install_errors(app)
        readers = Readers(access)
        administrators = Administrators(access, SecretStr(ADMIN_TOKEN))
        app.include_router(projects.router(written, logins, access, administrators))
        app.include_router(tokens.router(TokenIssuer(pool, access, clock), access))
        assets = load_assets()
        notices, sessions = Notices(assets), Sessions(pool, access)
        app.include_router(login.router(logins, access, notices))
        app.include_router(session_routes(sessions, access))
        app.include_router(page_routes(access, sessions, assets, notices))
        app.include_router(asset_routes(assets))

        @app.get("/probe")
        @app.post("/probe")
        async def probe(request: Request) -> dict[str, str | None]:
            principal = await readers.reader(request)
            return {
                "project": principal.project,
                "kind": principal.kind,
                "account": principal.account,
                "user": principal.user,
            }

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            yield Routes(app, pool, client, access, written, logins, clock)
