"""`GET /v1/stream`: one connection of the live fan-out, as an ASGI application of its own.

Two tasks and a few hundred bytes of state a connection; everything heavy is the channel's and shared.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Literal

from fastapi import Request
from starlette.types import Receive, Scope, Send

from access.model import Principal
from eventlog.errors import LogUnavailable, Truncated
from lifecycle.errors import Problem, problem_of, problem_response
from stream_gateway.live.channel import Channel, farewell
from stream_gateway.live.cursor import Cursor, InvalidCursor, parse_cursor
from stream_gateway.live.subscription import Filter, Subscriber
from stream_gateway.principals import Readers

StreamTopic = Literal["activity", "import", "actions", "signals", "rejected"]

_RESUMES_AT_ONCE = 4
_REACH_S = 5.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class Stream:
    """The ASGI application; `draining` answers newcomers with a goodbye instead of a stream."""

    def __init__(
        self,
        channels: Mapping[StreamTopic, Channel],
        readers: Readers,
        *,
        resume_max_records: int,
        max_connections: int,
    ) -> None:
        self._channels = channels
        self._readers = readers
        self._resume_max_records = resume_max_records
        self._max_connections = max_connections
        self._connections = 0
        self._resumes = asyncio.Semaphore(_RESUMES_AT_ONCE)
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            channel, wanted, principal, start = await self._admit(Request(scope))
        except Exception as error:
            problem = problem_of(error)
            if problem.code == "internal":
                raise
            await problem_response(problem)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self._connections += 1
        try:
            subscriber = await self._open(channel, wanted, principal, start, send)
            if subscriber is not None:
                # Its own names and frames stay for as long as the connection: keep them few.
                del wanted, principal, start
                await _pump(channel, subscriber, receive, send)
        finally:
            self._connections -= 1

    async def _admit(self, request: Request) -> tuple[Channel, Filter, Principal, Cursor | None]:
        """What is asked for and by whom; raises Problem."""
        if request.method not in ("GET", "HEAD"):
            raise Problem(
                405, "method_not_allowed", "A stream is read with GET.", headers={"allow": "GET, HEAD"}
            )
        principal = await self._readers.reader(request)
        topic = _topic(request)
        channel = self._channels[topic]
        wanted = _filter(request, principal)
        if topic == "rejected" or wanted.keys or wanted.sdks:
            _require_no_token(principal)
        start = _start(request)
        if self._connections >= self._max_connections:
            raise Problem(
                503,
                "too_many_streams",
                f"This server holds {self._max_connections} streams, its bound.",
                hint="Try again in a few seconds, or raise FOOTFALL_MAX_STREAMS.",
                headers={"retry-after": "5"},
            )
        return channel, wanted, principal, start

    def close(self) -> None:
        """Say goodbye to everybody; from now on newcomers get a goodbye at once."""
        self.draining = True
        for channel in self._channels.values():
            channel.close("drain")

    async def _open(
        self, channel: Channel, wanted: Filter, principal: Principal, start: Cursor | None, send: Send
    ) -> Subscriber | None:
        """Begin the stream: bring the client from `start` to the present, and join it to the channel there."""
        opening = f"retry: {random.randint(1000, 3000)}\n\n".encode()
        await send({"type": "http.response.body", "body": opening, "more_body": True})
        await channel.ready.wait()
        position: tuple[int, ...] | None = None
        if start is not None:
            position, gap = await self._placed(channel, wanted, start)
            if gap is not None:
                await send({"type": "http.response.body", "body": gap, "more_body": True})
        missed = None
        while position is not None and (missed := channel.resume(wanted, position)) is None:
            position = await self._replay(channel, wanted, position, send)
        if self.draining:
            await send({"type": "http.response.body", "body": farewell("drain")})
            return None
        # No await between `resume` and `join`: nothing may be flushed between the two.
        return channel.join(wanted, principal, channel.position_block() if missed is None else missed)

    async def _placed(
        self, channel: Channel, wanted: Filter, start: Cursor
    ) -> tuple[tuple[int, ...] | None, bytes | None]:
        """Where a client's cursor stands in this channel, or the gap to announce when it stands nowhere."""
        if start.log_id != channel.topic.log_id or len(start.positions) != channel.topic.partitions:
            return None, channel.gap("log_changed", wanted)
        if not await channel.reach(start.positions, _REACH_S):
            return None, channel.gap("ahead", wanted, start.positions)
        return start.positions, None

    async def _replay(
        self, channel: Channel, wanted: Filter, start: tuple[int, ...], send: Send
    ) -> tuple[int, ...] | None:
        """Send from the log what lies between `start` and the present; the positions reached, None after a gap."""
        end = channel.positions
        behind = sum(to - at for at, to in zip(start, end, strict=True))
        reason = "limit" if behind > self._resume_max_records or channel.remembers_only else None
        if reason is None:
            try:
                async with self._resumes:
                    async for chunk in channel.replay(wanted, start, end):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except Truncated:
                reason = "retention"
            except LogUnavailable:
                reason = "log_unavailable"
        if reason is not None:
            gap = channel.gap(reason, wanted, start, behind)
            await send({"type": "http.response.body", "body": gap, "more_body": True})
            return None
        reached = f"id: {channel.cursor_at(end)}\n\n".encode()
        await send({"type": "http.response.body", "body": reached, "more_body": True})
        return end


async def _pump(channel: Channel, subscriber: Subscriber, receive: Receive, send: Send) -> None:
    """Send what the channel hands over until the client leaves or the channel says goodbye."""
    loop = asyncio.get_running_loop()
    subscriber.task = asyncio.current_task()
    gone = loop.create_task(_disconnected(receive))
    gone.add_done_callback(lambda _: subscriber.hand(None))
    try:
        while not gone.done():
            if (payload := channel.take(subscriber)) is None:
                if subscriber.farewell is not None:
                    break
                subscriber.waiter = loop.create_future()
                if (payload := await subscriber.waiter) is None:
                    continue
            subscriber.sending_since = loop.time()
            await send({"type": "http.response.body", "body": payload, "more_body": True})
            subscriber.sending_since = payload = None
        last = (
            b"" if subscriber.farewell is None else farewell(subscriber.farewell) + channel.position_block()
        )
        await send({"type": "http.response.body", "body": last})
    finally:
        gone.cancel()
        channel.leave(subscriber)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _topic(request: Request) -> StreamTopic:
    topic = request.query_params.get("topic", "activity")
    origin = request.query_params.get("origin", "live")
    match topic, origin:
        case "activity", "import":
            return "import"
        case "activity", "live":
            return "activity"
        case "actions", "live":
            return "actions"
        case "signals", "live":
            return "signals"
        case "rejected", "live":
            return "rejected"
    raise Problem(
        400,
        "invalid_topic",
        f"There is no stream of topic {topic!r} and origin {origin!r}.",
        field="topic",
        hint="topic is activity, actions, signals or rejected; activity also takes origin=import.",
    )


def _filter(request: Request, principal: Principal) -> Filter:
    """The filter of the query, never wider than the token allows."""
    query = request.query_params
    accounts, users = set(query.getlist("account")), set(query.getlist("user"))
    for allowed, asked, name in ((principal.account, accounts, "account"), (principal.user, users, "user")):
        if allowed is None:
            continue
        if asked - {allowed}:
            raise Problem(
                403,
                "outside_token",
                f"This token is for one {name} only.",
                field=name,
                hint=f"Leave out {name}= or ask for a token without that restriction.",
            )
        asked.add(allowed)
    return Filter(
        principal.project,
        frozenset(accounts),
        frozenset(users),
        *(frozenset(query.getlist(name)) for name in ("action", "key", "sdk")),
    )


def _require_no_token(principal: Principal) -> None:
    """What senders do is for who administers the project: its records hold what was sent, by whomever."""
    if principal.kind == "token":
        raise Problem(
            403,
            "outside_token",
            "A stream token shows neither what was refused nor one sender alone.",
            hint="Use a secret key, or leave out topic=rejected, key= and sdk=.",
        )


def _start(request: Request) -> Cursor | None:
    """Where to resume: the header, which a reconnecting browser keeps fresh, before the query."""
    text = request.headers.get("last-event-id") or request.query_params.get("cursor")
    if not text:
        return None
    try:
        return parse_cursor(text)
    except InvalidCursor as error:
        hint = "Leave the cursor out to start at the present, and read the past from /v1/activity."
        raise Problem(400, "invalid_cursor", str(error), field="cursor", hint=hint) from error
