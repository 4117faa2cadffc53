"""Reads chosen partitions of the PostgreSQL log, all of them in one query."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from importlib.resources import files
from typing import NoReturn

from eventlog.errors import BeyondHead, Truncated, UnknownTopic
from eventlog.port import Positions, Record, TopicPart
from eventlog.postgres_session import Session

POLL_EVERY_S = 0.2
PACE_S = 0.005
"""The least between two queries of a reader that keeps up: a query per commit would cost more than it gains."""
FETCH_BYTES = 16 * 1024 * 1024
"""A fetch's most bytes, roughly: large records come fewer at a time."""

READ = files("eventlog.log_schema").joinpath("read.sql").read_text()
_START = "SELECT start FROM log.starts($1) WHERE part = $2"


class PostgresReader:
    """See `eventlog.port.Reader`. `topic_id` resolves a name or raises UnknownTopic."""

    def __init__(self, session: Session, topic_id: Callable[[str], Awaitable[int]]) -> None:
        self._session = session
        self._topic_id = topic_id
        self._positions: dict[TopicPart, int] = {}
        self._topics: frozenset[str] = frozenset()
        self._woken = asyncio.Event()
        self._turn = 0
        self._paced_until = float("-inf")

    def assign(self, positions: Positions) -> None:
        self._positions = dict(positions)
        self._topics = frozenset(where.topic for where in positions)
        self._woken.set()

    def wake(self, topics: Collection[str]) -> None:
        if not self._topics.isdisjoint(topics):
            self._woken.set()

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            if timeout_s > 0 and (early_s := self._paced_until - loop.time()) > 0:
                await asyncio.sleep(early_s)
            self._woken.clear()
            if self._positions and (records := await self._read(max_records)):
                return records
            left = deadline - loop.time()
            if left <= 0:
                return []
            try:
                async with asyncio.timeout(min(left, POLL_EVERY_S)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _read(self, max_records: int) -> list[Record]:
        asked = self._rotated()
        ids = {name: await self._topic_id(name) for name in self._topics}
        async with self._session.use() as connection:
            rows = await connection.fetch(
                READ,
                [ids[where.topic] for where, _ in asked],
                [where.part for where, _ in asked],
                [position for _, position in asked],
                max_records,
                FETCH_BYTES,
            )
        # A named tuple's own constructor costs twice as much, and this is once a record.
        new_record = tuple.__new__
        records: list[Record] = []
        reached: dict[TopicPart, int] = {}
        current = 0
        for i, head, offset, recorded_at, key, value in rows:
            if i != current:
                current = i
                where, position = asked[i - 1]
                topic, number = where
                # Assigned anew while the query ran?
                still_wanted = self._positions.get(where) == position
            if offset is None:
                await self._explain(where, position, head, ids)
            if still_wanted:
                records.append(new_record(Record, (topic, number, offset, recorded_at, key, value)))
                reached[where] = offset + 1
        self._positions.update(reached)
        if len(records) < max_records // 2:
            self._paced_until = asyncio.get_running_loop().time() + PACE_S
        return records

    def _rotated(self) -> list[tuple[TopicPart, int]]:
        """The assignment, beginning elsewhere each time: a small fetch serves every partition in turn."""
        asked = list(self._positions.items())
        self._turn = (self._turn + 1) % len(asked)
        return asked[self._turn :] + asked[: self._turn]

    async def _explain(
        self, where: TopicPart, position: int, head: int | None, ids: dict[str, int]
    ) -> NoReturn:
        """Raise for a position at which nothing stands."""
        if head is None:
            raise UnknownTopic(where.topic)
        if position > head:
            raise BeyondHead(where.topic, where.part, position, head)
        async with self._session.use() as connection:
            start = await connection.fetchval(_START, ids[where.topic], where.part)
        raise Truncated(where.topic, where.part, position, start)
