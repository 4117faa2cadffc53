"""Whose an id is: the same for any order of arrival, bounded, and never two users' without an alias."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventmodel import ProjectId
from identity_truth import Link, belonging, ids_of, kept, links_of, person_of
from lifecycle.database import open_pool
from stream_gateway.projection.derivation import Derivation
from stream_gateway.projection.links import add_links
from stream_gateway.projection.tally import Projected, Tally

_PROJECT = ProjectId("p0123456789a")
_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_UTC = Derivation("UTC", frozenset())
_PARTS = 3

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]


class Said(Projected):
    """An event of `user` as the projector reads it."""

    user: str = ""


def said(user: str, id_: str | int, minute: int = 0, **fields: Any) -> Said:
    values: dict[str, Any] = {"action": "a", "kind": "track", "user": user} | fields
    return Said(id=f"e{id_}", occurred_at=_NOW + timedelta(minutes=minute), **values)


def alias(previous_id: str, user: str, id_: str | int, minute: int = 0) -> Said:
    return said(user, id_, minute, kind="alias", previous_id=previous_id)


@pytest.fixture
async def tx(migrated_url: str) -> AsyncIterator["Connection"]:
    async with open_pool(migrated_url) as pool, pool.acquire() as connection:
        yield connection


async def project(tx: "Connection", events: Sequence[Said], batch: int = 100) -> int:
    """Keep the links of the events, a batch at a time, each user's in one part; how many were refused."""
    refused = 0
    for start in range(0, len(events), batch):
        tally = Tally(now_from=_NOW, minutes_from=_NOW)
        for event in events[start : start + batch]:
            tally.count(sum(event.user.encode()) % _PARTS, _PROJECT, f"u:{event.user}", event, _UTC)
        if tally.links:
            refused += await add_links(tx, tally.links)
    return refused


async def links(tx: "Connection") -> list[Link]:
    rows = await tx.fetch("select linked_at, id, belongs_to, subject from gateway.link")
    return sorted(Link(*row) for row in rows)


async def people(tx: "Connection", subjects: Sequence[str]) -> dict[str, str]:
    rows = await tx.fetch(
        "select s, gateway.person_of($1, s) as person from unnest($2::text[]) as s", _PROJECT, subjects
    )
    return {row["s"]: row["person"] for row in rows}


async def ids(tx: "Connection", subject: str) -> list[str]:
    rows = await tx.fetch("select gateway.ids_of($1, $2) as id", _PROJECT, subject)
    return [row["id"] for row in rows]


def truth(events: Sequence[Said]) -> list[Link]:
    return [
        link
        for event in events
        for link in links_of(
            event.occurred_at, event.id, event.kind, event.user, event.anonymous_id, event.previous_id
        )
    ]


_NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
_VISITORS = st.sampled_from(["v", "w", "x", "a"])


@st.composite
def _streams(draw: st.DrawFn) -> list[Said]:
    events = []
    for number in range(draw(st.integers(1, 14))):
        minute = draw(st.integers(0, 6))
        if draw(st.booleans()):
            events.append(alias(draw(_NAMES | _VISITORS), draw(_NAMES), number % 9, minute))
        else:
            kind = draw(st.sampled_from(["identify", "track", "page", "group"]))
            visitor = draw(_VISITORS)
            events.append(said(draw(_NAMES), number % 9, minute, kind=kind, anonymous_id=visitor))
    return events


@given(_streams(), st.randoms(use_true_random=False), st.integers(1, 5))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_order_of_arrival_and_any_replay_makes_the_same_people(
    tx: "Connection", events: list[Said], choose: Any, batch: int
) -> None:
    wanted = truth(events)
    belongs = belonging(wanted)
    subjects = sorted({name for link in wanted for name in (link.subject, link.user)} | {"u:nobody"})
    shuffled = [*events, *choose.sample(events, len(events) // 2)]
    choose.shuffle(shuffled)
    for order in (events, shuffled):
        await tx.execute("truncate gateway.link")
        await project(tx, order, batch)
        assert await links(tx) == kept(wanted)
        assert await people(tx, subjects) == {name: person_of(belongs, name) for name in subjects}
        for name in subjects:
            found = await ids(tx, name)
            assert sorted(found) == sorted(ids_of(belongs, name, subjects))
            assert found[0] == name
    before = await links(tx)
    await project(tx, shuffled, batch)
    assert await links(tx) == before


async def test_a_shared_device_belongs_to_whom_it_was_first_linked_and_merges_nobody(
    tx: "Connection",
) -> None:
    await project(tx, [said(f"user-{n}", n, 50 - n, anonymous_id="kiosk") for n in range(40)])
    assert (await people(tx, ["a:kiosk"]))["a:kiosk"] == "u:user-39"
    assert await ids(tx, "u:user-39") == ["u:user-39", "a:kiosk"]
    assert await ids(tx, "u:user-0") == ["u:user-0"]
    assert await people(tx, ["u:user-0", "u:user-1"]) == {"u:user-0": "u:user-0", "u:user-1": "u:user-1"}


async def test_users_become_one_by_an_alias_only_also_in_a_chain(tx: "Connection") -> None:
    await project(tx, [said("b", 1, anonymous_id="v"), said("c", 2, 1, anonymous_id="v")])
    assert await people(tx, ["u:b", "u:c"]) == {"u:b": "u:b", "u:c": "u:c"}
    await project(tx, [alias("b", "c", 3, 2), alias("c", "d", 4, 1)])
    assert await people(tx, ["a:v", "u:b", "u:c", "u:d"]) == dict.fromkeys(
        ["a:v", "u:b", "u:c", "u:d"], "u:d"
    )
    assert set(await ids(tx, "u:d")) - {"a:b", "a:c"} == {"u:d", "u:c", "u:b", "a:v"}
    await project(tx, [alias("b", "z", 5, 3)])
    assert (await people(tx, ["u:b"]))["u:b"] == "u:d", "an id belongs to one user"


async def test_a_circle_of_aliases_ends_at_its_last_link(tx: "Connection") -> None:
    await project(
        tx, [alias("a", "b", 1, 1), alias("b", "c", 2, 9), alias("c", "a", 3, 5), alias("x", "a", 4, 99)]
    )
    names = ["u:a", "u:b", "u:c", "u:x", "a:x"]
    assert await people(tx, names) == dict.fromkeys(names, "u:b")
    assert {one for one in await ids(tx, "u:b") if one.startswith("u:")} == {"u:a", "u:b", "u:c", "u:x"}


async def test_an_alias_of_oneself_is_none(tx: "Connection") -> None:
    await project(tx, [alias("a", "a", 1)])
    assert await people(tx, ["u:a"]) == {"u:a": "u:a"}


async def test_a_user_keeps_the_first_500_ids_in_whatever_order_they_come(tx: "Connection") -> None:
    events = [said("u", n, minute=n, anonymous_id=f"v{n:04}") for n in range(620)]
    for order in (events, events[::-1], events[300:] + events[:300]):
        await tx.execute("truncate gateway.link")
        assert await project(tx, order, 70) >= 120
        assert [link.subject for link in await links(tx)] == [f"a:v{n:04}" for n in range(500)]
    assert await project(tx, events[600:]) == 20, "what is refused is counted"
    assert len(await ids(tx, "u:u")) == 500
    assert (await people(tx, ["a:v0619"]))["a:v0619"] == "a:v0619"


async def test_long_chains_and_wide_trees_stay_bounded(tx: "Connection") -> None:
    await project(tx, [alias(f"u{n}", f"u{n + 1}", n) for n in range(700)])
    near = {f"u:u{n}": "u:u700" for n in range(680, 701)}
    far = {f"u:u{n}": f"u:u{n}" for n in range(680)}
    assert await people(tx, [*near, *far]) == near | far
    assert {one for one in await ids(tx, "u:u700") if one.startswith("u:")} == near.keys()
    assert (await people(tx, ["a:u679"]))["a:u679"] == "u:u700"
    assert (await people(tx, ["a:u678"]))["a:u678"] == "u:u679"
    await project(
        tx, [said(f"u{n}", f"{n}-{v}", anonymous_id=f"{n}-{v}") for n in range(690, 701) for v in range(99)]
    )
    assert len(await ids(tx, "u:u700")) == 500, "the nearest of them"


async def test_a_circle_of_hundreds_holds_nobody_up(tx: "Connection") -> None:
    await project(tx, [alias(f"u{n}", f"u{(n + 1) % 300}", n) for n in range(300)])
    assert set((await people(tx, [f"u:u{n}" for n in range(300)])).items()) == {
        (f"u:u{n}",) * 2 for n in range(300)
    }


async def test_projects_do_not_know_each_others_links(tx: "Connection") -> None:
    await project(tx, [alias("b", "c", 1)])
    assert await tx.fetchval("select gateway.person_of('pother', 'u:b')") == "u:b"
    rows = await tx.fetch("select gateway.ids_of('pother', 'u:c')")
    assert len(rows) == 1
