"""`/v1/accounts`, `/v1/users` and `/v1/visitors`: who the customers are and what each of them does."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.model import Principal
from lifecycle.clock import Clock
from stream_gateway.principals import (
    Readers,
    require_account,
    require_user,
    require_whole_project,
    sees_alone,
)
from stream_gateway.reads.account_reads import ACCOUNT_SORTS, AccountReads, Member
from stream_gateway.reads.answers import answer, days_of, not_found
from stream_gateway.reads.counts import ActionChange
from stream_gateway.reads.keyset import format_after
from stream_gateway.reads.listing import Listing
from stream_gateway.reads.period import Days, Period
from stream_gateway.reads.person_reads import USER_SORTS, OtherId, PersonReads, PersonRow

_LISTED_DAYS = 90
_PERIOD_DAYS = 366


def customer_routes(
    accounts: AccountReads, people: PersonReads, readers: Readers, access: Access, clock: Clock
) -> APIRouter:
    """The routes, reading `accounts` and `people`."""
    routes = APIRouter()

    def zone(principal: Principal) -> str:
        project = access.project(principal.project)
        if project is None:
            raise not_found("project")
        return project.settings.time_zone

    def period_of(request: Request, principal: Principal) -> Period | None:
        number = days_of(request, _PERIOD_DAYS)
        return None if number is None else Period.until(clock.now(), zone(principal), number)

    @routes.get("/v1/accounts")
    async def list_accounts(request: Request) -> Response:
        """Accounts, sorted and searched; `next` goes into `after` for the next page."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        listing = Listing.of(request, ACCOUNT_SORTS)
        number = days_of(request, _LISTED_DAYS)
        days = None if number is None else Days.until(clock.now(), zone(principal), number)
        found = await accounts.page(principal.project, listing, days)
        following = None
        if len(found) == listing.limit:
            following = format_after(listing.sort, getattr(found[-1], listing.sort), found[-1].account)
        return answer({"items": found, "next": following})

    @routes.get("/v1/accounts/{account:path}")
    async def account(request: Request, account: str) -> Response:
        """One account: amount and breakdown of its activities, its people, when it began and was last seen."""
        principal = await readers.reader(request)
        require_account(principal, account)
        period = period_of(request, principal)
        found = None if "\0" in account else await accounts.account(principal.project, account, period)
        if found is None:
            raise not_found("account")
        row = found.row
        body: dict[str, object] = {
            "account": row.account,
            "name": row.name,
            "activities": row.activities,
            "users": row.users,
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
            "traits": row.traits,
            "breakdown": found.breakdown,
            "people": list(map(_member, found.members)),
            "as_of": clock.now(),
        }
        if period is not None:
            body["period"] = _period(period, found.changes) | {"people": found.people}
        return answer(body)

    @routes.get("/v1/users")
    async def list_users(request: Request) -> Response:
        """Known users, sorted and searched; `next` goes into `after` for the next page."""
        principal = await readers.reader(request)
        require_whole_project(principal)
        listing = Listing.of(request, USER_SORTS)
        found = await people.users(principal.project, listing)
        following = None
        if len(found) == listing.limit:
            last = found[-1]
            value = last.subject if listing.sort == "user" else getattr(last, listing.sort)
            following = format_after(listing.sort, value, last.subject)
        items = [_person(row) | {"account": row.account} for row in found]
        return answer({"items": items, "next": following})

    @routes.get("/v1/users/{user:path}")
    async def user(request: Request, user: str) -> Response:
        """One user: amount and breakdown of their activities, traits, accounts, first and last seen."""
        principal = await readers.reader(request)
        require_user(principal, user)
        return await person(request, principal, f"u:{user}")

    @routes.get("/v1/visitors/{anonymous_id:path}")
    async def visitor(request: Request, anonymous_id: str) -> Response:
        """The same of somebody who is not known by a user id."""
        principal = await readers.reader(request)
        # Nobody's token names an anonymous visitor.
        require_whole_project(principal)
        return await person(request, principal, f"a:{anonymous_id}")

    async def person(request: Request, principal: Principal, subject: str) -> Response:
        period = period_of(request, principal)
        found = None
        if "\0" not in subject:
            alone = sees_alone(principal)
            found = await people.person(principal.project, subject, period, alone=alone)
        if found is None:
            raise not_found("user" if subject.startswith("u:") else "visitor")
        body = _person(found.row) | {
            "breakdown": found.breakdown,
            "accounts": found.memberships,
            "identities": list(map(_other_id, found.identities)),
            "known_as": None if found.known_as is None else _named(found.known_as),
            "as_of": clock.now(),
        }
        if period is not None:
            body["period"] = _period(period, found.changes)
        return answer(body)

    return routes


def _named(subject: str) -> dict[str, object]:
    kind, _, name = subject.partition(":")
    return {"user" if kind == "u" else "anonymous_id": name}


def _person(row: PersonRow) -> dict[str, object]:
    return _named(row.subject) | {
        "name": row.name,
        "activities": row.activities,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "traits": row.traits,
    }


def _other_id(identity: OtherId) -> dict[str, object]:
    return _named(identity.subject) | {
        "activities": identity.activities,
        "first_seen": identity.first_seen,
        "last_seen": identity.last_seen,
    }


def _member(member: Member) -> dict[str, object]:
    return _named(member.subject) | {
        "name": member.name,
        "activities": member.activities,
        "first_seen": member.first_seen,
        "last_seen": member.last_seen,
        "actions": member.actions,
    }


def _period(period: Period, changes: Sequence[ActionChange]) -> dict[str, object]:
    days = period.days
    return {
        "days": (days.last - days.first).days + 1,
        "from": days.first,
        "to": days.last,
        "activities": sum(change.count for change in changes),
        "previous": sum(change.previous for change in changes),
        "breakdown": changes,
    }
