"""Stored positions that the log no longer stands behind, and how they are moved to where it stands now."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

from eventlog.errors import PartitionsChanged
from eventlog.port import EventLog, Topic

_AGAIN = timedelta(days=1)
"""Read once more after the loss of a log's end: well within the days that ids are remembered."""


class StalePosition(NamedTuple):
    """`group` stands at `position` of the log `log_id`; the topic is now log `found`, up to `head`.

    `moved_to` is the position in that log at which nothing is skipped, and nothing counted twice.
    """

    group: str
    topic: str
    part: int
    log_id: str
    position: int
    found: str
    head: int
    moved_to: int


async def find_stale(pool: "asyncpg.Pool[asyncpg.Record]", log: EventLog) -> Sequence[StalePosition]:
    """Of all groups, the positions of another life of their topic, or beyond its head.

    Raises UnknownTopic and LogUnavailable.
    """
    rows = await pool.fetch(
        "select g.name, p.topic, p.part, p.log_id, p.next, a.clock from runtime.position p"
        " join runtime.grp g on g.id = p.grp"
        " left join runtime.part a on a.grp = p.grp and a.part = p.part order by g.name, p.topic, p.part"
    )
    by_topic = defaultdict(list)
    for row in rows:
        by_topic[row["topic"]].append(row)
    stale = []
    for name, stored in by_topic.items():
        topic = await log.topic(name)
        heads, starts = await log.heads(name), await log.starts(name)
        for group, _, number, log_id, position, clock in stored:
            head = heads[number] if number < topic.partitions else 0
            if log_id == topic.log_id and position <= head:
                continue
            to = 0
            if number < topic.partitions:
                again = log_id == topic.log_id and clock is not None
                to = await _first_after(log, topic, number, clock) if again else starts[number]
            stale.append(StalePosition(group, name, number, log_id, position, topic.log_id, head, to))
    return stale


async def _first_after(log: EventLog, topic: Topic, number: int, clock: datetime) -> int:
    """Where to go on in a log that lost its end.

    All that is older than what was last applied has been applied; what came since has to be read.
    """
    return (await log.positions_at(topic.name, clock - _AGAIN))[number]


async def move_stale(
    pool: "asyncpg.Pool[asyncpg.Record]", log: EventLog, stale: Sequence[StalePosition]
) -> None:
    """Move these positions, all or none, and fence whoever still works on their parts.

    A position that has moved since it was found is left as it is. Raises PartitionsChanged before anything
    is changed.
    """
    for name in {position.topic for position in stale}:
        topic = await log.topic(name)
        stored = await pool.fetchval("select max(part) + 1 from runtime.position where topic = $1", name)
        if stored != topic.partitions:
            raise PartitionsChanged(name, stored, topic.partitions)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "update runtime.part p set epoch = p.epoch + 1 from runtime.grp g where g.id = p.grp"
            " and (g.name, p.part) in (select * from unnest($1::text[], $2::smallint[]))",
            [position.group for position in stale],
            [position.part for position in stale],
        )
        await connection.executemany(
            "update runtime.position p set log_id = $6, next = $7 from runtime.grp g where g.id = p.grp"
            " and g.name = $1 and p.topic = $2 and p.part = $3 and p.log_id = $4 and p.next = $5",
            [
                (one.group, one.topic, one.part, one.log_id, one.position, one.found, one.moved_to)
                for one in stale
            ],
        )
