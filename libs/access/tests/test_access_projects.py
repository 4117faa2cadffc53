import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from access.cache import Access, open_access
from access.errors import InvalidValue, NameTaken, TooManyKeys, UnknownProject
from access.keys import is_id, kind_of, new_id, new_key
from access.projects import MAX_KEYS, OWNERS, Projects
from eventmodel import ProjectId
from fake_clock import FakeClock
from lifecycle.database import open_pool
from telemetry.metrics import Metrics

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


@pytest.fixture
async def pool(migrated_url: str) -> AsyncIterator[Pool]:
    async with open_pool(migrated_url) as pool:
        yield pool


@pytest.fixture
async def access(pool: Pool) -> AsyncIterator[Access]:
    async with open_access(pool, FakeClock(), Metrics("test")) as access:
        yield access


@pytest.fixture
def projects(pool: Pool) -> Projects:
    return Projects(pool, FakeClock())


async def test_a_new_project_has_one_key_of_each_kind(projects: Projects, access: Access) -> None:
    created = await projects.create("  Main shop ")
    assert is_id("project", created.project)
    assert (kind_of(created.write_key), kind_of(created.secret_key)) == ("write", "secret")
    write, secret = await access.by_key(created.write_key), await access.by_key(created.secret_key)
    assert write is not None
    assert secret is not None
    assert (write.project, write.kind) == (created.project, "write")
    assert (secret.project, secret.kind) == (created.project, "secret")
    entry, known = await projects.get(created.project), access.project(created.project)
    assert known is not None
    assert (entry.project.id, entry.project.settings) == (known.id, known.settings)
    assert (len(known.hash_key), entry.project.hash_key) == (32, b"")
    assert (entry.project.name, entry.project.settings.time_zone) == ("Main shop", "UTC")


async def test_of_a_secret_key_only_the_hash_is_stored(projects: Projects, pool: Pool) -> None:
    created = await projects.create("main")
    more = await projects.create_key(created.project, "secret", "ci")
    stored = repr([dict(row) for row in await pool.fetch("SELECT * FROM access.key")])
    for key in (created.secret_key, more.key):
        assert key not in stored
        assert key[4:40] not in stored
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("UPDATE access.key SET key = $1 WHERE kind = 'secret'", created.secret_key)


async def test_a_write_key_can_be_read_again(projects: Projects) -> None:
    created = await projects.create("main")
    more = await projects.create_key(created.project, "write", "web")
    found = [key.key for key in await projects.keys(created.project)]
    assert sorted(map(str, found)) == sorted([created.write_key, more.key, "None"])
    assert more.entry.key == more.key
    assert (await projects.create_key(created.project, "secret")).entry.key is None


async def test_a_write_key_from_before_its_text_was_kept_becomes_readable(
    projects: Projects, pool: Pool
) -> None:
    created, other = await projects.create("main"), await projects.create("other")
    await pool.execute("UPDATE access.key SET key = NULL")
    for wrong in (created.secret_key, other.write_key, new_key("write"), "", "ffw_"):
        assert not await projects.keep_write_key(created.project, wrong)
    assert [key.key for key in await projects.keys(created.project)] == [None, None]
    assert await projects.keep_write_key(created.project, created.write_key)
    assert await projects.keep_write_key(created.project, created.write_key)
    kept = {key.kind: key.key for key in await projects.keys(created.project)}
    assert kept == {"write": created.write_key, "secret": None}
    assert {key.key for key in await projects.keys(other.project)} == {None}
    with pytest.raises(UnknownProject):
        await projects.keep_write_key(ProjectId(new_id("project")), created.write_key)


async def test_a_demo_stays_one(projects: Projects, access: Access) -> None:
    demo, other = await projects.create("demo", demo=True), await projects.create("main")
    await projects.change(demo.project, time_zone="Asia/Tokyo", trial_actions=["joined"])
    await access.refresh()
    shown = {project.id: project.settings.demo for project in access.projects()}
    assert shown == {demo.project: True, other.project: False}


async def test_a_name_is_unique_among_live_projects_and_free_after_deletion(projects: Projects) -> None:
    first = await projects.create("main")
    with pytest.raises(NameTaken):
        await projects.create("main")
    second = await projects.create("other")
    with pytest.raises(NameTaken):
        await projects.change(second.project, name="main")
    await projects.delete(first.project)
    third = await projects.create("main")
    assert third.project != first.project


async def test_of_several_creations_at_once_one_wins(projects: Projects) -> None:
    results = await asyncio.gather(*(projects.create("main") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(result, NameTaken) for result in results) == 5


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a\nb", "a\0b", "\ud800"])
async def test_a_name_is_one_printable_line(projects: Projects, name: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        await projects.create(name)
    assert caught.value.field == "name"


async def test_creation_with_given_keys_may_be_repeated(projects: Projects, access: Access) -> None:
    write, secret = new_key("write"), new_key("secret")
    created = await projects.create("main", write_key=write, secret_key=secret)
    assert (created.write_key, created.secret_key) == (write, secret)
    assert await projects.create("main", write_key=write, secret_key=secret) == created
    assert len(await projects.keys(created.project)) == 2
    with pytest.raises(NameTaken):
        await projects.create("main", write_key=new_key("write"), secret_key=secret)
    with pytest.raises(InvalidValue):
        await projects.create("other", write_key=new_key("secret"), secret_key=new_key("secret"))
    found = await access.by_key(write)
    assert found is not None
    assert found.project == created.project
    await projects.delete(created.project)
    with pytest.raises(InvalidValue, match="used before"):
        await projects.create("main", write_key=write, secret_key=secret)
    assert await projects.list() == []


async def test_settings_changes_raise_their_version_and_reach_readers(
    projects: Projects, access: Access
) -> None:
    project = (await projects.create("main")).project
    await access.refresh()
    changed = await projects.change(project, time_zone="Europe/Berlin", name="Hauptladen")
    assert (changed.project.settings.time_zone, changed.project.settings.version) == ("Europe/Berlin", 2)
    changed = await projects.change(project, trial_actions=["joined"])
    assert changed.project.settings.version == 3
    assert (await projects.change(project, trial_actions=["joined"])).project.settings.version == 3
    await access.refresh()
    known = access.project(project)
    assert known is not None
    assert (known.id, known.settings) == (changed.project.id, changed.project.settings)


async def test_a_refused_change_changes_nothing(projects: Projects) -> None:
    await projects.create("taken")
    project = (await projects.create("main")).project
    before = await projects.get(project)
    with pytest.raises(NameTaken):
        await projects.change(project, time_zone="Europe/Berlin", name="taken")
    with pytest.raises(InvalidValue):
        await projects.change(project, name="new", time_zone="Nowhere")
    assert await projects.get(project) == before


async def test_a_revoked_key_stops_and_the_others_go_on(projects: Projects, access: Access) -> None:
    created = await projects.create("main")
    more = await projects.create_key(created.project, "write", " shop page ")
    assert more.entry.label == "shop page"
    assert more.entry.last_four == more.key[-4:]
    assert await access.by_key(more.key)
    assert await projects.revoke_key(created.project, more.entry.id)
    assert await projects.revoke_key(created.project, more.entry.id)
    await access.refresh()
    assert await access.by_key(more.key) is None
    assert await access.by_key(created.write_key)
    revoked = [key.id for key in await projects.keys(created.project) if key.revoked_at]
    assert revoked == [more.entry.id]


async def test_a_key_of_another_project_cannot_be_revoked(projects: Projects, access: Access) -> None:
    mine, theirs = await projects.create("mine"), await projects.create("theirs")
    for key in await projects.keys(theirs.project):
        assert not await projects.revoke_key(mine.project, key.id)
    assert await access.by_key(theirs.secret_key)


async def test_live_keys_are_bounded(projects: Projects) -> None:
    project = (await projects.create("main")).project
    made = [await projects.create_key(project, "write") for _ in range(MAX_KEYS - 2)]
    with pytest.raises(TooManyKeys):
        await projects.create_key(project, "write")
    await projects.revoke_key(project, made[0].entry.id)
    await projects.create_key(project, "write")


async def test_a_deleted_project_is_gone_at_once_and_for_good(projects: Projects, access: Access) -> None:
    created = await projects.create("main")
    assert await access.by_key(created.write_key)
    await projects.delete(created.project)
    await access.refresh()
    assert await access.by_key(created.write_key) is None
    assert await access.resolve(created.project) is None
    assert await projects.list() == []
    for ask in (projects.get, projects.delete, projects.keys):
        with pytest.raises(UnknownProject):
            await ask(created.project)
    with pytest.raises(UnknownProject):
        await projects.create_key(created.project, "write")
    with pytest.raises(UnknownProject):
        await projects.change(created.project, name="back")


async def test_the_row_goes_when_every_owner_has_purged(projects: Projects, pool: Pool) -> None:
    created, kept = await projects.create("main"), await projects.create("kept")
    assert not await projects.purged(kept.project, "gateway")
    await projects.delete(created.project)
    *some, last = OWNERS
    for owner in some:
        assert await projects.deleted(owner) == [created.project]
        assert not await projects.purged(created.project, owner)
        assert not await projects.purged(created.project, owner)
        assert await projects.deleted(owner) == []
    assert await projects.purged(created.project, last)
    left = await pool.fetch("SELECT id FROM access.project")
    assert [row["id"] for row in left] == [kept.project]
    assert not await projects.purged(ProjectId(new_id("project")), "gateway")


async def test_every_change_moves_the_version_also_one_by_hand(projects: Projects, pool: Pool) -> None:
    async def version() -> int:
        n = await pool.fetchval("SELECT n FROM access.version")
        assert isinstance(n, int)
        return n

    created = await projects.create("main")
    for change in (
        projects.change(created.project, name="new"),
        projects.create_key(created.project, "write"),
        pool.execute("UPDATE access.key SET revoked_at = now()"),
        pool.execute("TRUNCATE access.session"),
        projects.delete(created.project),
        *(projects.purged(created.project, owner) for owner in OWNERS),
    ):
        before = await version()
        await change
        assert await version() > before


async def test_changes_at_once_do_not_lock_each_other_up(projects: Projects) -> None:
    created = [await projects.create(f"p{n}") for n in range(4)]
    results = await asyncio.gather(
        *(projects.create_key(made.project, "write") for made in created),
        *(projects.change(made.project, time_zone="Asia/Tokyo") for made in created),
        *(projects.delete(made.project) for made in created[:2]),
        *(projects.create(f"q{n}") for n in range(4)),
        return_exceptions=True,
    )
    assert all(
        not isinstance(result, BaseException) or isinstance(result, UnknownProject) for result in results
    )
    assert len(await projects.list()) == 6
