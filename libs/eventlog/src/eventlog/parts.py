"""What a consumer group keeps about its parts: owner epochs, positions and remembered ids.

Kept with the consumer's results, so that state and position commit in one transaction. Two stores:
`eventlog.postgres_parts` and, for tests, `MemoryParts`.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from eventlog.errors import LogMismatch
from eventlog.port import Positions, Topic, TopicPart

REMEMBER_D = 7
"""Days by `recorded_at` within which a live record's id counts once."""

Tx = TypeVar("Tx")


class StoreUnavailable(Exception):
    """The store did not answer; whether the transaction committed is unknown."""


class Fenced(Exception):
    """Another owner has raised the epoch of `parts` since: nothing of this transaction was committed."""

    def __init__(self, parts: Collection[int]) -> None:
        super().__init__(f"Parts {sorted(parts)} have a new owner.")
        self.parts = frozenset(parts)


class Ownership(NamedTuple):
    """What `acquire` gives: the new epoch of each part, and the position of each of its topics."""

    epochs: Mapping[int, int]
    positions: Positions


class Identity(NamedTuple):
    """One record's identity for counting once; see `eventmodel.identity_hash`."""

    part: int
    hash: bytes
    recorded_at: datetime
    imported: bool


class PartStore(Protocol[Tx]):
    """The port to the store. `Tx` is whatever the handler writes its results with."""

    async def acquire(self, parts: Collection[int], topics: Sequence[Topic], starts: Positions) -> Ownership:
        """Raise the owner epoch of `parts` and read where they stand, in one transaction of its own.

        A topic and part never read before begins at `starts`. Raises LogMismatch when a stored position
        belongs to another log id, StoreUnavailable.
        """
        ...

    def transaction(self, epochs: Mapping[int, int]) -> AbstractAsyncContextManager[Tx]:
        """A transaction in which the parts of `epochs` are locked and still ours.

        Raises Fenced on entering when an epoch has been raised since, StoreUnavailable on entering and on
        leaving. An exception inside rolls everything back.
        """
        ...

    async def remember(self, tx: Tx, identities: Sequence[Identity]) -> set[int]:
        """Remember the identities not yet known; the indexes of those that are duplicates.

        A live record is compared with live ones of 7 days and with all imports, an imported one likewise.
        `identities` holds no hash twice.
        """
        ...

    async def advance(self, tx: Tx, positions: Positions, clocks: Mapping[int, datetime]) -> None:
        """Store the next positions, and by part the newest `recorded_at` applied."""
        ...

    async def tidy(self, now: datetime) -> None:
        """Forget the ids of live records that no part can need any more; raises StoreUnavailable.

        A day is kept until every part of every group has applied records 7 days younger than it.
        """
        ...


@dataclass
class _Group:
    epochs: dict[int, int] = field(default_factory=dict)
    positions: dict[TopicPart, tuple[str, int]] = field(default_factory=dict)
    clocks: dict[int, datetime] = field(default_factory=dict)
    live: dict[tuple[int, bytes], datetime] = field(default_factory=dict)
    imported: set[tuple[int, bytes]] = field(default_factory=set)


class MemoryTx:
    """Mutations that happen together when the transaction commits."""

    def __init__(self) -> None:
        self._on_commit: list[Callable[[], None]] = []

    def on_commit(self, change: Callable[[], None]) -> None:
        """Do `change` if and when the transaction commits, in the order given."""
        self._on_commit.append(change)

    def commit(self) -> None:
        for change in self._on_commit:
            change()


class MemoryParts:
    """A PartStore in memory: several members of one group share one instance."""

    def __init__(self) -> None:
        self._group = _Group()
        self.away = False

    @property
    def remembered(self) -> int:
        """How many ids of live records are kept."""
        return len(self._group.live)

    async def acquire(self, parts: Collection[int], topics: Sequence[Topic], starts: Positions) -> Ownership:
        self._answer()
        group = self._group
        positions: dict[TopicPart, int] = {}
        for topic in topics:
            for number in parts:
                where = TopicPart(topic.name, number)
                log_id, position = group.positions.setdefault(where, (topic.log_id, starts[where]))
                if log_id != topic.log_id:
                    raise LogMismatch(topic.name, log_id, topic.log_id)
                positions[where] = position
        for number in parts:
            group.epochs[number] = group.epochs.get(number, 0) + 1
        return Ownership({number: group.epochs[number] for number in parts}, positions)

    @asynccontextmanager
    async def transaction(self, epochs: Mapping[int, int]) -> AsyncIterator[MemoryTx]:
        self._answer()
        lost = [number for number, epoch in epochs.items() if self._group.epochs[number] != epoch]
        if lost:
            raise Fenced(lost)
        tx = MemoryTx()
        yield tx
        self._answer()
        lost = [number for number, epoch in epochs.items() if self._group.epochs[number] != epoch]
        if lost:
            raise Fenced(lost)
        tx.commit()

    async def remember(self, tx: MemoryTx, identities: Sequence[Identity]) -> set[int]:
        group = self._group
        duplicates = set()
        for index, (number, digest, recorded_at, imported) in enumerate(identities):
            known = group.live.get((number, digest))
            if (number, digest) in group.imported or (
                known is not None and recorded_at.date() - known.date() <= timedelta(days=REMEMBER_D)
            ):
                duplicates.add(index)
            elif imported:
                tx.on_commit(lambda entry=(number, digest): group.imported.add(entry))  # type: ignore[misc]
            else:
                tx.on_commit(
                    lambda entry=(number, digest), at=recorded_at: group.live.__setitem__(entry, at)  # type: ignore[misc]
                )
        return duplicates

    async def advance(self, tx: MemoryTx, positions: Positions, clocks: Mapping[int, datetime]) -> None:
        group = self._group

        def store() -> None:
            for where, position in positions.items():
                group.positions[where] = (group.positions[where][0], position)
            group.clocks.update(clocks)

        tx.on_commit(store)

    async def tidy(self, now: datetime) -> None:
        self._answer()
        keep_from = min([*self._group.clocks.values(), now]) - timedelta(days=REMEMBER_D + 1)
        self._group.live = {entry: at for entry, at in self._group.live.items() if at >= keep_from}

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("The store does not answer.")
