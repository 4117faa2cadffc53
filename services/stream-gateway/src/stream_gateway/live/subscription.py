"""Who follows a channel: the filter they chose and how far they have been served."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from access.model import Principal
from eventmodel import ProjectId


class Entry(NamedTuple):
    """One shown record, encoded once; `seq` rises by one per entry of the channel in this process.

    `sender_key` and `sdk` are its sender's, empty where it names none.
    """

    seq: int
    part: int
    offset: int
    project: ProjectId
    key: bytes
    account: str | None
    user: str | None
    action: str | None
    sender_key: str
    sdk: str
    chunk: bytes


class Filter(NamedTuple):
    """What a subscriber wants of its project; empty sets want everything."""

    project: ProjectId
    accounts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    sdks: frozenset[str] = frozenset()

    def wants(self, entry: Entry) -> bool:
        """Whether an entry of the project passes."""
        return (
            (not self.accounts or entry.account in self.accounts)
            and (not self.users or entry.user in self.users)
            and (not self.actions or entry.action in self.actions)
            and (not self.keys or entry.sender_key in self.keys)
            and (not self.sdks or entry.sdk in self.sdks)
        )


class Fresh:
    """A project's newest entries, found for many filters without looking at each entry for each filter."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._by_user: dict[str | None, list[Entry]] = {}
        self._by_account: dict[str | None, list[Entry]] = {}
        for entry in entries:
            self._by_user.setdefault(entry.user, []).append(entry)
            self._by_account.setdefault(entry.account, []).append(entry)

    def matching(self, wanted: Filter) -> list[Entry]:
        """Those that pass, oldest first."""
        if wanted.users:
            near = [entry for user in wanted.users for entry in self._by_user.get(user, ())]
        elif wanted.accounts:
            near = [entry for account in wanted.accounts for entry in self._by_account.get(account, ())]
        else:
            near = self._entries
        found = [entry for entry in near if wanted.wants(entry)]
        if len(wanted.users) > 1 or len(wanted.accounts) > 1:
            found.sort(key=lambda entry: entry.seq)
        return found


@dataclass(eq=False, slots=True)
class Subscriber:
    """One connection. While it waits, the channel hands it bytes; while it sends, it falls behind and catches up.

    `served` is the newest seq it has been given, `first` what it gets before anything else. `sent_at` and
    `sending_since` are loop times.
    """

    filter: Filter
    principal: Principal
    served: int
    sent_at: float
    first: bytes
    sending_since: float | None = None
    farewell: str | None = None
    waiter: "asyncio.Future[bytes | None] | None" = None
    task: "asyncio.Task[object] | None" = None

    def hand(self, payload: bytes | None) -> bool:
        """Give the waiting connection its next bytes, or None to end it; False when it is not waiting."""
        if self.waiter is None or self.waiter.done():
            return False
        self.waiter.set_result(payload)
        self.waiter = None
        return True

    def sending_for(self, now: float) -> float:
        """Seconds since the write under way began; 0 when none is."""
        return 0.0 if self.sending_since is None else now - self.sending_since


class Ring:
    """The newest entries of a channel, bounded in bytes, per project in order of arrival."""

    def __init__(self, max_bytes: int, floor: list[int]) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._order: deque[Entry] = deque()
        self._projects: dict[ProjectId, deque[Entry]] = {}
        self.floor = floor
        self.evicted = 0
        """The newest seq no longer held."""

    def add(self, entry: Entry) -> None:
        """Keep an entry; the oldest ones make room."""
        self._order.append(entry)
        self._projects.setdefault(entry.project, deque()).append(entry)
        self._bytes += len(entry.chunk)
        while self._bytes > self._max_bytes and len(self._order) > 1:
            oldest = self._order.popleft()
            self._bytes -= len(oldest.chunk)
            bucket = self._projects[oldest.project]
            bucket.popleft()
            if not bucket:
                del self._projects[oldest.project]
            self.floor[oldest.part] = oldest.offset + 1
            self.evicted = oldest.seq

    def remove(self, unwanted: Callable[[Entry], bool]) -> None:
        """Let go of the unwanted entries as if they had never been shown: they leave no gap."""
        kept = [entry for entry in self._order if not unwanted(entry)]
        if len(kept) == len(self._order):
            return
        self._order = deque(kept)
        self._bytes = sum(len(entry.chunk) for entry in kept)
        self._projects = {}
        for entry in kept:
            self._projects.setdefault(entry.project, deque()).append(entry)

    def after(self, project: ProjectId, seq: int) -> list[Entry]:
        """The project's entries newer than `seq`, oldest first."""
        found = []
        for entry in reversed(self._projects.get(project, ())):
            if entry.seq <= seq:
                break
            found.append(entry)
        found.reverse()
        return found

    def from_positions(self, project: ProjectId, positions: tuple[int, ...]) -> list[Entry] | None:
        """The project's entries at or after a vector of positions; None when the ring does not reach back so far."""
        if any(position < floor for position, floor in zip(positions, self.floor, strict=True)):
            return None
        return [e for e in self._projects.get(project, ()) if e.offset >= positions[e.part]]
