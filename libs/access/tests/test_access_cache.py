import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from access.cache import HOLD_S, Access
from access.errors import AccessUnavailable
from access.keys import digest, new_id, new_key, new_secret
from access.model import Principal, Session
from access.tokens import SigningKey, sign
from access_in_memory import MemoryStore
from eventmodel import ProjectId
from fake_clock import FakeClock
from telemetry.metrics import Metrics


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def access(store: MemoryStore, clock: FakeClock) -> Access:
    access = Access(store, clock, Metrics("test"))
    await access.refresh()
    return access


async def test_a_key_just_created_works_at_once(access: Access, store: MemoryStore) -> None:
    key = new_key("write")
    principal = store.add_key(store.add_project().id, key, "write")
    assert await access.by_key(key) == principal


async def test_a_known_key_asks_the_database_nothing(access: Access, store: MemoryStore) -> None:
    key = new_key("secret")
    store.add_key(store.add_project().id, key, "secret")
    await access.by_key(key)
    before = store.versions_read
    for _ in range(100):
        assert await access.by_key(key)
    assert store.versions_read == before


async def test_a_flood_of_wrong_keys_shares_few_reads(access: Access, store: MemoryStore) -> None:
    before = store.versions_read
    found = await asyncio.gather(*(access.by_key(new_key("write")) for _ in range(500)))
    assert found == [None] * 500
    assert store.versions_read - before <= 2
    assert store.snapshots_read == 1


async def test_what_is_no_key_is_not_looked_up(access: Access, store: MemoryStore) -> None:
    before = store.versions_read
    for text in ("", "ffw_short", "x" * 47, "\ud800"):
        assert await access.by_key(text) is None
        assert await access.by_session(text) is None
        assert await access.by_token(text) is None
    assert store.versions_read == before


async def test_a_revoked_key_stops_with_the_next_poll(access: Access, store: MemoryStore) -> None:
    key = new_key("write")
    principal = store.add_key(store.add_project().id, key, "write")
    assert await access.by_key(key)
    store.put(replace(store.snapshot, keys={}))
    await access.refresh()
    assert await access.by_key(key) is None
    assert not access.still_valid(principal)


async def test_run_follows_the_database(access: Access, store: MemoryStore) -> None:
    project = store.add_project()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await access.run()
    assert access.project(project.id) == project


async def test_keys_outlive_the_database_for_a_quarter_of_an_hour(
    access: Access, store: MemoryStore, clock: FakeClock
) -> None:
    key, project = new_key("write"), store.add_project()
    principal = store.add_key(project.id, key, "write")
    await access.refresh()
    store.away = True
    with pytest.raises(AccessUnavailable):
        await access.refresh()
    clock.advance(HOLD_S - 1)
    assert await access.by_key(key) == principal
    assert access.still_valid(principal)
    assert "still answer, for 1 s more" in access.state()
    clock.advance(2)
    with pytest.raises(AccessUnavailable) as caught:
        await access.by_key(key)
    assert caught.value.retry_after_s > 0
    assert not access.still_valid(principal)
    assert access.project(project.id) == project
    assert "503" in access.state()
    store.away = False
    await access.refresh()
    assert await access.by_key(key) == principal
    assert access.state() == "ok"


async def test_an_unknown_key_is_not_called_wrong_while_the_database_is_away(
    access: Access, store: MemoryStore, clock: FakeClock
) -> None:
    store.away = True
    for _ in range(3):
        with pytest.raises(AccessUnavailable):
            await access.by_key(new_key("write"))
    assert store.versions_read == 2, "one read tells all who ask within the next second"
    clock.advance(1)
    store.away = False
    assert await access.by_key(new_key("write")) is None


async def test_an_unknown_key_does_not_wait_for_a_database_that_is_silent(
    store: MemoryStore, clock: FakeClock
) -> None:
    access = Access(store, clock, Metrics("test"))
    await access.refresh()
    silent = asyncio.Event()

    async def never() -> int:
        await silent.wait()
        return 0

    store.version = never  # type: ignore[method-assign]
    with pytest.raises(AccessUnavailable):
        await access.by_key(new_key("write"))


async def test_nothing_is_known_before_the_first_read(store: MemoryStore, clock: FakeClock) -> None:
    access = Access(store, clock, Metrics("test"))
    for ask in (access.by_key, access.by_token, access.by_session):
        with pytest.raises(AccessUnavailable):
            await ask("x")
    with pytest.raises(AccessUnavailable):
        access.project(ProjectId("p"))
    assert access.state() != "ok"


async def test_a_caller_that_goes_away_leaves_the_others_their_read(
    access: Access, store: MemoryStore
) -> None:
    key = new_key("write")
    principal = store.add_key(store.add_project().id, key, "write")
    first = asyncio.create_task(access.by_key(new_key("write")))
    second = asyncio.create_task(access.by_key(key))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == principal


async def test_a_consumer_learns_of_a_project_it_has_not_heard_of(access: Access, store: MemoryStore) -> None:
    project = store.add_project()
    assert access.project(project.id) is None
    assert await access.resolve(project.id) == project


async def test_a_project_that_is_gone_is_looked_up_once(access: Access, store: MemoryStore) -> None:
    gone = ProjectId(new_id("project"))
    before = store.versions_read
    for _ in range(10):
        assert await access.resolve(gone) is None
    assert store.versions_read == before + 1


async def test_a_token_ends_with_its_time_its_key_and_its_project(
    access: Access, store: MemoryStore, clock: FakeClock
) -> None:
    project, key = store.add_project(), new_key("secret")
    issuer = store.add_key(project.id, key, "secret")
    signing = SigningKey(new_id("signing"), new_secret().encode())
    store.put(replace(store.snapshot, signing_keys=(signing,)))
    full = store.snapshot
    end = clock.now().replace(microsecond=0) + timedelta(minutes=10)
    principal = Principal(project.id, "token", issuer.key_id, "acme", expires_at=end)
    token = sign(principal, signing)
    assert await access.by_token(token) == principal

    store.put(replace(full, keys={}))
    await access.refresh()
    assert await access.by_token(token) is None
    store.put(replace(full, projects={}))
    await access.refresh()
    assert await access.by_token(token) is None
    store.put(replace(full, signing_keys=()))
    await access.refresh()
    assert await access.by_token(token) is None

    store.put(full)
    await access.refresh()
    assert access.still_valid(principal)
    clock.advance(601)
    assert await access.by_token(token) is None
    assert not access.still_valid(principal)


async def test_a_session_ends_with_its_time_and_when_it_is_revoked(
    access: Access, store: MemoryStore, clock: FakeClock
) -> None:
    project, cookie = store.add_project(), new_secret()
    session = Session(new_id("session"), frozenset({project.id}), clock.now() + timedelta(minutes=10))
    store.put(replace(store.snapshot, sessions={digest(cookie): session}))
    principal = Principal(project.id, "session", session.id, expires_at=session.expires_at)
    assert await access.by_session(cookie) == session
    assert access.still_valid(principal)
    assert not access.still_valid(replace(principal, project=store.add_project("other").id))
    clock.advance(600)
    assert await access.by_session(cookie) is None
    assert not access.still_valid(principal)
    store.put(replace(store.snapshot, sessions={}))
    await access.refresh()
    assert await access.by_session(cookie) is None
