"""`POST /v1/tokens`: stream tokens for browsers."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from access.cache import Access
from access.issuing import TokenIssuer
from access.requests import admit_administrator
from access.tokens import DEFAULT_TOKEN_S
from stream_gateway.principals import as_problems


class NewToken(BaseModel):
    """Restricted to the account and the user, where given."""

    model_config = ConfigDict(extra="forbid")

    account: str | None = None
    user: str | None = None
    expires_in_s: int = DEFAULT_TOKEN_S


class TokenView(BaseModel):
    token: str
    expires_at: datetime


def router(issuer: TokenIssuer, access: Access) -> APIRouter:
    """The route; for secret keys, and for logged-in people with `?project=`."""
    routes = APIRouter()

    @routes.post("/v1/tokens", status_code=201)
    async def create_token(request: Request, response: Response, wanted: NewToken | None = None) -> TokenView:
        """A stream token for a browser: it reads the project, or one account or user of it."""
        principal = await admit_administrator(access, request)
        asked = wanted or NewToken()
        with as_problems():
            issued = await issuer.issue(
                principal, account=asked.account, user=asked.user, expires_in_s=asked.expires_in_s
            )
        response.headers["cache-control"] = "no-store"
        return TokenView(token=issued.token, expires_at=issued.expires_at)

    return routes
