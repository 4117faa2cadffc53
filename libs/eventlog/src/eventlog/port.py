"""The log port: what the suite asks of a durable, partitioned log.

The words, for every adapter. A *topic* has a fixed number of *partitions* (`part`, from 0). An *offset*
is a record's place in its partition; offsets rise, gaps are allowed. A *position* is the next offset to
read: after the record at offset 7 it is 8, and it may lie in a gap. The *head* is the position after the
newest record, the *start* the position of the oldest one still kept. A *log id* names one life of a topic
with its number of partitions: it changes when the topic is made anew, and positions of another log id
mean nothing. `recorded_at` is the log's append time; within a partition it never falls.

Order holds per key, because a key has one partition (`eventmodel.part`). Delivery is at least once; the
consumer runtime makes it once (`eventlog.consumer`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from eventmodel import ProjectId


class Message(NamedTuple):
    """What a producer hands in. The adapter chooses the partition from the key."""

    key: bytes
    value: bytes


class TopicPart(NamedTuple):
    """One partition of one topic."""

    topic: str
    part: int


class Record(NamedTuple):
    """One message as it is read back; `recorded_at` is aware UTC."""

    topic: str
    part: int
    offset: int
    recorded_at: datetime
    key: bytes
    value: bytes


class Topic(NamedTuple):
    """A topic's identity: `log_id` is 16 lower-case hex digits."""

    name: str
    log_id: str
    partitions: int


class Person(NamedTuple):
    """Whose records are to be blanked: their record keys, and a pattern of the texts that mention them.

    The pattern fits bytes in PostgreSQL's format `escape`.
    """

    project: ProjectId
    keys: Collection[bytes]
    pattern: str


Positions: TypeAlias = Mapping[TopicPart, int]


class LogWriter(Protocol):
    """The half of the port that producers see."""

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Add messages at the end of the log; return once they survive a crash.

        Each message is a key and a value, as in Message. Those with equal keys stay ordered, within and between
        calls that one caller awaits in turn; others may not. A cancelled call leaves the queue if it was
        not yet sent; otherwise its outcome is unknown.
        Raises LogUnavailable (outcome unknown: a retry may store a second copy), LogBusy (its queue in
        bytes is full; nothing was stored) or MessageTooLarge (carries the index; nothing was stored).
        Source: contracts/topics/<topic>.yaml for key and size limit.
        """
        ...


class Reader(Protocol):
    """Reads chosen partitions from chosen positions, in no group: nothing here commits."""

    def assign(self, positions: Positions) -> None:
        """Read exactly these partitions from now on, each from its next offset; replaces what was assigned.

        A partition that stays assigned at the position already reached is not disturbed.
        """
        ...

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """The next records, offsets rising within each partition; empty when none came in time.

        Waits for the first record only. Never skips a record that a slower writer commits later. Fair:
        a busy partition does not starve the others.
        Raises Truncated (the position is older than the start), BeyondHead (newer than the head),
        LogUnavailable; the assignment stays, and the next call tries again.
        """
        ...


class Member(Protocol):
    """One process's membership in a consumer group; partitions are the group's, whatever the topic."""

    async def assignment(self) -> frozenset[int]:
        """The parts this member owns now.

        Call at least every 10 s: a member that does not is taken for dead and its parts pass to others.
        Ownership is a hint that settles; two members may both believe for a moment, so what they commit
        is fenced by the owner epoch (`eventlog.consumer`). Raises LogUnavailable.
        """
        ...


class EventLog(LogWriter, Protocol):
    """The whole port. Adapters: `eventlog.kafka`, `eventlog.postgres`, `eventlog.memory`."""

    async def topic(self, name: str) -> Topic:
        """The topic's identity; raises UnknownTopic (says how to create it) or LogUnavailable."""
        ...

    def reader(self) -> AbstractAsyncContextManager[Reader]:
        """A reader with nothing assigned."""
        ...

    def join(self, group: str, topics: Sequence[str]) -> AbstractAsyncContextManager[Member]:
        """Become a member of `group`, which shares the parts of `topics` (all with the same count).

        Leaving the context gives the parts up at once. A member owns the same parts of every topic.
        """
        ...

    async def heads(self, topic: str) -> Sequence[int]:
        """The head of each partition, by part; raises LogUnavailable."""
        ...

    async def starts(self, topic: str) -> Sequence[int]:
        """The start of each partition, by part; raises LogUnavailable."""
        ...

    async def positions_at(self, topic: str, at: datetime) -> Sequence[int]:
        """By part, the position of the first record with `recorded_at` at or after `at`; the head if none."""
        ...

    async def blank(self, person: Person, theirs: Callable[[bytes, bytes], bool]) -> int | None:
        """Take key and content out of a person's records, in all topics; how many.

        Those with their keys, and those of `footfall.rejected` whose content the pattern finds, if `theirs` says so
        of key and value. Each keeps its place, with the key `eventmodel.wire.blank_key`. None where single
        records cannot be changed: there they stay for the topic's retention. Raises LogUnavailable.
        """
        ...

    async def ping(self) -> None:
        """Return when the log answers; raises LogUnavailable. For health, never on the hot path."""
        ...
