"""`DELETE /v1/users/{user}` and `/v1/forgotten`: a person is forgotten, and what proves it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import asyncpg
from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.errors import AccessUnavailable
from access.forgetting import Forgetting, Receipt
from access.requests import admit_administrator
from lifecycle.errors import Problem
from stream_gateway.forgetting.identities import MAX_IDS, KnownAs, TooManyIds, find_identities
from stream_gateway.principals import as_problems
from stream_gateway.reads.answers import answer, limit_of, not_found


def forgetting_routes(
    pool: "asyncpg.Pool[asyncpg.Record]", forgetting: Forgetting, access: Access, parts: Callable[[], int]
) -> APIRouter:
    """The routes; for secret keys, and for logged-in people with `?project=`. `parts`: of the log."""
    routes = APIRouter()

    @routes.delete("/v1/users/{user:path}", status_code=202)
    async def forget_user(request: Request, user: str) -> Response:
        """Forget a user with all ids that belong to them. 202 and the receipt, which says when it is done."""
        principal = await admit_administrator(access, request)
        if "\0" in user or not user:
            raise not_found("user")
        try:
            found = await find_identities(pool, principal.project, user)
        except KnownAs as error:
            raise Problem(
                409,
                "known_as",
                str(error),
                field="user",
                hint=f"Forget {error.user}, who this user is part of.",
            ) from error
        except TooManyIds as error:
            raise Problem(
                409,
                "too_many_ids",
                f"More than {MAX_IDS:,} ids belong to this user.",
                field="user",
                hint="Forget the users that belong to it first: GET /v1/users/{user} names them.",
            ) from error
        by = principal.key_id or principal.kind
        with as_problems():
            made = await forgetting.request(principal.project, found.subjects, found.mentions, by)
        with suppress(AccessUnavailable):
            await access.refresh()
        receipt = await forgetting.receipt(principal.project, made)
        assert receipt is not None, "it was made a moment ago"
        return answer(_told(receipt, parts()), 202)

    @routes.get("/v1/forgotten")
    async def list_forgotten(request: Request) -> Response:
        """The receipts, newest first: whom by the SHA-256 of their record key, by whom, what was removed."""
        principal = await admit_administrator(access, request)
        found = await forgetting.receipts(principal.project, limit_of(request))
        return answer({"items": [_told(receipt, parts()) for receipt in found]})

    @routes.get("/v1/forgotten/{request_id}")
    async def one_forgotten(request: Request, request_id: str) -> Response:
        """One receipt."""
        principal = await admit_administrator(access, request)
        found = None if "\0" in request_id else await forgetting.receipt(principal.project, request_id)
        if found is None:
            raise not_found("receipt")
        return answer(_told(found, parts()))

    return routes


def _told(receipt: Receipt, parts: int) -> Mapping[str, Any]:
    report = receipt.report or {}
    left = report.get("left", {})
    state = "removing" if receipt.finished_at is None else "left" if sum(left.values()) else "done"
    return {
        "id": receipt.id,
        "state": state,
        "user_sha256": receipt.user_hash,
        "requested_at": receipt.requested_at,
        "requested_by": receipt.requested_by,
        "finished_at": receipt.finished_at,
        "removed": receipt.removed,
        "left": left,
        "ids": report.get("ids"),
        "shared_ids": report.get("shared_ids"),
        "log": report.get("log"),
        "log_days": report.get("log_days"),
        "waits_for": [] if receipt.finished_at else _unconfirmed(receipt, parts),
    }


def _unconfirmed(receipt: Receipt, parts: int) -> list[str]:
    """Which services have not removed everything yet, each with what it lacks."""
    wanted = {"gateway": parts, "rules": parts, "importer": 1, "log": 1}
    names = {"gateway": "stream-gateway", "rules": "rule-engine", "importer": "importer", "log": "the log"}
    return [
        f"{names[owner]} ({receipt.confirmed.get(owner, 0)} of {number} parts)"
        if number > 1
        else names[owner]
        for owner, number in wanted.items()
        if receipt.confirmed.get(owner, 0) < number
    ]
