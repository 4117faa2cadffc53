"""`/v1/rejected`: what was refused, why, and how it gets in after all."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from access.cache import Access
from access.model import Principal
from access.requests import admit_administrator
from eventlog.errors import UnknownTopic
from eventmodel import Rejection
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from stream_gateway.reads.answers import answer, limit_of, not_found, text_of
from stream_gateway.reads.keyset import format_before, parse_before
from stream_gateway.rejected import replay
from stream_gateway.rejected.fixes import Fix
from stream_gateway.rejected.outcomes import Outcomes
from stream_gateway.rejected.reads import STATES, Kept, RejectedReads, State, Wanted
from stream_gateway.rejected.replay import Attempt, Outcome, Replayer
from stream_gateway.rejected.views import counted, listed, told, whole

MAX_AT_ONCE: Final = 1_000

_Asked = TypeVar("_Asked")


class ReplayOne(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`event` is what to take instead of what was kept, as it is written there; empty for none."""

    event: msgspec.Raw = msgspec.Raw()
    dry_run: bool = False


class Many(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which open rejections: of a reason, these ids, or all. `after` goes on where the last answer ended."""

    code: str | None = None
    ids: list[str] | None = None
    all: bool = False
    after: str | None = None


class ReplayMany(Many, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The corrections are those of Fix."""

    rename: dict[str, str] = {}
    remove: list[str] = []
    set: dict[str, Any] = {}
    dry_run: bool = False


def rejected_routes(
    reads: RejectedReads, outcomes: Outcomes, replayer: Replayer, access: Access, clock: Clock
) -> APIRouter:
    """The routes; for secret keys, and for logged-in people with `?project=`: bodies hold what senders sent."""
    routes = APIRouter()

    @routes.get("/v1/rejected")
    async def list_rejected(request: Request) -> Response:
        """Rejected events, newest first; `next` goes into `before` for the next page."""
        principal = await admit_administrator(access, request)
        limit = limit_of(request)
        text = text_of(request, "before")
        before = None if text is None else parse_before(text)
        wanted = Wanted(text_of(request, "code"), text_of(request, "source"), _state(request))
        found = await reads.newest(principal.project, wanted, before, limit)
        following = format_before(found[-1].place) if len(found) == limit else None
        return answer({"items": list(map(listed, found)), "next": following})

    @routes.get("/v1/rejected/summary")
    async def summary(request: Request) -> Response:
        """The reasons of the last eight days, counted, each with its newest example."""
        principal = await admit_administrator(access, request)
        now = clock.now()
        return answer(
            {"items": list(map(counted, await reads.summary(principal.project, now))), "as_of": now}
        )

    @routes.post("/v1/rejected/replay")
    async def replay_many(request: Request) -> Response:
        """Replay up to 1,000 open rejections, oldest first, corrected alike."""
        principal = await admit_administrator(access, request)
        asked = await _asked(request, ReplayMany)
        found, left = await _selected(principal, asked)
        fix = Fix(rename=asked.rename, remove=asked.remove, set=asked.set)
        outcome = await _replayed(principal, [Attempt(one, fix=fix) for one in found], dry_run=asked.dry_run)
        refused = [
            {"id": name, **told(one)} for name, rejections in outcome.refused.items() for one in rejections
        ]
        return answer(
            {
                "accepted": outcome.accepted,
                "rejected": refused,
                "dry_run": asked.dry_run,
                "run": outcome.run,
                "left": left,
                "next": format_before(found[-1].place) if left and found else None,
            }
        )

    @routes.post("/v1/rejected/dismiss")
    async def dismiss_many(request: Request) -> Response:
        """Dismiss up to 1,000 open rejections, oldest first."""
        principal = await admit_administrator(access, request)
        found, left = await _selected(principal, await _asked(request, Many))
        ids = [one.record.id for one in found]
        number = await outcomes.dismiss(principal.project, ids, clock.now(), _by(principal))
        return answer({"dismissed": number, "left": left})

    @routes.get("/v1/rejected/{rejection_id}")
    async def one_rejected(request: Request, rejection_id: str) -> Response:
        """One rejected event, with what was kept of it and how it could be replayed."""
        principal = await admit_administrator(access, request)
        return answer(whole(await _found(principal, rejection_id)))

    @routes.post("/v1/rejected/{rejection_id}/replay")
    async def replay_one(request: Request, rejection_id: str) -> Response:
        """Replay it, as it was kept or as the corrected `event`; answered as ingest would."""
        principal = await admit_administrator(access, request)
        asked = await _asked(request, ReplayOne)
        kept = await _found(principal, rejection_id)
        given = bytes(asked.event)
        outcome = await _replayed(
            principal, [Attempt(kept, None if given in (b"", b"null") else given)], dry_run=asked.dry_run
        )
        rejections = outcome.refused.get(rejection_id, [])
        body: dict[str, object] = {
            "accepted": outcome.accepted,
            "rejected": [{"index": one.index, **told(one)} for one in rejections],
            "dry_run": asked.dry_run,
        }
        if not rejections:
            return answer(body | {"run": outcome.run})
        # A check that finds something wrong has succeeded.
        return answer(body | told(rejections[0]), 200 if asked.dry_run else _refused_status(rejections[0]))

    @routes.post("/v1/rejected/{rejection_id}/dismiss")
    async def dismiss_one(request: Request, rejection_id: str) -> Response:
        """Say that nothing is to be done about it. It can still be replayed."""
        principal = await admit_administrator(access, request)
        kept = await _found(principal, rejection_id)
        if kept.state == "replayed":
            raise Problem(409, "already_replayed", "It was replayed already; there is nothing to dismiss.")
        await outcomes.dismiss(principal.project, [rejection_id], clock.now(), _by(principal))
        return answer(whole(await _found(principal, rejection_id)))

    async def _found(principal: Principal, rejection_id: str) -> Kept:
        kept = None if "\0" in rejection_id else await reads.one(principal.project, rejection_id)
        if kept is None:
            raise not_found("rejected event")
        return kept

    async def _selected(principal: Principal, asked: Many) -> tuple[Sequence[Kept], int]:
        if asked.code is None and asked.ids is None and not asked.all:
            raise Problem(
                422,
                "selection_needed",
                "Say which rejected events: by code or by ids.",
                hint='Or "all": true.',
            )
        if asked.ids is not None and len(asked.ids) > MAX_AT_ONCE:
            raise Problem(422, "too_many", f"At most {MAX_AT_ONCE:,} ids fit in one request.", field="ids")
        _checked([asked.code or ""], "code")
        _checked(asked.ids or [], "ids")
        wanted = Wanted(code=asked.code, state="open", ids=asked.ids)
        after = None if asked.after is None else parse_before(asked.after)
        return await reads.oldest(principal.project, wanted, after, MAX_AT_ONCE)

    async def _replayed(principal: Principal, attempts: Sequence[Attempt], *, dry_run: bool) -> Outcome:
        who = replay.Request(principal.project, _by(principal))
        try:
            return await replayer.replay(who, attempts, dry_run=dry_run)
        except UnknownTopic as error:
            raise Problem(503, "log_unavailable", str(error), headers={"retry-after": "10"}) from error

    return routes


def _by(principal: Principal) -> str:
    return principal.key_id if principal.kind == "secret" and principal.key_id else "login"


def _state(request: Request) -> State | None:
    text = request.query_params.get("state")
    for state in STATES:
        if text == state:
            return state
    if text is None:
        return None
    raise Problem(400, "invalid_state", f"state is one of {', '.join(STATES)}.", field="state")


def _refused_status(rejection: Rejection) -> int:
    return 409 if rejection.code == "already_replayed" else 400


async def _asked(request: Request, kind: type[_Asked]) -> _Asked:
    """The request's body; nothing stands for an empty object. Raises Problem."""
    body = await request.body()
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid_body", f"The body is of the wrong shape: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_json", f"The body is not JSON: {error}.") from error


def _checked(texts: Sequence[str], field: str) -> None:
    if any("\0" in text for text in texts):
        raise Problem(
            422, "invalid_body", f"{field} holds a NUL character, which none of them has.", field=field
        )
