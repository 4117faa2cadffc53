"""Migrations are applied once, in order, together with their mark, whoever else is at it."""

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from lifecycle.database import open_pool
from lifecycle.failures import DatabaseAway, SchemaBehind
from lifecycle.migrations import MigrationError, Owner, await_schema, migrate, pending

FIRST = "CREATE TABLE shop.basket (id int PRIMARY KEY); CREATE TABLE shop.log (at timestamptz DEFAULT now());"
SECOND = "INSERT INTO shop.log DEFAULT VALUES;"


class Package:
    """An importable package with a migrations directory."""

    def __init__(self, root: Path, name: str) -> None:
        self.directory = root / name / "migrations"
        self.directory.mkdir(parents=True)
        (root / name / "__init__.py").touch()
        self.owner = Owner("shop", name)

    def write(self, files: Mapping[str, str]) -> None:
        for name, sql in files.items():
            (self.directory / name).write_text(sql)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Package:
    monkeypatch.syspath_prepend(tmp_path)
    made = Package(tmp_path, f"shop_{abs(hash(request.node.nodeid))}")
    importlib.invalidate_caches()
    made.write({"0001_basket.sql": FIRST, "0002_entry.sql": SECOND})
    return made


async def test_files_are_applied_in_order_and_once(postgres_url: str, package: Package) -> None:
    async with open_pool(postgres_url) as pool, pool.acquire() as connection:
        assert await pending(connection, [package.owner]) == ["shop/0001_basket.sql", "shop/0002_entry.sql"]
        assert await migrate(connection, [package.owner]) == ["shop/0001_basket.sql", "shop/0002_entry.sql"]
        assert await pending(connection, [package.owner]) == []
        assert await migrate(connection, [package.owner]) == []
        assert await connection.fetchval("SELECT count(*) FROM shop.log") == 1


async def test_several_at_once_take_turns(postgres_url: str, package: Package) -> None:
    async def one(pool: "asyncpg.Pool[asyncpg.Record]") -> int:
        async with pool.acquire() as connection:
            return len(await migrate(connection, [package.owner]))

    async with open_pool(postgres_url) as pool:
        applied = await asyncio.gather(*(one(pool) for _ in range(6)))
        assert sorted(applied) == [0, 0, 0, 0, 0, 2]
        assert await pool.fetchval("SELECT count(*) FROM shop.log") == 1


async def test_a_failing_file_leaves_nothing_of_itself_and_can_be_repaired(
    postgres_url: str, package: Package
) -> None:
    package.write({"0003_broken.sql": "CREATE TABLE shop.half (id int); SELECT 1 / 0;"})
    async with open_pool(postgres_url) as pool, pool.acquire() as connection:
        with pytest.raises(MigrationError, match=r"0003_broken\.sql failed: division by zero"):
            await migrate(connection, [package.owner])
        assert await connection.fetchval("SELECT to_regclass('shop.half')") is None
        assert await pending(connection, [package.owner]) == ["shop/0003_broken.sql"]
        package.write({"0003_broken.sql": "CREATE TABLE shop.half (id int);"})
        assert await migrate(connection, [package.owner]) == ["shop/0003_broken.sql"]


async def test_an_edited_file_is_refused(postgres_url: str, package: Package) -> None:
    async with open_pool(postgres_url) as pool, pool.acquire() as connection:
        await migrate(connection, [package.owner])
        package.write({"0001_basket.sql": FIRST + " -- now better", "0003_more.sql": "SELECT 1;"})
        with pytest.raises(MigrationError, match=r"0001_basket\.sql was applied .* edited since"):
            await migrate(connection, [package.owner])
        assert await pending(connection, [package.owner]) == ["shop/0003_more.sql"]


async def test_other_line_ends_are_no_edit(postgres_url: str, package: Package) -> None:
    package.write({"0001_basket.sql": FIRST + "\n"})
    async with open_pool(postgres_url) as pool, pool.acquire() as connection:
        await migrate(connection, [package.owner])
        (package.directory / "0001_basket.sql").write_bytes(FIRST.encode() + b"\r\n")
        assert await migrate(connection, [package.owner]) == []


async def test_a_database_newer_than_the_code_serves_and_says_so(
    postgres_url: str, package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    package.write({"0003_later.sql": "SELECT 1;"})
    async with open_pool(postgres_url) as pool, pool.acquire() as connection:
        await migrate(connection, [package.owner])
        (package.directory / "0003_later.sql").unlink()
        assert await pending(connection, [package.owner]) == []
        assert await migrate(connection, [package.owner]) == []
    assert "0003_later.sql" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [("3_short.sql", "not named NNNN_name"), ("0002_again.sql", "two migrations with number 0002")],
)
async def test_misnamed_files_are_refused_before_anything_is_applied(
    postgres_url: str, package: Package, name: str, said: str
) -> None:
    package.write({name: "SELECT 1;"})
    async with open_pool(postgres_url) as pool, pool.acquire() as connection:
        with pytest.raises(MigrationError, match=said):
            await migrate(connection, [package.owner])
        assert await connection.fetchval("SELECT to_regnamespace('shop')") is None


async def test_a_service_waits_for_its_schema_and_then_gives_up(postgres_url: str, package: Package) -> None:
    async with open_pool(postgres_url) as pool, pool.acquire() as waiting, pool.acquire() as migrating:
        with pytest.raises(SchemaBehind, match="footfall migrate"):
            await await_schema(waiting, [package.owner], timeout_s=0)
        async with asyncio.TaskGroup() as group:
            group.create_task(await_schema(waiting, [package.owner]))
            group.create_task(_migrate(migrating, package.owner))


async def _migrate(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", owner: Owner) -> None:
    await migrate(connection, [owner])


async def test_a_pool_speaks_utc_under_its_name(postgres_url: str) -> None:
    async with open_pool(postgres_url, application="footfall-probe") as pool:
        rows = await pool.fetch(
            "SELECT name, setting FROM pg_settings WHERE name IN ('TimeZone', 'jit', 'application_name')"
        )
    assert {row["name"]: row["setting"] for row in rows} == {
        "TimeZone": "UTC",
        "jit": "off",
        "application_name": "footfall-probe",
    }


async def test_a_held_connection_does_not_keep_the_pool_open(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.database.CLOSE_TIMEOUT_S", 0.2)
    async with open_pool(postgres_url, application="footfall-held") as pool:
        await pool.acquire()
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'footfall-held'"
    async with open_pool(postgres_url) as pool, asyncio.timeout(20):
        while await pool.fetchval(left):
            continue


async def test_a_database_that_does_not_answer_is_said_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lifecycle.database.START_TIMEOUT_S", 0.0)
    with pytest.raises(DatabaseAway, match="does not answer") as caught:
        async with open_pool("postgresql://footfall:hunter2@127.0.0.1:1/footfall"):
            raise AssertionError("opened")
    assert "hunter2" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_said_at_once(postgres_url: str) -> None:
    with pytest.raises(DatabaseAway, match="refuses FOOTFALL_DATABASE_URL"):
        async with open_pool(postgres_url.replace("/test_", "/gone_")):
            raise AssertionError("opened")
