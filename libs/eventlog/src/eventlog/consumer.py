"""The consumer runtime: a group's parts, each record applied once, state and position in one transaction.

The projector and the rule engine hand in a Handler; the runtime owns membership, owner epochs, positions,
remembered ids, the order of live before backfill, retries and the setting aside of poison.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Generic, Protocol, TypeAlias, TypeVar

from eventlog.batch import Batch, first_of_each, newest, next_positions, set_aside
from eventlog.errors import BeyondHead, LogUnavailable, Truncated
from eventlog.parts import Fenced, PartStore, StoreUnavailable, Tx
from eventlog.port import EventLog, Member, Reader, Record, Topic, TopicPart
from eventmodel import topics
from telemetry import catalog
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

TxIn = TypeVar("TxIn", contravariant=True)

FencedTransaction: TypeAlias = Callable[[Collection[int]], AbstractAsyncContextManager[Tx]]
"""`fenced(parts)`: a transaction in which these parts are locked and still ours; raises Fenced."""

_BATCH = 1000
_BACKFILL_BATCH = 500
_BACKFILL_BATCH_BESIDE_LIVE = 50
_IDLE_S = 0.2
_FEW = 100
_PACE_S = 0.02
"""The least time between two transactions of few records: one costs about the same for one as for twenty."""

_TEND_EVERY_S = 1.0
_TIDY_EVERY_S = 600.0
_FLOWING_S = 1.0
_POISON_IN_A_ROW = 100

_log = get_logger("consumer")


class Clock(Protocol):
    """The wall clock, aware UTC."""

    def now(self) -> datetime: ...


class Handler(Protocol[TxIn]):
    """What a service does with a group's records."""

    async def apply(self, tx: TxIn, batch: Batch) -> None:
        """Write the batch's results in `tx`. May be called again with the same records when the transaction fails.

        An exception other than the store's own marks a record as poison, once it fails alone.
        """
        ...

    async def committed(self, batch: Batch) -> None:
        """The batch is durable: wake who waits for it. Must not raise for reasons of the batch."""
        ...

    async def tend(self, parts: frozenset[int], fenced: "FencedTransaction[TxIn]") -> None:
        """About once a second between batches: the owner's work on its parts that no record asks for."""
        ...

    def forget(self, parts: frozenset[int]) -> None:
        """These parts are no longer ours, or not for certain: forget whatever is cached of them."""
        ...


class Consumer(Generic[Tx]):
    """One process's share of a consumer group; `run` needs an owner and runs until cancelled."""

    def __init__(
        self,
        *,
        group: str,
        live: Sequence[str],
        backfill: Sequence[str],
        log: EventLog,
        store: PartStore[Tx],
        handler: Handler[Tx],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._group = group
        self._live = tuple(live)
        self._backfill = tuple(backfill)
        self._log = log
        self._store = store
        self._handler = handler
        self._clock = clock
        self._epochs: dict[int, int] = {}
        self._positions: dict[TopicPart, int] = {}
        self._halted: dict[int, str] = {}
        self._poison_in_a_row: Counter[int] = Counter()
        self._backlog = False
        self._backfill_at = 0.0
        self._live_at = float("-inf")
        self._tended_at = 0.0
        self._tidied_at = float("-inf")
        self._topics: list[Topic] = []
        self._applied = metrics.counter(catalog.CONSUMER_RECORDS, group, "applied")
        self._duplicates = metrics.counter(catalog.CONSUMER_RECORDS, group, "duplicate")
        self._poison = metrics.counter(catalog.CONSUMER_RECORDS, group, "poison")
        self._failures = metrics.counter(catalog.CONSUMER_FAILURES, group)
        self._owned = metrics.gauge(catalog.CONSUMER_PARTS, group, "owned")
        self._stopped = metrics.gauge(catalog.CONSUMER_PARTS, group, "halted")
        self._lag = {t: metrics.gauge(catalog.CONSUMER_LAG, group, t) for t in (*live, *backfill)}
        self._delay = metrics.gauge(catalog.CONSUMER_DELAY, group)

    async def check(self) -> str:
        """`ok`, or a sentence about the parts that poison has stopped."""
        if not self._halted:
            return "ok"
        return "; ".join(f"part {number} stopped: {why}" for number, why in sorted(self._halted.items()))

    async def run(self) -> None:
        """Consume until cancelled.

        Outages are waited out; LogMismatch and BeyondHead are raised: they need a person.
        """
        pause_s = 0.1
        while True:
            try:
                async with (
                    self._log.join(self._group, [*self._live, *self._backfill]) as member,
                    self._log.reader() as live,
                    self._log.reader() as backfill,
                ):
                    self._topics = [await self._log.topic(name) for name in (*self._live, *self._backfill)]
                    while True:
                        await self._step(member, live, backfill)
                        pause_s = 0.1
            except (LogUnavailable, StoreUnavailable) as error:
                self._failures.inc()
                _log.warning(
                    "consumer_waits", group=self._group, reason=str(error), pause_s=round(pause_s, 1)
                )
                self._drop(list(self._epochs))
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(pause_s * 2, 5.0)

    async def _step(self, member: Member, live: Reader, backfill: Reader) -> None:
        await self._settle(member, live, backfill)
        if not self._epochs:
            await asyncio.sleep(_IDLE_S)
            return
        try:
            await self._turn(live, backfill)
        except Truncated as error:
            await self._skip_hole(error)
            self._assign(live, backfill)
        await self._tend()

    async def _turn(self, live: Reader, backfill: Reader) -> None:
        """One batch of live records; where that was all there is, one of the backfill when its time has come."""
        loop = asyncio.get_running_loop()
        wait_s = max(0.0, self._backfill_at - loop.time()) if self._backlog else _IDLE_S
        records = await live.fetch(_BATCH, wait_s)
        began = loop.time()
        await self._apply_mine(records, live, backfill)
        if records:
            self._live_at = began
        if len(records) < _FEW and self._backfill and loop.time() >= self._backfill_at:
            await self._turn_back(live, backfill)
        if 0 < len(records) < _FEW:
            await asyncio.sleep(began + _PACE_S - loop.time())

    async def _turn_back(self, live: Reader, backfill: Reader) -> None:
        """One batch of the backfill. Beside live records it is small, and rests twice as long as it worked."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        beside_live = began - self._live_at < _FLOWING_S
        records = await backfill.fetch(_BACKFILL_BATCH_BESIDE_LIVE if beside_live else _BACKFILL_BATCH, 0)
        await self._apply_mine(records, live, backfill)
        self._backlog = bool(records)
        worked_s = loop.time() - began
        rest_s = 2 * worked_s if beside_live else 0.0
        self._backfill_at = loop.time() + (rest_s if records else _IDLE_S)

    async def _apply_mine(self, records: Sequence[Record], live: Reader, backfill: Reader) -> None:
        mine = [record for record in records if record.part in self._epochs]
        if mine:
            await self._apply(mine)
        if len(mine) < len(records) or any(record.part not in self._epochs for record in mine):
            self._assign(live, backfill)

    async def _settle(self, member: Member, live: Reader, backfill: Reader) -> None:
        """Take what is newly assigned, outside any listener, and give up what is not."""
        assigned = await member.assignment() - self._halted.keys()
        gone = self._epochs.keys() - assigned
        new = assigned - self._epochs.keys()
        if not gone and not new:
            return
        self._drop(gone)
        if new:
            starts = {
                TopicPart(topic.name, number): start
                for topic in self._topics
                for number, start in enumerate(await self._log.starts(topic.name))
            }
            ownership = await self._store.acquire(new, self._topics, starts)
            await self._refuse_beyond_head(ownership.positions)
            self._epochs.update(ownership.epochs)
            self._positions.update(ownership.positions)
            _log.info("parts_acquired", group=self._group, parts=sorted(new))
        self._assign(live, backfill)
        self._owned.set(len(self._epochs))

    async def _refuse_beyond_head(self, positions: Mapping[TopicPart, int]) -> None:
        for topic in self._topics:
            for number, head in enumerate(await self._log.heads(topic.name)):
                position = positions.get(TopicPart(topic.name, number), 0)
                if position > head:
                    raise BeyondHead(topic.name, number, position, head)

    def _drop(self, parts: Iterable[int]) -> None:
        dropped = frozenset(parts)
        for number in dropped:
            self._epochs.pop(number, None)
            for topic in self._topics:
                self._positions.pop(TopicPart(topic.name, number), None)
        self._handler.forget(dropped)

    def _assign(self, live: Reader, backfill: Reader) -> None:
        live.assign({where: at for where, at in self._positions.items() if where.topic in self._live})
        backfill.assign({where: at for where, at in self._positions.items() if where.topic in self._backfill})

    async def _apply(self, records: Sequence[Record]) -> None:
        """Apply what is still ours of `records`; a part that is fenced leaves, the rest is tried again."""
        while records := [record for record in records if record.part in self._epochs]:
            try:
                batch = await self._commit(records)
            except Fenced as error:
                _log.warning("parts_fenced", group=self._group, parts=sorted(error.parts))
                self._drop(error.parts)
                # The rightful owner may be starting at this moment; whoever is still assigned tries again later.
                await asyncio.sleep(random.uniform(0.05, 0.3))
                continue
            except (StoreUnavailable, LogUnavailable):
                raise
            except Exception as error:
                if len(records) > 1:
                    for record in records:
                        await self._apply([record])
                    return
                await self._set_aside(records[0], error)
                return
            await self._settle_batch(records, batch)
            return

    async def _commit(self, records: Sequence[Record]) -> Batch:
        epochs = {record.part: self._epochs[record.part] for record in records}
        candidates, repeats, identities = first_of_each(records)
        async with self._store.transaction(epochs) as tx:
            known = await self._store.remember(tx, identities)
            fresh = [record for index, record in enumerate(candidates) if index not in known]
            repeats += [candidates[index] for index in sorted(known)]
            batch = Batch(fresh, repeats)
            await self._handler.apply(tx, batch)
            await self._store.advance(tx, next_positions(records), newest(records))
        return batch

    async def _settle_batch(self, records: Sequence[Record], batch: Batch) -> None:
        self._positions.update(next_positions(records))
        # What was set aside comes back from there to a group that reads it, and is no sign of health.
        for number in {record.part for record in records if record.topic != topics.REJECTED}:
            self._poison_in_a_row.pop(number, None)
        self._applied.inc(len(batch.records))
        self._duplicates.inc(len(batch.duplicates))
        self._delay.set((self._clock.now() - records[-1].recorded_at).total_seconds())
        await self._handler.committed(batch)

    async def _set_aside(self, record: Record, error: Exception) -> None:
        """Keep a record that fails alone in `footfall.rejected` and go on; too many in a row stop the part.

        One that comes from there is passed over: it is kept already, and a copy would fail and be kept again
        for ever. Nor does it stop the part, whose live events matter more than what was refused.
        """
        self._poison.inc()
        kept_already = record.topic == topics.REJECTED
        if not kept_already:
            self._poison_in_a_row[record.part] += 1
        if self._poison_in_a_row[record.part] > _POISON_IN_A_ROW:
            why = f"{_POISON_IN_A_ROW} records in a row failed, the last with {type(error).__name__}: {error}"
            self._halted[record.part] = why
            self._stopped.set(len(self._halted))
            self._drop([record.part])
            _log.error("part_halted", group=self._group, part=record.part, reason=why)
            return
        _log.error(
            "record_passed_over" if kept_already else "record_set_aside",
            group=self._group,
            topic=record.topic,
            part=record.part,
            offset=record.offset,
            exc_info=error,
        )
        if not kept_already:
            await self._log.append(topics.REJECTED, [set_aside(self._group, record, error)])
        async with self._store.transaction({record.part: self._epochs[record.part]}) as tx:
            batch = Batch((), (record,), set_aside=True)
            await self._handler.apply(tx, batch)
            await self._store.advance(tx, next_positions([record]), newest([record]))
        self._positions.update(next_positions([record]))
        await self._handler.committed(batch)

    async def _skip_hole(self, error: Truncated) -> None:
        """Records left the log before this group read them: say so loudly and go on at the oldest kept one."""
        _log.error(
            "records_lost_to_retention",
            group=self._group,
            topic=error.topic,
            part=error.part,
            position=error.position,
            start=error.start,
        )
        where = TopicPart(error.topic, error.part)
        async with self._store.transaction({error.part: self._epochs[error.part]}) as tx:
            await self._store.advance(tx, {where: error.start}, {})
        self._positions[where] = error.start

    async def _tend(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._tended_at < _TEND_EVERY_S:
            return
        self._tended_at = now
        try:
            behind = await self._measure_lag()
            if now - self._tidied_at > _TIDY_EVERY_S:
                await self._tidy({number for number in self._epochs if not behind[number]})
                self._tidied_at = now
            await self._handler.tend(frozenset(self._epochs), self._fenced)
        except Fenced as error:
            self._drop(error.parts)

    async def _measure_lag(self) -> Counter[int]:
        """By part, the records that are not applied yet, of all topics."""
        behind: Counter[int] = Counter()
        for topic in self._topics:
            heads = await self._log.heads(topic.name)
            lag = {n: heads[n] - self._positions[TopicPart(topic.name, n)] for n in self._epochs}
            self._lag[topic.name].set(sum(lag.values()))
            behind.update(lag)
        return behind

    async def _tidy(self, idle: Collection[int]) -> None:
        """Let the store forget old ids. The clock of a part that has applied everything is the present."""
        now = self._clock.now()
        if idle:
            async with self._fenced(idle) as tx:
                await self._store.advance(tx, {}, dict.fromkeys(idle, now))
        await self._store.tidy(now)

    def _fenced(self, parts: Collection[int]) -> AbstractAsyncContextManager[Tx]:
        epochs = {number: self._epochs.get(number, -1) for number in parts}
        return self._store.transaction(epochs)
