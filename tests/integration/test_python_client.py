"""footfall_client against a running ingest-api, and against servers that misbehave."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from footfall_client import AsyncClient, Client, Delivery, Rejection
from ingest_stand import IngestStand, open_stand, serving
from misbehaving_server import MisbehavingServer, misbehaving, refusal

KEY = "ffw_not-a-key-of-anyone"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def url(stand: IngestStand) -> AsyncIterator[str]:
    async with serving(stand) as url:
        yield url


async def test_every_call_reaches_the_log_as_the_event_it_names(stand: IngestStand, url: str) -> None:
    def send() -> Delivery:
        client = Client(url, stand.write_key)
        client.track("ada", "opened report", account="acme", properties={"rows": 12}, id="e1")
        client.identify("ada", {"plan": "pro"}, anonymous_id="v1")
        client.page("ada", {"url": "https://acme.example/reports"})
        client.screen(None, {"name": "Reports"}, anonymous_id="v2")
        client.group("acme", {"seats": 25}, user="ada")
        client.alias("ada", "old-ada")
        return client.close()

    assert await asyncio.to_thread(send) == Delivery(accepted=6)
    events = {event.kind: event for event in await stand.events()}
    track = events["track"]
    assert (track.id, track.user, track.action, track.account) == ("e1", "ada", "opened report", "acme")
    assert track.properties == {"rows": 12}
    assert track.sent_at is not None
    assert track.sender is not None
    assert track.sender.sdk == "footfall-python/0.1.0"
    assert (events["identify"].anonymous_id, events["identify"].traits) == ("v1", {"plan": "pro"})
    assert (events["page"].action, events["screen"].anonymous_id) == ("viewed page", "v2")
    assert (events["group"].account, events["group"].user, events["group"].traits) == (
        "acme",
        "ada",
        {"seats": 25},
    )
    assert (events["alias"].user, events["alias"].previous_id) == ("ada", "old-ada")


async def test_the_same_from_asyncio(stand: IngestStand, url: str) -> None:
    async with AsyncClient(url, stand.write_key) as client:
        ids = [await client.track("ada", "opened report", properties={"n": n}) for n in range(1_200)]
        told = await client.flush()
    assert told == Delivery(accepted=1_200)
    assert {event.id for event in await stand.events()} == set(ids)


async def test_many_threads_send_in_few_requests(stand: IngestStand, url: str) -> None:
    client = Client(url, stand.write_key)

    async def send(user: int) -> None:
        await asyncio.to_thread(lambda: [client.track(user, "a", properties={"n": n}) for n in range(300)])

    await asyncio.gather(*(send(user) for user in range(1, 9)))
    assert (await asyncio.to_thread(client.close)).accepted == 2_400
    events = await stand.events()
    assert len({event.id for event in events}) == len(events) == 2_400
    for user in range(1, 9):
        assert [e.properties["n"] for e in events if e.user == str(user)] == list(range(300)), "in order"


async def test_rejections_come_with_their_event_by_callback_result_and_log(
    stand: IngestStand, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Rejection] = []

    def failing(rejection: Rejection) -> None:
        called.append(rejection)
        raise RuntimeError("a bug of the application")

    async with AsyncClient(url, stand.write_key, on_rejected=failing) as client:
        await client.track("ada", "fine")
        await client.track("ada", " ", id="bad")
        await client.track("ada", "fine too")
        told = await client.flush()
        await client.track("ada", "still alive")
        assert (await client.flush()).accepted == 1
    assert (told.accepted, told.rejected) == (2, 1)
    assert list(told.rejections) == called
    assert (called[0].event["id"], called[0].code, called[0].field) == ("bad", "missing_action", "action")
    assert "missing_action" in caplog.text


async def test_an_unknown_key_is_told_and_never_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with AsyncClient(url, KEY) as client:
        await client.track("ada", "opened report")
        told = await client.flush()
        shown = f"{client!r} {told!r} {vars(client)!r}"
    assert (told.rejected, told.rejections[0].status) == (1, 401)
    assert KEY not in caplog.text + shown


@pytest.mark.parametrize("key", ["", "ffw_a b", "ffw_secret\n", "ffw_sécret"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="`key`") as refused:
        Client("http://127.0.0.1:1", key)
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["footfall.example", "ftp://footfall.example", "http://", "https://a.example?x=1"]
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="`url`"):
        Client(url, KEY)


async def test_events_wait_out_a_log_that_is_away(stand: IngestStand, url: str) -> None:
    stand.log.away = True
    async with AsyncClient(url, stand.write_key) as client:
        ids = [await client.track("ada", "while away", properties={"n": n}) for n in range(20)]
        told = await client.flush(timeout_s=0.5)
        assert (told.accepted, told.waiting) == (0, 20)
        stand.log.away = False
        assert (await client.flush()).accepted == 20
    assert [event.id for event in await stand.events()] == ids


@pytest.fixture
def unreliable(request: pytest.FixtureRequest) -> Iterator[MisbehavingServer]:
    with misbehaving(request.param) as server:
        yield server


@pytest.mark.parametrize(
    "unreliable",
    [
        [refusal(503, "retry-after: 0"), refusal(429, "retry-after: 0")],
        [refusal(503, "retry-after: Sun, 22 Nov 2026 09:30:00 GMT", "date: Sun, 22 Nov 2026 09:30:00 GMT")],
        [refusal(408), refusal(500)],
        ["reset", "reset"],
        ["silent"],
        [b"SSH-2.0-not-http\r\n"],
        [b'HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"acc'],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<html>Log in!!!"],
        [b""],
    ],
    ids=[
        "asked to wait",
        "until a date",
        "failing",
        "reset",
        "silent",
        "no http",
        "cut",
        "a portal",
        "closed",
    ],
    indirect=True,
)
def test_what_may_pass_is_sent_again_with_the_same_ids(unreliable: MisbehavingServer) -> None:
    with Client(unreliable.url, KEY, timeout_s=0.3) as client:
        ids = [client.track("ada", "opened report") for _ in range(3)]
        assert client.flush() == Delivery(accepted=3)
    assert len(unreliable.bodies) > 1
    for body in unreliable.bodies:
        assert [event["id"] for event in body] == ids


@pytest.mark.parametrize(
    "unreliable", [[refusal(301, "location: http://elsewhere.example/")], [refusal(400)]], indirect=True
)
def test_what_cannot_pass_is_not_sent_again(unreliable: MisbehavingServer) -> None:
    with Client(unreliable.url, KEY) as client:
        client.track("ada", "opened report")
        told = client.flush()
    assert (told.accepted, told.rejected, told.waiting) == (0, 1, 0)
    assert len(unreliable.bodies) == 1


@pytest.mark.parametrize("unreliable", [[refusal(503, "retry-after: 1000")]], indirect=True)
def test_a_server_that_asks_to_wait_is_left_alone_until_then(unreliable: MisbehavingServer) -> None:
    client = Client(unreliable.url, KEY)
    client.track("ada", "opened report")
    assert client.flush(timeout_s=1).waiting == 1
    assert client.close(timeout_s=0.5).waiting == 1
    assert len(unreliable.bodies) == 1


def test_a_full_queue_drops_what_is_new_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with misbehaving([refusal(503, "retry-after: 1")]) as server:
        client = Client(server.url, KEY, queue_bytes=1_000_000)
        sent = [client.track("ada", "a", properties={"text": "x" * 100_000}) for _ in range(15)]
        told = client.close()
    assert told.accepted + told.dropped == 15
    assert told.dropped >= 5
    kept = [event["id"] for body in server.bodies[1:] for event in body]
    assert kept == sent[: len(kept)], "the old ones are kept"
    assert "dropped" in caplog.text


async def test_a_full_queue_can_hold_the_caller_up_instead() -> None:
    with misbehaving([refusal(503, "retry-after: 0")]) as server:
        async with AsyncClient(server.url, KEY, when_full="block", queue_bytes=1_000_000) as client:
            ids = [await client.track("ada", "a", properties={"text": "x" * 100_000}) for _ in range(30)]
            assert (await client.flush()).accepted == 30
        with Client(server.url, KEY, when_full="block", queue_bytes=1_000_000) as waiting:
            ids += [waiting.track("ada", "a", properties={"text": "x" * 100_000}) for _ in range(30)]
    assert [event["id"] for body in server.bodies[1:] for event in body] == ids


def test_a_closed_client_takes_nothing_and_closes_again() -> None:
    client = Client("http://127.0.0.1:1", KEY)
    client.track("ada", "lost")
    assert client.close(timeout_s=0).waiting == 1
    assert client.close().waiting == 1
    with pytest.raises(RuntimeError, match="closed"):
        client.track("ada", "late")


def test_bodies_are_bounded_in_events_and_compressed() -> None:
    with misbehaving([]) as server:
        with Client(server.url, KEY, body_events=50) as client:
            for n in range(120):
                client.track("ada", "a", properties={"n": n})
        assert [n["properties"]["n"] for body in server.bodies for n in body] == list(range(120))
        assert max(map(len, server.bodies)) == 50
        assert b"gzip" in server.headers[0].lower()


_PROGRAM = """
import os, sys, time
from footfall_client import Client

url, key, directory, what = sys.argv[1:]
client = Client(url, key, directory=directory or None, interval_s=0.05, timeout_s=2)
for n in range(500):
    client.track("ada", "from a program", id=f"e{n}", properties={"n": n})
print("tracked", flush=True)
if what == "wait":
    time.sleep(60)
elif what == "fork":
    if os.fork() == 0:
        client.track("bob", "from the child", id="child")
        client.close()
        os._exit(0)
    os.wait()
"""


def _program(url: str, key: str, directory: Path | None, what: str) -> "subprocess.Popen[str]":
    return _started("-c", _PROGRAM, url, key, str(directory or ""), what)


def _started(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)


async def _ended(program: "subprocess.Popen[str]") -> int:
    await asyncio.to_thread(program.communicate)
    return program.returncode


async def test_the_end_of_a_program_sends_what_waits(stand: IngestStand, url: str) -> None:
    assert await _ended(_program(url, stand.write_key, None, "end")) == 0
    assert len({event.id for event in await stand.events()}) == 500


@pytest.mark.parametrize("on_disk", [False, True])
async def test_a_forked_child_sends_its_own_events_and_not_its_parents(
    stand: IngestStand, url: str, tmp_path: Path, on_disk: bool
) -> None:
    directory = tmp_path / "queue" if on_disk else None
    assert await _ended(_program(url, stand.write_key, directory, "fork")) == 0
    ids = [event.id for event in await stand.events()]
    assert sorted(ids) == sorted([*(f"e{n}" for n in range(500)), "child"])


async def test_a_killed_program_leaves_its_events_to_the_next_one_on_the_directory(
    stand: IngestStand, url: str, tmp_path: Path
) -> None:
    stand.log.away = True
    program = _program(url, stand.write_key, tmp_path, "wait")
    assert program.stdout is not None
    assert await asyncio.to_thread(program.stdout.readline) == "tracked\n"
    program.send_signal(signal.SIGKILL)
    assert await _ended(program) == -signal.SIGKILL
    stand.log.away = False
    async with AsyncClient(url, stand.write_key, directory=tmp_path) as client:
        told = await client.flush()
    assert told == Delivery(accepted=500)
    assert [event.id for event in await stand.events()] == [f"e{n}" for n in range(500)]
    assert os.listdir(tmp_path) == ["lock"]


def _only_file(directory: Path) -> Path:
    (file,) = directory.glob("*/*.body")
    return file


async def test_damaged_records_are_counted_and_hold_no_flush_up(
    stand: IngestStand, url: str, tmp_path: Path
) -> None:
    stand.log.away = True
    async with AsyncClient(url, stand.write_key, directory=tmp_path) as client:
        await client.track("ada", "damaged")
        await client.track("ada", "whole")
        await client.close(timeout_s=0)
    stand.log.away = False
    left = _only_file(tmp_path)
    left.write_bytes(left.read_bytes().replace(b'"damaged"', b'"changed"'))
    async with AsyncClient(url, stand.write_key, directory=tmp_path) as client:
        async with asyncio.timeout(20):
            told = await client.flush(timeout_s=40)
        assert (told.accepted, told.damaged, told.waiting) == (1, 1, 0)
    left.parent.mkdir()
    left.write_bytes(b"rubbish")
    async with AsyncClient(url, stand.write_key, directory=tmp_path) as client:
        async with asyncio.timeout(20):
            assert (await client.flush(timeout_s=40)).damaged == 1
    assert [event.action for event in await stand.events()] == ["whole"]


async def test_kills_at_any_moment_lose_nothing_that_was_tracked(
    stand: IngestStand, url: str, tmp_path: Path
) -> None:
    """Each program counts up what it has tracked; the kill falls into tracking, sending and removing."""
    tracked = set()
    for delay_s in (0.02, 0.1, 0.2, 0.4):
        program = _started("-u", "-c", _COUNTING, url, stand.write_key, str(tmp_path))
        assert program.stdout is not None
        await asyncio.to_thread(program.stdout.readline)
        await asyncio.sleep(delay_s)
        program.send_signal(signal.SIGKILL)
        said, _ = await asyncio.to_thread(program.communicate)
        tracked |= set(said.split("\n")[:-1])
    async with AsyncClient(url, stand.write_key, directory=tmp_path) as client:
        told = await client.flush()
    assert told.waiting == 0
    assert tracked
    assert tracked <= {event.id for event in await stand.events()}


_COUNTING = """
import sys
from footfall_client import Client

client = Client(*sys.argv[1:3], directory=sys.argv[3], interval_s=0.01, body_events=20)
print("started")
while True:
    print(client.track("ada", "counted"))
"""
