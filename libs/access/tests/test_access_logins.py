import asyncio
from collections.abc import AsyncIterator

import pytest

from access.cache import Access, open_access
from access.errors import InvalidValue, UnknownProject
from access.issuing import TokenIssuer
from access.keys import new_id, new_secret
from access.logins import MAX_LINK_S, SESSION_S, Logins
from access.projects import Projects
from access.tokens import MAX_TOKEN_S, signing_key_id
from eventmodel import ProjectId
from fake_clock import FakeClock
from lifecycle.database import open_pool
from telemetry.metrics import Metrics


class World:
    def __init__(self, logins: Logins, projects: Projects, access: Access, issuer: TokenIssuer) -> None:
        self.logins = logins
        self.projects = projects
        self.access = access
        self.issuer = issuer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def world(migrated_url: str, clock: FakeClock) -> AsyncIterator[World]:
    async with open_pool(migrated_url) as pool, open_access(pool, clock, Metrics("test")) as access:
        yield World(Logins(pool, clock), Projects(pool, clock), access, TokenIssuer(pool, access, clock))


async def test_a_link_opens_one_session(world: World) -> None:
    project = (await world.projects.create("main")).project
    other = (await world.projects.create("other")).project
    link = await world.logins.create_link(project)
    assert await world.logins.is_usable(link.token)
    assert await world.logins.is_usable(link.token), "asking uses nothing up"
    opened = await world.logins.consume(link.token)
    assert opened is not None
    assert opened.project == project
    session = await world.access.by_session(opened.cookie)
    assert session is not None
    assert session.may_see(project)
    assert not session.may_see(other)
    assert not await world.logins.is_usable(link.token)
    assert await world.logins.consume(link.token) is None


async def test_of_several_uses_at_once_one_wins(world: World) -> None:
    link = await world.logins.create_link(None)
    opened = await asyncio.gather(*(world.logins.consume(link.token) for _ in range(8)))
    assert sum(session is not None for session in opened) == 1


async def test_a_link_ends_with_its_time(world: World, clock: FakeClock) -> None:
    link = await world.logins.create_link(None, expires_in_s=60)
    clock.advance(60)
    assert not await world.logins.is_usable(link.token)
    assert await world.logins.consume(link.token) is None


async def test_a_link_for_all_sees_projects_made_later(world: World) -> None:
    opened = await world.logins.consume((await world.logins.create_link(None)).token)
    assert opened is not None
    later = (await world.projects.create("later")).project
    session = await world.access.by_session(opened.cookie)
    assert session is not None
    assert session.projects is None
    assert session.may_see(later)


async def test_a_second_login_adds_its_project_and_replaces_the_cookie(world: World) -> None:
    first = (await world.projects.create("first")).project
    second = (await world.projects.create("second")).project
    old = await world.logins.consume((await world.logins.create_link(first)).token)
    assert old is not None
    new = await world.logins.consume((await world.logins.create_link(second)).token, old.cookie)
    assert new is not None
    session = await world.access.by_session(new.cookie)
    assert session is not None
    assert session.projects == frozenset({first, second})
    assert await world.access.by_session(old.cookie) is None


async def test_logging_out_ends_the_session_and_its_tokens(world: World) -> None:
    project = (await world.projects.create("main")).project
    opened = await world.logins.consume((await world.logins.create_link(project)).token)
    assert opened is not None
    await world.logins.end(opened.cookie)
    await world.logins.end(opened.cookie)
    await world.access.refresh()
    assert await world.access.by_session(opened.cookie) is None


async def test_a_session_ends_with_its_time(world: World, clock: FakeClock) -> None:
    opened = await world.logins.consume((await world.logins.create_link(None)).token)
    assert opened is not None
    clock.advance(SESSION_S)
    await world.access.refresh()
    assert await world.access.by_session(opened.cookie) is None


async def test_no_link_for_a_project_that_is_not_there(world: World) -> None:
    with pytest.raises(UnknownProject):
        await world.logins.create_link(ProjectId(new_id("project")))
    project = (await world.projects.create("main")).project
    link = await world.logins.create_link(project)
    await world.projects.delete(project)
    assert await world.logins.consume(link.token) is None


@pytest.mark.parametrize("seconds", [0, -1, MAX_LINK_S + 1])
async def test_a_links_time_is_bounded(world: World, seconds: int) -> None:
    with pytest.raises(InvalidValue):
        await world.logins.create_link(None, expires_in_s=seconds)


async def test_garbage_opens_nothing(world: World) -> None:
    for text in ("", "x", "\0", "\ud800", new_secret(), "a" * 10_000):
        assert await world.logins.consume(text) is None
        assert not await world.logins.is_usable(text)
        await world.logins.end(text)


async def test_an_issued_token_reads_within_its_restriction(world: World, clock: FakeClock) -> None:
    created = await world.projects.create("main")
    issuer = await world.access.by_key(created.secret_key)
    assert issuer is not None
    issued = await world.issuer.issue(issuer, account="acme", expires_in_s=60)
    principal = await world.access.by_token(issued.token)
    assert principal is not None
    assert (principal.project, principal.kind, principal.account, principal.user) == (
        created.project,
        "token",
        "acme",
        None,
    )
    assert (issued.expires_at - clock.now()).total_seconds() <= 60
    clock.advance(61)
    assert await world.access.by_token(issued.token) is None


async def test_a_token_stops_with_the_key_it_was_issued_with(world: World) -> None:
    created = await world.projects.create("main")
    issuer = await world.access.by_key(created.secret_key)
    assert issuer is not None
    assert issuer.key_id is not None
    issued = await world.issuer.issue(issuer)
    assert await world.access.by_token(issued.token)
    await world.projects.revoke_key(created.project, issuer.key_id)
    await world.access.refresh()
    assert await world.access.by_token(issued.token) is None


async def test_rotation_signs_anew_and_keeps_the_old_tokens_until_they_expire(
    world: World, clock: FakeClock
) -> None:
    created = await world.projects.create("main")
    issuer = await world.access.by_key(created.secret_key)
    assert issuer is not None
    old = await world.issuer.issue(issuer, expires_in_s=MAX_TOKEN_S)
    await world.issuer.rotate()
    new = await world.issuer.issue(issuer)
    assert signing_key_id(old.token) != signing_key_id(new.token)
    assert await world.access.by_token(old.token)
    assert await world.access.by_token(new.token)
    clock.advance(MAX_TOKEN_S)
    await world.issuer.rotate()
    assert await world.access.by_token(old.token) is None


async def test_first_tokens_at_once_share_one_signing_key(world: World) -> None:
    created = await world.projects.create("main")
    issuer = await world.access.by_key(created.secret_key)
    assert issuer is not None
    issued = await asyncio.gather(*(world.issuer.issue(issuer) for _ in range(5)))
    assert len({signing_key_id(token.token) for token in issued}) == 1


@pytest.mark.parametrize(
    ("account", "user", "seconds", "field"),
    [
        ("", None, 60, "account"),
        (None, "a" * 513, 60, "user"),
        (None, "a\0", 60, "user"),
        (None, None, 0, "expires_in_s"),
        (None, None, MAX_TOKEN_S + 1, "expires_in_s"),
    ],
)
async def test_a_tokens_content_is_bounded(
    world: World, account: str | None, user: str | None, seconds: int, field: str
) -> None:
    created = await world.projects.create("main")
    issuer = await world.access.by_key(created.secret_key)
    assert issuer is not None
    with pytest.raises(InvalidValue) as caught:
        await world.issuer.issue(issuer, account=account, user=user, expires_in_s=seconds)
    assert caught.value.field == field
