"""One topic's live fan-out: records are read once, encoded once, and shared by all who want them.

Cost is flushes times clients, so a flush carries everything that came within a tick; equal filters share
its bytes. Shown is only what the projector has committed and not marked.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from urllib.parse import urlencode

import msgspec

from access.cache import Access
from access.errors import AccessUnavailable
from access.forgotten import Forgotten
from access.mentions import mention_pattern
from access.model import Principal
from eventlog.errors import LogUnavailable, Truncated
from eventlog.port import EventLog, Reader, Record, Topic, TopicPart
from eventmodel import ProjectId, Sender, topics
from eventmodel.wire import split_key
from stream_gateway.live.cursor import format_cursor
from stream_gateway.live.gate import DATABASE_AWAY, Gate, Projected
from stream_gateway.live.presentation import shown
from stream_gateway.live.subscription import Entry, Filter, Fresh, Ring, Subscriber
from telemetry import catalog
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_LEAST_TICK_S = 0.02
_MOST_TICK_S = 0.1
_TICK_PER_WRITE_S = 0.0005
"""A write costs the same for one record as for twenty: the more there were in a flush, the longer the next waits."""

_FETCH = 1000
_RING_BYTES = 32 * 1024 * 1024
_HEARTBEAT_S = 15.0
_STUCK_S = 30.0
_BEHIND_BYTES = 8 * 1024 * 1024

_DATA = b"\ndata: "

_log = get_logger("channel")


class _Addressed(msgspec.Struct):
    account: str | None = None
    user: str | None = None
    action: str | None = None
    sender: Sender | None = None


_NOBODY = Sender()
_addressed = msgspec.json.Decoder(_Addressed)


class Channel:
    """The fan-out of `topic` as blocks of the type `event`, each record as `show` has it; `run` needs an owner."""

    def __init__(
        self,
        *,
        name: str,
        event: str,
        topic: Topic,
        log: EventLog,
        gate: Gate,
        access: Access,
        metrics: Metrics,
        show: Callable[[Record], str] = shown,
    ) -> None:
        self.name = name
        self._show = show
        self._event = event
        self.topic = topic
        self.remembers_only = topic.name == topics.REJECTED
        """Whether it resumes from memory alone: what the log says of somebody forgotten goes by no key there."""
        self._log = log
        self._gate = gate
        self._access = access
        self._ring = Ring(_RING_BYTES, [0] * topic.partitions)
        self._vector = [0] * topic.partitions
        self._seq = 0
        self._flushed: tuple[int, ...] = tuple(self._vector)
        self._flushed_seq = 0
        self._cursor = ""
        self._groups: dict[Filter, set[Subscriber]] = {}
        self._news: set[ProjectId] = set()
        self._fresh = asyncio.Event()
        self._moved = asyncio.Condition()
        self.ready = asyncio.Event()
        self._connections = metrics.gauge(catalog.STREAM_CONNECTIONS, name)
        self._deliveries = metrics.counter(catalog.STREAM_DELIVERIES, name)
        self._gaps = metrics.counter(catalog.STREAM_GAPS, name)

    @property
    def cursor(self) -> str:
        """The position after everything flushed so far."""
        return self._cursor

    @property
    def positions(self) -> tuple[int, ...]:
        """The same as numbers, by part."""
        return self._flushed

    async def run(self) -> None:
        """Read, flush and keep the connections until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._flush())
            tasks.create_task(self._keep())

    def join(self, wanted: Filter, principal: Principal, first: bytes) -> Subscriber:
        """Follow the channel after `positions` as they stand now; `first` is sent before anything else.

        Who joins must `leave`.
        """
        subscriber = Subscriber(
            wanted, principal, self._flushed_seq, asyncio.get_running_loop().time(), first
        )
        self._groups.setdefault(wanted, set()).add(subscriber)
        self._connections.inc()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """The connection has ended."""
        members = self._groups[subscriber.filter]
        members.remove(subscriber)
        if not members:
            del self._groups[subscriber.filter]
        self._connections.dec()

    def take(self, subscriber: Subscriber) -> bytes | None:
        """What the subscriber has not been given yet, ending with its cursor; None when it is up to date."""
        if subscriber.first:
            first, subscriber.first = subscriber.first, b""
            return first
        if subscriber.served == self._flushed_seq:
            return None
        missed = self._missed(subscriber)
        subscriber.served = self._flushed_seq
        return missed

    def resume(self, wanted: Filter, start: tuple[int, ...]) -> bytes | None:
        """From memory, what `wanted` has missed between `start` and `positions`, ending with the cursor.

        None when memory does not reach back so far.
        """
        found = self._ring.from_positions(wanted.project, start)
        if found is None:
            return None
        chunks = [e.chunk for e in found if e.seq <= self._flushed_seq and wanted.wants(e)]
        self._deliveries.inc(len(chunks))
        return b"".join((*chunks, self.position_block()))

    async def replay(
        self, wanted: Filter, start: tuple[int, ...], end: tuple[int, ...]
    ) -> AsyncIterator[bytes]:
        """From the log, what `wanted` has missed between two vectors, in chunks ready to send.

        Raises Truncated when the log no longer reaches back to `start`.
        """
        marks = await self._gate.projected(self.topic.name, dict(enumerate(start)))
        left = {part for part, at in enumerate(start) if at < end[part]}
        async with self._log.reader() as reader:
            reader.assign({TopicPart(self.topic.name, part): start[part] for part in left})
            while left:
                chunks = []
                for record in await reader.fetch(_FETCH, 1.0):
                    if record.offset + 1 >= end[record.part]:
                        left.discard(record.part)
                    if record.offset >= end[record.part] or record.offset in marks[record.part].unshown:
                        continue
                    if self._access.forgotten.covers(record.key, record.value):
                        continue
                    entry = self._entry(record, 0)
                    if entry.project == wanted.project and wanted.wants(entry):
                        chunks.append(entry.chunk)
                if chunks:
                    yield b"".join(chunks)

    def close(self, reason: str, subscribers: Iterable[Subscriber] | None = None) -> None:
        """End the given streams, or all: each says goodbye with its cursor and when to come back."""
        members = (
            list(subscribers)
            if subscribers is not None
            else [member for members in self._groups.values() for member in members]
        )
        for member in members:
            member.farewell = reason
            member.hand(None)

    async def reach(self, start: tuple[int, ...], timeout_s: float) -> bool:
        """Wait until this replica has shown as much as the one that gave `start`; False when it does not in time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while any(at > reached for at, reached in zip(start, self._flushed, strict=True)):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            async with self._moved:
                try:
                    async with asyncio.timeout(left):
                        await self._moved.wait()
                except TimeoutError:
                    return False
        return True

    def cursor_at(self, positions: tuple[int, ...]) -> str:
        """The cursor of a vector of this channel."""
        return format_cursor(self.topic.log_id, positions)

    def position_block(self) -> bytes:
        """An id without data: it moves the client's last event id and dispatches nothing."""
        return f"id: {self._cursor}\n\n".encode()

    def gap(
        self, reason: str, wanted: Filter, start: tuple[int, ...] | None = None, missed: int | None = None
    ) -> bytes:
        """An in-band announcement that records are missing, and where to read them."""
        self._gaps.inc()
        body: dict[str, object] = {
            "reason": reason,
            "from": None if start is None else self.cursor_at(start),
            "to": self._cursor,
            "approx_count": missed,
            "fill_url": "/v1/rejected" if self.remembers_only else fill_url(wanted),
        }
        return b"event: gap\ndata: " + msgspec.json.encode(body) + b"\n\n" + self.position_block()

    async def _follow(self) -> None:
        pause_s = 0.1
        while True:
            try:
                async with self._log.reader() as reader:
                    await self._begin(reader)
                    while True:
                        await self._advance(reader)
                        pause_s = 0.1
            except (LogUnavailable, Truncated, AccessUnavailable, *DATABASE_AWAY) as error:
                _log.warning("channel_waits", channel=self.name, reason=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)

    async def _begin(self, reader: Reader) -> None:
        """Start where the projector stands, once; after an outage go on from where this channel stood."""
        if not self.ready.is_set():
            projected = await self._gate.projected(
                self.topic.name, dict.fromkeys(range(self.topic.partitions), -1)
            )
            for part, state in projected.items():
                self._vector[part] = state.next
            self._ring.floor[:] = self._vector
            self._flushed = tuple(self._vector)
            self._cursor = format_cursor(self.topic.log_id, self._vector)
            self.ready.set()
        reader.assign({TopicPart(self.topic.name, part): at for part, at in enumerate(self._vector)})
        self._read = list(self._vector)
        self._held: list[Record] = []

    async def _advance(self, reader: Reader) -> None:
        generation = self._gate.generation(self.topic.name)
        projected = await self._gate.projected(self.topic.name, dict(enumerate(self._vector)))
        if not projected:
            await self._gate.wait(self.topic.name, generation)
            return
        while any(self._read[part] < state.next for part, state in projected.items()):
            records = await reader.fetch(_FETCH, 1.0)
            for record in records:
                self._read[record.part] = record.offset + 1
            self._held += records
            self._release(projected)
        self._release(projected)

    def _release(self, projected: Mapping[int, Projected]) -> None:
        kept: list[Record] = []
        forgotten = self._access.forgotten
        for record in self._held:
            state = projected.get(record.part)
            if state is None or record.offset >= state.next:
                kept.append(record)
                continue
            self._vector[record.part] = record.offset + 1
            if record.offset in state.unshown or forgotten.covers(record.key, record.value):
                continue
            self._seq += 1
            entry = self._entry(record, self._seq)
            self._ring.add(entry)
            self._news.add(entry.project)
        if len(kept) < len(self._held):
            self._fresh.set()
        self._held = kept

    def _entry(self, record: Record, seq: int) -> Entry:
        event = _addressed.decode(record.value)
        sender = event.sender or _NOBODY
        return Entry(
            seq,
            record.part,
            record.offset,
            split_key(record.key)[0],
            record.key,
            event.account,
            event.user,
            event.action,
            sender.key or "",
            sender.sdk or "",
            f"event: {self._event}\ndata: {self._show(record)}\n\n".encode(),
        )

    async def _flush(self) -> None:
        """The first record after a quiet time leaves at once, then one flush a tick."""
        loop = asyncio.get_running_loop()
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            news, self._news = self._news, set()
            fresh = {project: Fresh(self._ring.after(project, self._flushed_seq)) for project in news}
            self._flushed = tuple(self._vector)
            self._flushed_seq = self._seq
            self._cursor = format_cursor(self.topic.log_id, self._flushed)
            position = self.position_block()
            now = loop.time()
            handed = 0
            for wanted, members in self._groups.items():
                if wanted.project not in fresh:
                    continue
                chunks = [entry.chunk for entry in fresh[wanted.project].matching(wanted)]
                if not chunks:
                    continue
                payload = b"".join((*chunks, position))
                for member in members:
                    if member.hand(payload):
                        member.served = self._flushed_seq
                        member.sent_at = now
                        self._deliveries.inc(len(chunks))
                        handed += 1
            async with self._moved:
                self._moved.notify_all()
            await asyncio.sleep(min(_MOST_TICK_S, max(_LEAST_TICK_S, handed * _TICK_PER_WRITE_S)))

    def _missed(self, subscriber: Subscriber) -> bytes | None:
        """What a subscriber that was busy sending has not been given; a gap when memory has let go of it."""
        wanted = subscriber.filter
        if subscriber.served < self._ring.evicted:
            return self.gap("lag", wanted)
        entries = [
            entry
            for entry in self._ring.after(wanted.project, subscriber.served)
            if entry.seq <= self._flushed_seq and wanted.wants(entry)
        ]
        if sum(len(entry.chunk) for entry in entries) > _BEHIND_BYTES:
            return self.gap("lag", wanted, missed=len(entries))
        if not entries:
            return None
        self._deliveries.inc(len(entries))
        return b"".join((*(entry.chunk for entry in entries), self.position_block()))

    async def _keep(self) -> None:
        """Each second: heartbeats to the quiet, goodbye to the expired, the door to the stuck and forgotten."""
        loop = asyncio.get_running_loop()
        forgotten = None
        while True:
            await asyncio.sleep(1.0)
            forgotten = self._forget(forgotten)
            now = loop.time()
            beat = f'event: hb\ndata: {{"channel":"{self.name}"}}\nid: {self._cursor}\n\n'.encode()
            expired = []
            for members in self._groups.values():
                for member in members:
                    if not self._access.still_valid(member.principal):
                        expired.append(member)
                    elif now - member.sent_at >= _HEARTBEAT_S and member.hand(beat):
                        # It waited, so it has been served all that was flushed for it.
                        member.served = self._flushed_seq
                        member.sent_at = now
                    elif member.task is not None and member.sending_for(now) > _STUCK_S:
                        member.task.cancel()
            if expired:
                self.close("expired", expired)

    def _forget(self, known: Forgotten | None) -> Forgotten | None:
        """Let go of what memory holds of people forgotten since `known`; who was forgotten until now."""
        try:
            forgotten = self._access.forgotten
        except AccessUnavailable:
            return known
        if forgotten is not known:
            self._ring.remove(
                lambda entry: (
                    forgotten.covers(entry.key, _record_of(entry.chunk))
                    or (self.remembers_only and self._mentions_forgotten(entry))
                )
            )
        return forgotten

    def _mentions_forgotten(self, entry: Entry) -> bool:
        return any(
            request.project == entry.project
            and request.mentions
            and re.search(mention_pattern(request.mentions), entry.chunk.decode(errors="replace"))
            for request in self._access.forget_requests
        )


def _record_of(chunk: bytes) -> bytes:
    return chunk[chunk.index(_DATA) + len(_DATA) :]


def farewell(reason: str) -> bytes:
    """A `bye` block: the reason, and a spread time to come back."""
    retry_ms = random.randint(100, 3000)
    return f'retry: {retry_ms}\nevent: bye\ndata: {{"reason":"{reason}","retry_ms":{retry_ms}}}\n\n'.encode()


def fill_url(wanted: Filter) -> str:
    """Where the activity that a gap hides can be read."""
    names = (("account", wanted.accounts), ("user", wanted.users), ("action", wanted.actions))
    query = [(name, value) for name, values in names for value in sorted(values)]
    return "/v1/activity" + ("?" + urlencode(query) if query else "")
