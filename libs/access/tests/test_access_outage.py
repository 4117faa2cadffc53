from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from access.cache import open_access
from access.errors import AccessUnavailable
from access.keys import new_key
from access.logins import Logins
from access.projects import Projects
from fake_clock import FakeClock
from lifecycle.database import open_pool
from postgres_server import PostgresServer
from telemetry.metrics import Metrics


@asynccontextmanager
async def taken_away(server: PostgresServer, url: str) -> AsyncIterator[None]:
    """The database of the URL refuses everybody, and nobody is left on it."""
    name = urlsplit(url).path.removeprefix("/")
    admin = await asyncpg.connect(server.url("postgres"))
    try:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        yield
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        await admin.close()


async def test_known_keys_work_while_the_database_is_away(
    postgres_server: PostgresServer, migrated_url: str
) -> None:
    clock = FakeClock()
    async with open_pool(migrated_url) as pool, open_access(pool, clock, Metrics("test")) as access:
        projects = Projects(pool, clock)
        created = await projects.create("main")
        assert await access.by_key(created.write_key)
        async with taken_away(postgres_server, migrated_url):
            with pytest.raises(AccessUnavailable):
                await access.refresh()
            clock.advance(600)
            assert await access.by_key(created.write_key)
            assert "600 s ago still answer" in access.state()
            with pytest.raises(AccessUnavailable):
                await access.by_key(new_key("write"))
            with pytest.raises(AccessUnavailable):
                await projects.create("other")
            with pytest.raises(AccessUnavailable):
                await Logins(pool, clock).create_link(None)
            clock.advance(301)
            with pytest.raises(AccessUnavailable):
                await access.by_key(created.write_key)
        await access.refresh()
        assert access.state() == "ok"
        assert await access.by_key(created.write_key)
        await projects.create("other")


async def test_access_opens_without_its_tables(postgres_url: str) -> None:
    async with open_pool(postgres_url) as pool, open_access(pool, FakeClock(), Metrics("test")) as access:
        assert "footfall migrate" in access.state()
        with pytest.raises(AccessUnavailable):
            await access.by_key(new_key("write"))


async def test_access_opens_without_the_database_and_finds_it_later(
    postgres_server: PostgresServer, migrated_url: str
) -> None:
    async with asyncpg.create_pool(migrated_url, min_size=0, max_size=2) as pool, AsyncExitStack() as stack:
        async with taken_away(postgres_server, migrated_url):
            access = await stack.enter_async_context(open_access(pool, FakeClock(), Metrics("test")))
            assert access.state() != "ok"
        await access.refresh()
        assert access.state() == "ok"
        assert await access.by_key(new_key("write")) is None
