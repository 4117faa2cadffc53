"""The live stream over real sockets: what is projected, once, resumable by anybody from anywhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from eventlog.memory import MemoryLog
from eventlog.port import Message
from eventmodel import ProjectId, RejectedRecord, Sender, new_event_id, topics
from eventmodel.wire import encode, record_key
from running_gateway import NOW, Gateway, running_gateway
from stream_gateway.live.cursor import format_cursor, parse_cursor


@dataclass
class Block:
    """One block of an event stream."""

    event: str | None = None
    data: Any = None
    id: str | None = None
    retry: int | None = None


@dataclass
class Client:
    """A reader of one stream that remembers its cursor, as an EventSource does."""

    blocks: "asyncio.Queue[Block | None]" = field(default_factory=asyncio.Queue)
    cursor: str | None = None

    async def next(self, event: str | None = "activity", within_s: float = 15) -> Block:
        """The next block of a kind; None for any."""
        async with asyncio.timeout(within_s):
            while True:
                block = await self.blocks.get()
                assert block is not None, "the stream ended"
                if event is None or block.event == event:
                    return block

    async def ids(self, count: int) -> list[str]:
        return [(await self.next()).data["id"] for _ in range(count)]

    async def to_cursor(self) -> str:
        """Read up to the next cursor."""
        while (block := await self.next(None)).id is None:
            continue
        return block.id


async def parse(lines: AsyncIterator[str]) -> AsyncIterator[Block]:
    block = Block()
    async for line in lines:
        if line == "":
            yield block
            block = Block()
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                block.event = value
            case "data":
                block.data = json.loads(value)
            case "id":
                block.id = value
            case "retry":
                block.retry = int(value)


@asynccontextmanager
async def reading(
    base_url: str, credential: str, last_id: str | None = None, **params: Any
) -> AsyncIterator[Client]:
    client = Client(cursor=last_id)
    headers = {"authorization": f"Bearer {credential}"} | ({"last-event-id": last_id} if last_id else {})

    async def read() -> None:
        async with (
            httpx.AsyncClient(base_url=base_url, timeout=30) as http,
            http.stream("GET", "/v1/stream", params=params, headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for block in parse(answer.aiter_lines()):
                client.cursor = block.id or client.cursor
                client.blocks.put_nowait(block)
        client.blocks.put_nowait(None)

    task = asyncio.create_task(read())
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def gateway(migrated_url: str) -> AsyncIterator[Gateway]:
    async with running_gateway(migrated_url, serve=True) as running:
        yield running


def stream(gateway: Gateway, cursor: str | None = None, **params: Any) -> Any:
    return reading(gateway.base_url, gateway.project.secret_key, cursor, **params)


async def test_a_posted_event_appears_as_json_with_the_logs_time(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        await gateway.post(gateway.event(1, properties={"pages": 3}))
        block = await client.next()
    assert block.data["id"] == "e1"
    assert block.data["user"] == "ada"
    assert block.data["properties"] == {"pages": 3}
    assert block.data["recorded_at"].endswith("Z")


async def test_filters_choose_by_account_user_and_action(gateway: Gateway) -> None:
    async with (
        stream(gateway, account="acme") as by_account,
        stream(gateway, user=["bob", "eve"]) as by_user,
        stream(gateway, action="ran export") as by_action,
    ):
        for client in (by_account, by_user, by_action):
            await client.to_cursor()
        await gateway.post(
            gateway.event(1),
            gateway.event(2, user="bob", account="other", action="ran export"),
            gateway.event(3, user="eve", account="acme"),
        )
        assert set(await by_account.ids(2)) == {"e1", "e3"}
        assert set(await by_user.ids(2)) == {"e2", "e3"}
        assert await by_action.ids(1) == ["e2"]


async def test_a_duplicate_is_not_shown(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        await gateway.post(gateway.event(1))
        await gateway.post(gateway.event(1), gateway.event(2))
        assert await client.ids(2) == ["e1", "e2"]


async def test_imports_are_shown_only_to_who_asks(gateway: Gateway) -> None:
    async with stream(gateway) as live, stream(gateway, origin="import") as imported:
        await live.to_cursor()
        await imported.to_cursor()
        await gateway.post(gateway.event(1, origin="import", run="r"), topic=topics.BACKFILL)
        assert await imported.ids(1) == ["e1"]
        await gateway.post(gateway.event(2))
        assert await live.ids(1) == ["e2"]


async def test_resume_from_memory_misses_nothing_and_repeats_nothing(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        await gateway.post(*[gateway.event(n, user=f"u{n}") for n in range(10)])
        seen = set(await client.ids(10))
        cursor = await client.to_cursor()
    await gateway.post(*[gateway.event(n, user=f"u{n}") for n in range(10, 30)])
    await gateway.settled()
    async with stream(gateway, cursor=cursor) as client:
        seen2 = await client.ids(20)
        await gateway.post(gateway.event(99))
        assert await client.ids(1) == ["e99"]
    assert len(seen2) == len(set(seen2)) == 20
    assert not seen & set(seen2)


async def test_resume_after_a_restart_comes_from_the_log(migrated_url: str) -> None:
    log = MemoryLog(4)
    async with running_gateway(migrated_url, log, serve=True) as first:
        async with stream(first) as client:
            cursor = await client.to_cursor()
            await first.post(*[first.event(n, user=f"u{n}") for n in range(50)], first.event(7, user="u7"))
            await client.ids(50)
        await first.settled()
        project = first.project
    async with (
        running_gateway(migrated_url, log, serve=True, project=project) as second,
        stream(second, cursor=cursor) as client,
    ):
        seen = await client.ids(50)
        await second.post(second.event(99))
        assert await client.ids(1) == ["e99"]
    assert sorted(seen) == sorted(f"e{n}" for n in range(50))


async def test_the_pulse_and_the_stream_join_without_a_hole(gateway: Gateway) -> None:
    await gateway.post(*[gateway.event(n, user=f"u{n}") for n in range(20)])
    await gateway.settled()
    pulse = await gateway.get("/v1/pulse")
    await gateway.post(*[gateway.event(n, user=f"u{n}") for n in range(20, 25)])
    async with stream(gateway, cursor=pulse["cursor"]) as client:
        assert sorted(await client.ids(5)) == [f"e{n}" for n in range(20, 25)]


async def test_a_hole_that_cannot_be_filled_is_announced(migrated_url: str) -> None:
    log = MemoryLog(4)
    async with running_gateway(migrated_url, log, serve=True) as first:
        async with stream(first) as client:
            cursor = await client.to_cursor()
        await first.post(*[first.event(n, user=f"u{n}") for n in range(50)])
        await first.settled()
        project = first.project
    for part, head in enumerate(await log.heads(topics.EVENTS)):
        log.truncate(topics.EVENTS, part, head)
    async with (
        running_gateway(migrated_url, log, serve=True, project=project) as second,
        stream(second, cursor=cursor, account="acme") as client,
    ):
        gap = await client.next("gap")
        assert gap.data["reason"] == "retention"
        assert gap.data["approx_count"] == 50
        assert gap.data["from"] == cursor
        filled = await second.client.get(gap.data["fill_url"])
        assert len(filled.json()["items"]) == 50
        await client.to_cursor()
        await second.post(second.event(99))
        assert await client.ids(1) == ["e99"]


async def test_a_cursor_of_another_log_is_a_gap_and_nonsense_is_refused(gateway: Gateway) -> None:
    async with stream(gateway, cursor=format_cursor("ab" * 8, [0, 0, 0, 0])) as client:
        assert (await client.next("gap")).data["reason"] == "log_changed"
        await client.to_cursor()
        await gateway.post(gateway.event(1))
        assert await client.ids(1) == ["e1"]
    refused = await gateway.client.get("/v1/stream", headers={"last-event-id": "nonsense!"})
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid_cursor"


async def test_a_cursor_ahead_of_this_replica_waits_and_repeats_nothing(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        first = parse_cursor(await client.to_cursor())
        await gateway.post(gateway.event(1))
        await client.ids(1)
        reached = parse_cursor(await client.to_cursor())
    part = next(n for n, at in enumerate(reached.positions) if at != first.positions[n])
    ahead = list(reached.positions)
    ahead[part] += 1
    async with stream(gateway, cursor=format_cursor(reached.log_id, ahead)) as client:
        await gateway.post(gateway.event(2))
        await gateway.post(gateway.event(3))
        assert await client.ids(1) == ["e3"]


async def test_drain_says_goodbye_with_a_cursor_that_resumes(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        await gateway.post(gateway.event(1))
        await client.ids(1)
        await gateway.drain()
        bye = await client.next("bye")
        assert bye.data["reason"] == "drain"
        assert bye.retry
        assert await client.to_cursor()
    async with stream(gateway) as client:
        assert (await client.next("bye")).data["reason"] == "drain"


async def test_a_stream_ends_when_its_key_is_revoked(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        listed = await gateway.get(f"/v1/projects/{gateway.project.project}/keys")
        key = next(key for key in listed["items"] if key["kind"] == "secret")
        await gateway.projects.revoke_key(gateway.project.project, key["id"])
        await gateway.refresh()
        assert (await client.next("bye")).data["reason"] == "expired"


async def test_a_token_for_one_account_sees_only_that_account(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/tokens", json={"account": "acme"})
    token = answer.json()["token"]
    async with reading(gateway.base_url, token) as client:
        await client.to_cursor()
        await gateway.post(gateway.event(1, account="other"), gateway.event(2))
        assert await client.ids(1) == ["e2"]
    refused = await gateway.client.get(
        "/v1/stream", params={"account": "other"}, headers={"authorization": f"Bearer {token}"}
    )
    assert refused.status_code == 403


async def test_line_breaks_in_values_cannot_forge_a_block(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        await gateway.post(gateway.event(1, action="a\n\nevent: bye\ndata: {}\r\rid: x\u2028"))
        block = await client.next()
        assert block.data["action"] == "a\n\nevent: bye\ndata: {}\r\rid: x\u2028"


async def test_refusals_have_a_stream_of_their_own_each_once(gateway: Gateway) -> None:
    async with reading(gateway.base_url, gateway.project.secret_key, topic="rejected") as client:
        await client.to_cursor()
        unreadable = Message(record_key(gateway.project.project, "u:ada"), b"no JSON")
        first, second = (refusal(gateway.project.project, code) for code in ("too_long", "too_deep"))
        await gateway.log.append(topics.REJECTED, [unreadable, first, first])
        await gateway.post(gateway.event(1))
        shown = await client.next("rejected")
        assert (shown.data["code"], shown.data["place"]) == ("too_long", {"path": "/v1/events", "index": 0})
        assert shown.data["recorded_at"]
        await gateway.log.append(topics.REJECTED, [second])
        assert (await client.next("rejected")).data["code"] == "too_deep"


async def test_a_sender_may_be_chosen_by_key_and_sdk(gateway: Gateway) -> None:
    web, job = Sender(key="kaaaaaaaaaaa", sdk="web/1"), Sender(key="kaaaaaaaaaaa", sdk="job/2")
    secret = gateway.project.secret_key
    async with (
        reading(gateway.base_url, secret, key="kaaaaaaaaaaa", sdk="job/2") as one,
        reading(gateway.base_url, secret, key="", sdk="") as nobody,
        reading(gateway.base_url, secret, topic="rejected", sdk="job/2") as refused,
    ):
        for client in (one, nobody, refused):
            await client.to_cursor()
        await gateway.post(
            gateway.event(1, sender=web),
            gateway.event(2, sender=job),
            gateway.event(3),
            gateway.event(4, sender=job),
        )
        refusals = [refusal(gateway.project.project, code, by) for code, by in (("a", web), ("b", job))]
        await gateway.log.append(topics.REJECTED, refusals)
        assert sorted(await one.ids(2)) == ["e2", "e4"]
        assert await nobody.ids(1) == ["e3"]
        assert (await refused.next("rejected")).data["code"] == "b"


@pytest.mark.parametrize("restriction", [{}, {"account": "acme"}, {"user": "ada"}])
@pytest.mark.parametrize("asked", [{"topic": "rejected"}, {"key": "kaaaaaaaaaaa"}, {"sdk": "web/1"}])
async def test_a_stream_token_sees_no_refusals_and_chooses_no_sender(
    gateway: Gateway, restriction: dict[str, str], asked: dict[str, str]
) -> None:
    made = await gateway.client.post("/v1/tokens", json=restriction)
    token = {"authorization": f"Bearer {made.json()['token']}"}
    answer = await gateway.client.get("/v1/stream", params=asked, headers=token)
    assert (answer.status_code, answer.json()["code"]) == (403, "outside_token")


def refusal(project: ProjectId, code: str, sender: Sender | None = None) -> Message:
    record = RejectedRecord(
        id=new_event_id(),
        project=project,
        received_at=NOW,
        source="ingest",
        code=code,
        message=f"Refused for {code}.",
        place={"path": "/v1/events", "index": 0},
        body="{}",
        sender=sender,
    )
    return Message(record_key(project, f"e:{record.id}"), encode(record))


async def test_another_project_sees_nothing(gateway: Gateway) -> None:
    other = await gateway.projects.create("other")
    async with reading(gateway.base_url, other.secret_key) as foreign, stream(gateway) as own:
        await foreign.to_cursor()
        await own.to_cursor()
        await gateway.post(gateway.event(1))
        await own.ids(1)
        await gateway.post(gateway.event(2, project=other.project))
        assert await foreign.ids(1) == ["e2"]


async def test_a_quiet_stream_beats_visibly_and_moves_its_cursor_on(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_gateway.live.channel._HEARTBEAT_S", 0.5)
    async with stream(gateway, user="nobody") as client:
        first = await client.to_cursor()
        await gateway.post(gateway.event(1))
        beat = await client.next("hb")
        while beat.id == first:
            beat = await client.next("hb")
        assert beat.id
    async with stream(gateway, cursor=beat.id) as client:
        await gateway.post(gateway.event(2))
        assert await client.ids(1) == ["e2"]


async def test_the_header_a_browser_keeps_fresh_wins_over_the_cursor_of_the_address(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        old = await client.to_cursor()
        await gateway.post(gateway.event(1))
        await client.ids(1)
        fresh = await client.to_cursor()
        await gateway.post(gateway.event(2))
        await client.ids(1)
    async with reading(gateway.base_url, gateway.project.secret_key, fresh, cursor=old) as client:
        assert await client.ids(1) == ["e2"]
    async with httpx.AsyncClient(base_url=gateway.base_url) as http:
        headers = {"authorization": f"Bearer {gateway.project.secret_key}"}
        async with http.stream("GET", "/v1/stream", params={"cursor": old}, headers=headers) as answer:
            seen = [block.data["id"] async for block in _first(parse(answer.aiter_lines()), 2)]
        assert seen == ["e1", "e2"]


async def _first(blocks: AsyncIterator[Block], count: int) -> AsyncIterator[Block]:
    async for block in blocks:
        if block.event == "activity":
            yield block
            count -= 1
        if count == 0:
            return


async def test_old_events_are_shown_live_too(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.to_cursor()
        await gateway.post(gateway.event(1, occurred_at=NOW.replace(year=2015)))
        assert await client.ids(1) == ["e1"]
