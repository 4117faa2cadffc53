"""The tables of the pages, made from the history of an installation that has none of them yet."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from generated_stream import generate
from running_gateway import NOW, Gateway, running_gateway

_ZONE = "Asia/Kolkata"
_MIGRATIONS = files("stream_gateway") / "migrations"


async def test_what_the_projector_would_have_counted_is_there_after_the_migration(migrated_url: str) -> None:
    async with running_gateway(migrated_url) as gateway:
        path = f"/v1/projects/{gateway.project.project}"
        assert (await gateway.client.patch(path, json={"time_zone": _ZONE})).status_code == 200
        await gateway.refresh()
        other = await gateway.projects.create("other")
        now = datetime.now(UTC)
        lately = [now - timedelta(minutes=age) for age in (1, 30, 30, 118, 122, 180)]
        recent = [
            gateway.event(f"m{n}", project=other.project, occurred_at=at) for n, at in enumerate(lately)
        ]
        told = gateway.event(
            "told", project=other.project, kind="identify", action="identified", occurred_at=now
        )
        await gateway.post(*(gateway.event(**event.fields()) for event in generate(NOW)), *recent, told)
        await gateway.settled()
        counted = {table: await rows(gateway, table) for table in ("person_action", "account_day")}
        for table in ("person_action", "account_day", "activity_minute"):
            await gateway.pool.execute(f"drop table gateway.{table}")
        await gateway.pool.execute(_account_person())
        await gateway.pool.execute((_MIGRATIONS / "0003_pages.sql").read_text())
        assert {table: await rows(gateway, table) for table in counted} == counted
        assert min(map(len, counted.values())) > 100
        found = await gateway.pool.fetch(
            "select minute, sum(activities)::integer as count from gateway.activity_minute"
            " where project = $1 group by 1 order by 1",
            other.project,
        )
        minutes = [at.replace(second=0, microsecond=0) for at in (lately[3], lately[1], lately[0])]
        assert [tuple(row) for row in found] == list(zip(minutes, (1, 2, 1), strict=True))
        assert not await gateway.pool.fetchval("select to_regclass('gateway.account_person') is not null")


def _account_person() -> str:
    """The statement that made the table which the migration replaces."""
    statements = (_MIGRATIONS / "0001_read_model.sql").read_text().split(";")
    (made,) = [one for one in statements if "create table gateway.account_person" in one]
    return made


async def rows(gateway: Gateway, table: str) -> list[Any]:
    found = await gateway.pool.fetch(f"select t.*::text from gateway.{table} t order by 1")
    return [tuple(row) for row in found]
