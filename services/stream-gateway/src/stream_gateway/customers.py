"""`/v1/accounts` and `/v1/users`: who the customers are and what each of them does."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.clock import Clock
from stream_gateway.answers import answer, limit_of, not_found, text_of
from stream_gateway.keyset import format_after, parse_after
from stream_gateway.principals import Readers, require_account, require_user, require_whole_project
from stream_gateway.read_model import AccountRow, Membership, PersonRow, ReadModel

_MEMBERS = 100


def customer_routes(reads: ReadModel, readers: Readers, clock: Clock) -> APIRouter:
    """The routes, reading `reads`."""
    routes = APIRouter()

    @routes.get("/v1/accounts")
    async def accounts(request: Request) -> Response:
        """Accounts by name; `next` goes into `after` for the next page."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        limit = limit_of(request)
        found = await reads.accounts(principal.project, _after(request), limit)
        following = format_after(found[-1].account) if len(found) == limit else None
        return answer({"items": found, "next": following})

    @routes.get("/v1/accounts/{account:path}")
    async def account(request: Request, account: str) -> Response:
        """One account: amount and breakdown of its activities, its people, when it began and was last seen."""
        principal = await readers.reader(request)
        require_account(principal, account)
        row = None if "\0" in account else await reads.account(principal.project, account)
        if row is None:
            raise not_found("account")
        breakdown = await reads.account_breakdown(principal.project, account)
        people = await reads.account_people(principal.project, account, _MEMBERS)
        return answer(
            _account(row)
            | {"breakdown": breakdown, "people": list(map(_member, people)), "as_of": clock.now()}
        )

    @routes.get("/v1/users")
    async def users(request: Request) -> Response:
        """Known users by id; `next` goes into `after` for the next page."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        limit = limit_of(request)
        found = await reads.people(principal.project, _after(request), limit)
        following = format_after(found[-1].subject) if len(found) == limit else None
        return answer({"items": list(map(_person, found)), "next": following})

    @routes.get("/v1/users/{user:path}")
    async def user(request: Request, user: str) -> Response:
        """One user: amount and breakdown of their activities, traits, accounts, first and last seen."""
        principal = await readers.reader(request)
        require_user(principal, user)
        subject = f"u:{user}"
        row = None if "\0" in user else await reads.person(principal.project, subject)
        if row is None:
            raise not_found("user")
        breakdown = await reads.person_breakdown(principal.project, subject)
        memberships = await reads.person_accounts(principal.project, subject, _MEMBERS)
        accounts = [
            {
                "account": membership.name,
                "activities": membership.activities,
                "first_seen": membership.first_seen,
                "last_seen": membership.last_seen,
            }
            for membership in memberships
        ]
        return answer(_person(row) | {"breakdown": breakdown, "accounts": accounts, "as_of": clock.now()})

    return routes


def _after(request: Request) -> str | None:
    text = text_of(request, "after")
    return None if text is None else parse_after(text)


def _account(row: AccountRow) -> dict[str, object]:
    return {
        "account": row.account,
        "activities": row.activities,
        "users": row.users,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "traits": row.traits,
    }


def _person(row: PersonRow) -> dict[str, object]:
    return {
        "user": row.subject.removeprefix("u:"),
        "activities": row.activities,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "traits": row.traits,
    }


def _member(membership: Membership) -> dict[str, object]:
    kind, _, name = membership.name.partition(":")
    return {
        "user" if kind == "u" else "anonymous_id": name,
        "activities": membership.activities,
        "first_seen": membership.first_seen,
        "last_seen": membership.last_seen,
    }
