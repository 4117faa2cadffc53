import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from footfall.embedded import EmbeddedPostgres, PostgresFailed, open_postgres

pytestmark = pytest.mark.postgres

_PARENT = """
import asyncio, pathlib, sys
from footfall.embedded import open_postgres
async def main():
    async with open_postgres(pathlib.Path(sys.argv[1])) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def _servers(directory: Path) -> list[psutil.Process]:
    """The PostgreSQL main processes that serve `directory`."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(directory / "postgres" / "data") in (process.info["cmdline"] or [])
        and process.info["cmdline"][0].endswith("/postgres")
    ]


async def _eventually(
    holds: Callable[[], object] | Callable[[], Awaitable[object]], deadline_s: float = 15
) -> None:
    async with asyncio.timeout(deadline_s):
        while True:
            answer = holds()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _connected(server: EmbeddedPostgres) -> Any:
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "installation"
    assert not _servers(tmp_path / "installation")


async def test_data_is_there_after_a_restart(directory: Path) -> None:
    async with open_postgres(directory) as server, _connected(server) as connection:
        await connection.execute("CREATE TABLE kept (word text)")
        await connection.execute("INSERT INTO kept VALUES ('été日')")
    async with open_postgres(directory) as server, _connected(server) as connection:
        assert await connection.fetchval("SELECT upper(word) FROM kept") == "ÉTÉ日"


async def test_only_a_socket_in_the_directory_is_open_and_writes_are_durable(directory: Path) -> None:
    async with open_postgres(directory) as server, _connected(server) as connection:
        found = {
            name: await connection.fetchval(f"SHOW {name}")
            for name in ("listen_addresses", "fsync", "synchronous_commit", "server_encoding", "TimeZone")
        }
        assert found == {
            "listen_addresses": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
        }
        assert (directory / "postgres").stat().st_mode & 0o777 == 0o700


async def test_a_path_too_long_for_a_socket_uses_loopback_with_a_password(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    async with open_postgres(deep) as server, _connected(server) as connection:
        assert "@127.0.0.1:" in server.url
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        without_password = server.url.replace(server.url.split("@")[0], "postgresql://footfall:wrong")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(without_password)


async def test_parents_that_only_their_owner_may_enter_are_passed_and_left_alone(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = closed.stat()
    async with open_postgres(closed / "installation") as server, _connected(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert (closed.stat().st_mode, closed.stat().st_uid) == (before.st_mode, before.st_uid)


async def test_server_is_gone_when_its_parent_is_killed_and_the_next_start_has_the_data(
    directory: Path,
) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, str(directory), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    url = (await parent.stdout.readline()).decode().strip()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    parent.kill()
    await parent.wait()
    async with open_postgres(directory) as server, _connected(server) as reader:
        assert await reader.fetchval("SELECT count(*) FROM kept") == 1000
    connection.terminate()


async def test_server_is_gone_when_its_guard_is_killed_and_a_start_stops_what_is_left(
    directory: Path,
) -> None:
    async with open_postgres(directory) as server:
        server.guard.kill()
        with pytest.raises(PostgresFailed):
            await server.watch()
        async with open_postgres(directory) as second, _connected(second) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_killed_server_is_started_again(directory: Path) -> None:
    async with open_postgres(directory) as server:
        [first] = _servers(directory)
        first.send_signal(signal.SIGKILL)

        async def answers() -> bool:
            try:
                async with _connected(server) as connection:
                    return bool(await connection.fetchval("SELECT true"))
            except (OSError, asyncpg.PostgresError):
                return False

        await _eventually(lambda: not first.is_running())
        await _eventually(answers)
        [again] = _servers(directory)
        assert again.pid != first.pid


async def test_a_pid_file_whose_pid_is_someone_elses_now_does_not_hinder_a_start(directory: Path) -> None:
    async with open_postgres(directory):
        kept = (directory / "postgres/data/postmaster.pid").read_text()
    pid_file = directory / "postgres/data/postmaster.pid"
    pid_file.write_text("\n".join([str(os.getpid()), *kept.splitlines()[1:]]) + "\n")
    async with open_postgres(directory) as server, _connected(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_an_interrupted_first_start_is_begun_again(directory: Path) -> None:
    unfinished = directory / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    async with open_postgres(directory) as server, _connected(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_data_of_another_major_version_is_refused_in_a_sentence(directory: Path) -> None:
    async with open_postgres(directory):
        pass
    (directory / "postgres/data/PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresFailed, match="written by PostgreSQL 17; this Footfall runs 18"):
        async with open_postgres(directory):
            pass


async def test_a_server_that_cannot_start_says_its_last_words(directory: Path) -> None:
    async with open_postgres(directory):
        pass
    (directory / "postgres/data/global/pg_control").unlink()
    with pytest.raises(PostgresFailed, match="could not find the database system"):
        async with open_postgres(directory):
            pass
