from pathlib import Path

from access.keys import new_key
from access.projects import Projects
from eventmodel import ProjectId
from footfall.installation import Installation, ProjectKeys
from footfall.own_projects import ensure_main_project
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool


async def test_the_first_start_makes_it_and_the_next_ones_find_it(migrated_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    first = await ensure_main_project(installation, migrated_url)
    assert await ensure_main_project(installation, migrated_url) == first
    assert installation.read_keys() == ProjectKeys(first.write_key, first.secret_key, first.project)


async def test_a_start_that_died_between_keeping_and_creating_goes_on_with_the_same_keys(
    migrated_url: str, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    kept = ProjectKeys(new_key("write"), new_key("secret"))
    installation.write_keys(kept)
    main = await ensure_main_project(installation, migrated_url)
    assert (main.write_key, main.secret_key) == (kept.write_key, kept.secret_key)
    installation.write_keys(kept)
    assert await ensure_main_project(installation, migrated_url) == main


async def test_lost_keys_are_replaced_and_the_project_stays(migrated_url: str, tmp_path: Path) -> None:
    first = await ensure_main_project(Installation(tmp_path), migrated_url)
    (tmp_path / "keys.json").unlink()
    again = await ensure_main_project(Installation(tmp_path), migrated_url)
    assert again.project == first.project
    assert {again.write_key, again.secret_key}.isdisjoint({first.write_key, first.secret_key})


async def test_it_is_made_anew_after_it_was_deleted(migrated_url: str, tmp_path: Path) -> None:
    first = await ensure_main_project(Installation(tmp_path), migrated_url)
    async with open_pool(migrated_url, max_size=1) as pool:
        await Projects(pool, SystemClock()).delete(ProjectId(first.project))
    again = await ensure_main_project(Installation(tmp_path), migrated_url)
    assert again.project != first.project
    assert again.secret_key != first.secret_key


async def test_the_write_key_of_an_earlier_installation_becomes_readable(
    migrated_url: str, tmp_path: Path
) -> None:
    main = await ensure_main_project(Installation(tmp_path), migrated_url)
    async with open_pool(migrated_url, max_size=1) as pool:
        await pool.execute("UPDATE access.key SET key = NULL")
        assert await ensure_main_project(Installation(tmp_path), migrated_url) == main
        keys = await Projects(pool, SystemClock()).keys(ProjectId(main.project))
    assert {key.kind: key.key for key in keys} == {"write": main.write_key, "secret": None}
