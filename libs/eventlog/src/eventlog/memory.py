"""The log in this process's memory, for tests: the same promises, short of surviving the process."""

import asyncio
import re
import secrets
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from eventlog.errors import BeyondHead, LogUnavailable, MessageTooLarge, Truncated, UnknownTopic
from eventlog.port import Person, Positions, Record, Topic, TopicPart
from eventmodel import part, topics
from eventmodel.wire import blank_key, record_key


class _Clock(Protocol):
    def now(self) -> datetime: ...


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class _Part:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self.start = 0

    @property
    def head(self) -> int:
        return self.start + len(self.records)


class _Store:
    """What the log, its readers and its members share."""

    def __init__(self, partitions: int, names: Sequence[str]) -> None:
        self.away = False
        self.partitions = partitions
        self.topics = {name: Topic(name, secrets.token_hex(8), partitions) for name in names}
        self.parts = {TopicPart(name, n): _Part() for name in names for n in range(partitions)}
        self.appended = asyncio.Condition()
        self.members: dict[str, list[_Member]] = {}

    def answer(self) -> None:
        if self.away:
            raise LogUnavailable("The log does not answer.")

    def known(self, topic: str) -> Topic:
        self.answer()
        found = self.topics.get(topic)
        if found is None:
            raise UnknownTopic(topic)
        return found

    def of_topic(self, topic: str) -> Sequence[_Part]:
        return [self.parts[TopicPart(topic, n)] for n in range(self.known(topic).partitions)]


class MemoryLog:
    """An EventLog whose topics all have `partitions` partitions.

    `away` makes every call fail as a log that does not answer; `truncate` drops the oldest records.
    """

    def __init__(
        self,
        partitions: int = 8,
        names: Sequence[str] = topics.ALL,
        max_bytes: int = topics.MAX_RECORD_BYTES,
        clock: _Clock | None = None,
    ) -> None:
        self._clock = clock or _SystemClock()
        self._max_bytes = max_bytes
        self._store = _Store(partitions, names)

    @property
    def away(self) -> bool:
        return self._store.away

    @away.setter
    def away(self, away: bool) -> None:
        self._store.away = away

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        partitions = self._store.known(topic).partitions
        for index, (key, value) in enumerate(messages):
            size = len(key) + len(value)
            if size > self._max_bytes:
                raise MessageTooLarge(index, size, self._max_bytes)
        now = self._clock.now()
        for key, value in messages:
            number = part(key, partitions)
            target = self._store.parts[TopicPart(topic, number)]
            at = max(now, target.records[-1].recorded_at) if target.records else now
            target.records.append(Record(topic, number, target.head, at, key, value))
        async with self._store.appended:
            self._store.appended.notify_all()

    async def topic(self, name: str) -> Topic:
        return self._store.known(name)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator["_Reader"]:
        yield _Reader(self._store)

    @asynccontextmanager
    async def join(self, group: str, topics: Sequence[str]) -> AsyncIterator["_Member"]:
        members = self._store.members.setdefault(group, [])
        member = _Member(self._store, group)
        members.append(member)
        try:
            yield member
        finally:
            members.remove(member)

    async def heads(self, topic: str) -> Sequence[int]:
        return [part.head for part in self._store.of_topic(topic)]

    async def starts(self, topic: str) -> Sequence[int]:
        return [part.start for part in self._store.of_topic(topic)]

    async def positions_at(self, topic: str, at: datetime) -> Sequence[int]:
        return [
            part.start + bisect_left(part.records, at, key=lambda record: record.recorded_at)
            for part in self._store.of_topic(topic)
        ]

    async def blank(self, person: Person, theirs: Callable[[bytes, bytes], bool]) -> int:
        self._store.answer()
        blanked = 0
        for where, target in self._store.parts.items():
            for index, record in enumerate(target.records):
                found = record.key in person.keys or (
                    where.topic == topics.REJECTED
                    and record.key.startswith(record_key(person.project, ""))
                    and re.search(person.pattern, record.value.decode("ascii", "backslashreplace"))
                )
                if found and theirs(record.key, record.value):
                    target.records[index] = record._replace(
                        key=blank_key(person.project), value=b'{"id":"blank"}'
                    )
                    blanked += 1
        return blanked

    async def ping(self) -> None:
        self._store.answer()

    def truncate(self, topic: str, number: int, start: int) -> None:
        """Forget the records of a partition before `start`."""
        target = self._store.parts[TopicPart(topic, number)]
        del target.records[: start - target.start]
        target.start = start

    def recreate(self, topic: str) -> None:
        """Begin another life of the topic: empty, with a new log id."""
        partitions = self._store.partitions
        self._store.topics[topic] = Topic(topic, secrets.token_hex(8), partitions)
        self._store.parts.update({TopicPart(topic, n): _Part() for n in range(partitions)})


class _Reader:
    def __init__(self, store: _Store) -> None:
        self._store = store
        self._positions: dict[TopicPart, int] = {}

    def assign(self, positions: Positions) -> None:
        self._positions = dict(positions)

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            if found := self._take(max_records):
                return found
            left = deadline - loop.time()
            if left <= 0:
                return []
            async with self._store.appended:
                try:
                    # Not `wait_for`, which in Python 3.11 can lose a cancellation.
                    async with asyncio.timeout(left):
                        await self._store.appended.wait()
                except TimeoutError:
                    continue

    def _take(self, max_records: int) -> list[Record]:
        self._store.answer()
        for where, position in self._positions.items():
            source = self._store.parts[where]
            if position < source.start:
                raise Truncated(*where, position, source.start)
            if position > source.head:
                raise BeyondHead(*where, position, source.head)
        share = max(1, max_records // max(1, len(self._positions)))
        taken: list[Record] = []
        for where in sorted(self._positions, key=self._lag):
            first = self._positions[where] - self._store.parts[where].start
            room = min(share, max_records - len(taken))
            records = self._store.parts[where].records[first : first + room]
            taken += records
            self._positions[where] += len(records)
        return taken

    def _lag(self, where: TopicPart) -> int:
        return self._store.parts[where].head - self._positions[where]


class _Member:
    def __init__(self, store: _Store, group: str) -> None:
        self._store = store
        self._group = group

    async def assignment(self) -> frozenset[int]:
        self._store.answer()
        members = self._store.members[self._group]
        mine = members.index(self)
        return frozenset(range(mine, self._store.partitions, len(members)))
