"""The projector: records of the log become the read model, in the consumer's own transaction."""

import re
from collections.abc import Collection, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from access.cache import Access
from access.errors import AccessUnavailable
from access.mentions import mention_pattern
from access.model import ProjectSettings
from eventlog.batch import Batch
from eventlog.consumer import FencedTransaction
from eventlog.parts import StoreUnavailable
from eventlog.port import Record
from eventmodel import ProjectId, topics
from eventmodel.wire import MalformedRecord, is_blank, split_key
from lifecycle.clock import Clock
from stream_gateway.live.gate import DATABASE_AWAY, Announcer
from stream_gateway.projection.derivation import Derivation, rebuild
from stream_gateway.projection.history import ensure_months
from stream_gateway.projection.removal import remove_person
from stream_gateway.projection.source_tally import (
    MINUTES_KEPT,
    Fate,
    SdkNames,
    SourceTally,
    decode_rejected,
    tidy_sources,
)
from stream_gateway.projection.tally import Tally, columns_of, decode_projected, write
from stream_gateway.rejected.rows import RejectedRows
from telemetry import catalog
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

GROUP = "projector"
LIVE = (topics.EVENTS, topics.ACTIONS, topics.SIGNALS, topics.REJECTED)
BACKFILL = (topics.BACKFILL,)

NOW_WINDOW = timedelta(minutes=5)
"""How long after their last activity a user counts as active now."""

_UNSHOWN_KEPT = timedelta(days=9)

_log = get_logger("projector")


class Projector:
    """The Handler of the consumer group `projector`."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        access: Access,
        clock: Clock,
        announcer: Announcer,
        metrics: Metrics,
        months_back: int = 24,
    ) -> None:
        self._pool = pool
        self._access = access
        self._clock = clock
        self._announcer = announcer
        self._months_back = months_back
        self._tidied_at: datetime | None = None
        self._derivations: dict[tuple[int, ProjectId], Derivation] = {}
        self._met: dict[tuple[int, ProjectId], Derivation] = {}
        self._sdks = SdkNames()
        self._rejected = RejectedRows()
        self._links_refused = metrics.counter(catalog.LINKS_REFUSED)
        self._links_beyond = 0
        self._removed: set[tuple[str, int]] = set()

    async def apply(self, tx: "Connection", batch: Batch) -> None:
        activity = [record for record in batch.records if record.topic in (topics.EVENTS, topics.BACKFILL)]
        rejected = [record for record in batch.records if record.topic == topics.REJECTED]
        keys = {record.key: split_key(record.key) for record in (*activity, *rejected)}
        gone = await self._gone({project for project, _ in keys.values()})
        kept, passed = self._apart(activity, keys, gone)
        sources = SourceTally(self._clock.now() - MINUTES_KEPT)
        self._links_beyond = 0
        if kept:
            await self._meet(tx, {(record.part, keys[record.key][0]) for record in kept})
            self._links_beyond = await write(tx, self._add_up(kept, keys, sources))
        refused = [
            (keys[record.key][0], record, decode_rejected(record.value))
            for record in self._apart(rejected, keys, gone)[0]
            if not self._mentions(keys[record.key][0], record)
        ]
        for project, record, one in refused:
            sources.refuse(record.part, project, one)
        await self._account_for(batch, passed, sources)
        await sources.write(tx, self._sdks)
        await self._rejected.write(tx, refused)
        told = {(record.part, record.offset) for _, record, _ in refused}
        unshown = [
            *batch.duplicates,
            *passed,
            *(record for record in rejected if (record.part, record.offset) not in told),
        ]
        if unshown:
            await tx.execute(
                "insert into gateway.unshown (topic, part, off, recorded_at)"
                " select * from unnest($1::text[], $2::smallint[], $3::bigint[], $4::timestamptz[])"
                " on conflict do nothing",
                *columns_of([(r.topic, r.part, r.offset, r.recorded_at) for r in unshown], 4),
            )

    async def _account_for(self, batch: Batch, passed: Sequence[Record], sources: SourceTally) -> None:
        """What became of events that are not added: known, set aside, or of somebody who is forgotten since."""
        known: Fate = "set_aside" if batch.set_aside else "duplicates"
        sent: list[tuple[Record, Fate]] = [
            *((record, known) for record in batch.duplicates),
            *((record, "stored") for record in passed),
        ]
        keyed = []
        for record, fate in sent:
            # What was set aside may be anything.
            with suppress(MalformedRecord):
                if record.topic in (topics.EVENTS, topics.BACKFILL) and not is_blank(record.key):
                    keyed.append((split_key(record.key)[0], record, fate))
        gone = await self._gone({project for project, _, _ in keyed})
        for project, record, fate in keyed:
            if project not in gone:
                sources.account(record.part, project, record.value, fate)

    async def committed(self, batch: Batch) -> None:
        self._derivations.update(self._met)
        self._met.clear()
        self._links_refused.inc(self._links_beyond)
        self._announcer.announce({record.topic for record in (*batch.records, *batch.duplicates)})

    def forget(self, parts: frozenset[int]) -> None:
        self._met.clear()
        self._removed = {done for done in self._removed if done[1] not in parts}
        self._sdks.forget(parts)
        self._rejected.forget(parts)
        for key in [key for key in self._derivations if key[0] in parts]:
            del self._derivations[key]

    async def tend(self, parts: frozenset[int], fenced: "FencedTransaction[Connection]") -> None:
        await self._forget_people(parts, fenced)
        now = self._clock.now()
        if self._tidied_at is None or now - self._tidied_at > timedelta(minutes=1):
            await self._tidy(parts, fenced, now)
            self._tidied_at = now
        for (number, project_id), derivation in list(self._derivations.items()):
            wanted = self._wanted(project_id)
            if wanted is None or wanted == derivation:
                continue
            async with fenced([number]) as tx:
                await rebuild(tx, number, project_id, wanted)
            self._derivations[number, project_id] = wanted

    async def _tidy(
        self, parts: frozenset[int], fenced: "FencedTransaction[Connection]", now: datetime
    ) -> None:
        try:
            async with self._pool.acquire() as connection:
                await ensure_months(connection, now, self._months_back)
        except DATABASE_AWAY as error:
            raise StoreUnavailable(f"The months of history could not be looked at: {error}") from error
        async with fenced(parts) as tx:
            await tx.execute(
                "delete from gateway.active_now where part = any($1::smallint[]) and last_at < $2",
                sorted(parts),
                now - 2 * NOW_WINDOW,
            )
            await tx.execute(
                "delete from gateway.activity_minute where part = any($1::smallint[]) and minute < $2",
                sorted(parts),
                now - MINUTES_KEPT,
            )
            await tidy_sources(tx, parts, now)
            await self._rejected.tidy(tx, parts, now)
            await tx.execute(
                "delete from gateway.unshown where part = any($1::smallint[]) and recorded_at < $2",
                sorted(parts),
                now - _UNSHOWN_KEPT,
            )
        self._sdks.forget(parts)

    async def _forget_people(self, parts: frozenset[int], fenced: "FencedTransaction[Connection]") -> None:
        """Remove who is to be forgotten, once this process passes over what is still to come of them."""
        requests = self._access.forget_requests
        self._removed = {done for done in self._removed if done[0] in {request.id for request in requests}}
        for request in requests:
            for number in sorted(parts):
                if (request.id, number) not in self._removed:
                    try:
                        await remove_person(request, number, fenced)
                    except asyncpg.PostgresError:
                        # Nothing of it holds, and the part must go on for everybody else.
                        _log.exception("person_not_removed", request=request.id, part=number)
                    else:
                        self._removed.add((request.id, number))

    def _mentions(self, project: ProjectId, record: Record) -> bool:
        """Whether what was refused names somebody who is being forgotten, and came before that."""
        return any(
            request.project == project
            and request.mentions
            and record.recorded_at < request.requested_at
            and re.search(mention_pattern(request.mentions), record.value.decode(errors="replace"))
            for request in self._access.forget_requests
        )

    def _wanted(self, project_id: ProjectId) -> Derivation | None:
        project = self._access.project(project_id)
        return None if project is None else Derivation.of(project.settings)

    async def _gone(self, projects: Collection[ProjectId]) -> set[ProjectId]:
        """Those that are deleted for certain."""
        try:
            return {project for project in projects if await self._access.resolve(project) is None}
        except AccessUnavailable as error:
            raise StoreUnavailable(str(error)) from error

    def _apart(
        self, records: Sequence[Record], keys: Mapping[bytes, tuple[ProjectId, str]], gone: Set[ProjectId]
    ) -> tuple[list[Record], list[Record]]:
        """The records apart from those of deleted projects and of people who were forgotten."""
        kept: list[Record] = []
        passed: list[Record] = []
        for record in records:
            over = keys[record.key][0] in gone or self._access.forgotten.covers(record.key, record.value)
            (passed if over else kept).append(record)
        return kept, passed

    async def _meet(self, tx: "Connection", met: Collection[tuple[int, ProjectId]]) -> None:
        """Know under which settings the derived rows of each part and project are made."""
        unknown = sorted(key for key in met if key not in self._derivations)
        if not unknown:
            return
        for number, project_id in unknown:
            wanted = self._wanted(project_id) or Derivation.of(ProjectSettings())
            row = await tx.fetchrow(
                "with made as (insert into gateway.derivation (part, project, time_zone, trial_actions)"
                " values ($1, $2, $3, $4) on conflict do nothing returning time_zone, trial_actions)"
                " select time_zone, trial_actions from made union all"
                " select time_zone, trial_actions from gateway.derivation where part = $1 and project = $2"
                " limit 1",
                number,
                project_id,
                wanted.time_zone,
                sorted(wanted.trial_actions),
            )
            if row is not None:
                wanted = Derivation(row["time_zone"], frozenset(row["trial_actions"]))
            self._met[number, project_id] = wanted

    def _add_up(
        self, records: Sequence[Record], keys: Mapping[bytes, tuple[ProjectId, str]], sources: SourceTally
    ) -> Tally:
        now = self._clock.now()
        tally = Tally(now_from=now - NOW_WINDOW, minutes_from=now - MINUTES_KEPT)
        for record in records:
            project, subject = keys[record.key]
            key = (record.part, project)
            derivation = self._derivations.get(key) or self._met[key]
            event = decode_projected(record.value)
            tally.add(record, project, subject, event, derivation)
            sources.add(record.part, project, event)
        return tally
