"""Links made from the history of an installation that kept none."""

from importlib.resources import files
from typing import Any

from generated_stream import generate
from running_gateway import NOW, Gateway, running_gateway

_MIGRATION = files("stream_gateway") / "migrations" / "0006_links.sql"


async def test_what_the_projector_would_have_linked_is_there_after_the_migration(migrated_url: str) -> None:
    async with running_gateway(migrated_url) as gateway:
        told = [gateway.event(**event.fields()) for event in generate(NOW)]
        crowd = [gateway.event(f"x{n}", user="crowd", anonymous_id=f"v{n}") for n in range(507)]
        only_named_so = gateway.event(
            "y", user="ada", properties={"anonymous_id": "nobody", "odd": "\\u0000"}
        )
        await gateway.post(*told, *crowd, only_named_so)
        await gateway.settled()
        kept = await links(gateway)
        await gateway.pool.execute(
            "drop function gateway.ids_of; drop function gateway.person_of; drop table gateway.link"
        )
        await gateway.pool.execute(_MIGRATION.read_text())
        assert await links(gateway) == kept
        assert len(kept) > 510
        assert not [link for link in kept if "nobody" in link[0] and "ada" in link[0]]


async def links(gateway: Gateway) -> list[Any]:
    return [
        tuple(row) for row in await gateway.pool.fetch("select l::text from gateway.link as l order by 1")
    ]
