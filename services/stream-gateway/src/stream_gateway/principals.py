"""Who is asking the gateway, and how far a restricted stream token reaches."""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from fastapi import Request
from pydantic import SecretStr

from access.cache import Access
from access.credentials import authorization
from access.errors import InvalidValue, NameTaken, TooManyKeys, UnknownProject
from access.keys import is_id
from access.model import Principal, Session
from access.requests import (
    admit_reader,
    admit_session,
    explicit_credential,
    find_principal,
    not_found,
    require_secret,
)
from eventmodel import ProjectId
from lifecycle.errors import Problem

Authority: TypeAlias = Literal["admin"] | Principal | Session
"""Who may administer: whoever holds the admin token, a secret key, a logged-in person."""


class Readers:
    """Admits to the reading routes; one per app."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def reader(self, request: Request) -> Principal:
        """The principal, restricted as its token says. Raises Problem (400, 401, 403, 404) and AccessUnavailable."""
        return await admit_reader(self._access, request)


def narrow(principal: Principal, *, account: str | None, user: str | None) -> tuple[str | None, str | None]:
    """The account and user a list shows: what is asked for, within what the token may see.

    Raises Problem 403 when a token asks beyond its restriction.
    """
    return (
        _narrowed("account", principal.account, account),
        _narrowed("user", principal.user, user),
    )


def narrow_subject(
    principal: Principal, account: str | None, subject: str | None
) -> tuple[str | None, str | None]:
    """Like `narrow`, for a user or an anonymous visitor as a subject."""
    if subject is not None and subject.startswith("a:"):
        # Nobody's token names an anonymous visitor.
        require_whole_project(principal)
        return account, subject
    account, user = narrow(
        principal, account=account, user=None if subject is None else subject.removeprefix("u:")
    )
    return account, None if user is None else f"u:{user}"


def sees_alone(principal: Principal) -> bool:
    """Whether a person is shown without what belongs to them.

    A user's token shows what was sent under that user's id and nothing else: whoever holds a write key, which is
    public, can say that another user is part of this one.
    """
    return principal.user is not None


def require_account(principal: Principal, account: str) -> None:
    """Refuse a page about the account to whom it would show more than their token: 403."""
    if principal.user is not None:
        raise _outside("user")
    _narrowed("account", principal.account, account)


def require_user(principal: Principal, user: str) -> None:
    """Refuse a page about the person to whom it would show more than their token: 403."""
    if principal.account is not None:
        raise _outside("account")
    _narrowed("user", principal.user, user)


def require_whole_project(principal: Principal) -> None:
    """Refuse sums over the project to a token restricted to less: 403."""
    for field, restriction in (("account", principal.account), ("user", principal.user)):
        if restriction is not None:
            raise _outside(field)


class Administrators:
    """Admits to the routes that administer projects."""

    def __init__(self, access: Access, admin_token: SecretStr | None) -> None:
        self._access = access
        self._admin = None if admin_token is None else _fingerprint(admin_token.get_secret_value())

    async def authority(self, request: Request) -> Authority:
        """Who asks, if they may administer anything: 401 or 403 otherwise."""
        if self._is_admin(request):
            return "admin"
        text = explicit_credential(request)
        if text is None:
            return await admit_session(self._access, request)
        return require_secret(await find_principal(self._access, text))

    async def admin(self, request: Request) -> None:
        """Refuse whoever does not hold the admin token: 401, or 403 with another good credential."""
        if await self.authority(request) != "admin":
            raise Problem(
                403,
                "admin_needed",
                "Only the holder of the admin token may create and delete projects.",
                hint="Send the value of FOOTFALL_ADMIN_TOKEN as the bearer token.",
            )

    async def over(self, request: Request, project: str) -> ProjectId:
        """The project, if who asks may administer it; 404 when it is another's, or there is none."""
        require_sees(await self.authority(request), project)
        return ProjectId(project)

    def _is_admin(self, request: Request) -> bool:
        token = authorization(request.scope["headers"])
        return (
            token is not None
            and self._admin is not None
            and hmac.compare_digest(_fingerprint(token), self._admin)
        )


def require_sees(authority: Authority, project: str) -> None:
    """404 unless the project is the authority's. Deleted ones are found out where they are read."""
    if not is_id("project", project) or not sees(authority, ProjectId(project)):
        raise not_found(project)


def sees(authority: Authority, project: ProjectId) -> bool:
    """Whether the authority may administer the project."""
    match authority:
        case "admin":
            return True
        case Principal():
            return authority.project == project
        case Session():
            return authority.may_see(project)


@contextmanager
def as_problems() -> Iterator[None]:
    """Turns what the writing side of access refuses into what the caller is told."""
    try:
        yield
    except UnknownProject as error:
        raise not_found(error.project) from error
    except NameTaken as error:
        raise Problem(409, "name_taken", str(error), field="name") from error
    except TooManyKeys as error:
        raise Problem(409, "too_many_keys", str(error)) from error
    except InvalidValue as error:
        raise Problem(422, "invalid_value", str(error), field=error.field) from error


def _narrowed(field: str, restriction: str | None, asked: str | None) -> str | None:
    if restriction is not None and asked not in (None, restriction):
        raise _outside(field)
    return asked if restriction is None else restriction


def _outside(field: str) -> Problem:
    return Problem(
        403,
        "outside_token",
        f"This token is for one {field} only.",
        field=field,
        hint="Ask for a token without that restriction, or stay within it.",
    )


def _fingerprint(token: str) -> bytes:
    # Of equal length whatever was sent, so that comparing tells nothing of the length either.
    return hashlib.sha256(token.encode()).digest()
