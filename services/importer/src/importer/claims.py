"""The worker's hold on a run, and its checkpoints.

A run is worked on by the process that holds its session advisory lock, on the connection that took it: a
dead process frees it at once. `epoch` fences the writes of one that lost its connection without noticing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from importer.frames import BadLine
from importer.runs import Connection, Run, RunError, run_of


class RunLost(Exception):
    """The run was cancelled, or another worker took it up: stop, and write nothing more."""


class Progress(msgspec.Struct, kw_only=True):
    """What a checkpoint moves; everything is a total since the run began."""

    bytes_done: int
    offset_bytes: int
    line_number: int
    published: int
    rejected: int
    skipped: dict[str, int]
    worked_s: float

    @classmethod
    def of(cls, run: Run) -> "Progress":
        return cls(
            bytes_done=run.bytes_done,
            offset_bytes=run.offset_bytes,
            line_number=run.line_number,
            published=run.published,
            rejected=run.rejected,
            skipped=dict(run.skipped),
            worked_s=run.worked_s,
        )


_CANDIDATES: Final = """
    select project, id from importer.run
    where spool = $1 and state in ('queued', 'running') and next_try_at <= now()
    order by worked_at nulls first, id limit 50
"""
_TAKE: Final = """
    update importer.run
    set state = 'running', epoch = epoch + 1, started_at = coalesce(started_at, now()), worked_at = now(),
        message = null
    where project = $1 and id = $2 and state in ('queued', 'running') and next_try_at <= now()
    returning *
"""
_CHECKPOINT: Final = """
    update importer.run
    set bytes_done = $4, offset_bytes = $5, line_number = $6, published = $7, rejected = $8, skipped = $9,
        worked_s = $10, worked_at = now(), failures = 0, message = null
    where project = $1 and id = $2 and epoch = $3 and state = 'running'
    returning true
"""
_WAIT: Final = """
    update importer.run set message = $4
    where project = $1 and id = $2 and epoch = $3 and state = 'running'
    returning true
"""
_REQUEUE: Final = """
    update importer.run set state = 'queued'
    where project = $1 and id = $2 and epoch = $3 and state = 'running'
    returning true
"""
_FINISH: Final = """
    update importer.run
    set state = 'done', bytes_done = bytes_total, finished_at = $4, message = null, error = null
    where project = $1 and id = $2 and epoch = $3 and state = 'running'
    returning true
"""
_FAIL: Final = """
    update importer.run set state = 'failed', error = $4, message = $5, finished_at = $6
    where project = $1 and id = $2 and epoch = $3 and state = 'running'
    returning true
"""
_RETRY: Final = """
    update importer.run
    set state = 'queued', failures = failures + 1, message = $4, next_try_at = now() + $5::interval
    where project = $1 and id = $2 and epoch = $3 and state = 'running'
    returning true
"""
_KEEP_BAD_LINES: Final = """
    insert into importer.rejected_line (project, run, byte_offset, line, code, message, field, start)
    select $1, $2, * from unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
    on conflict do nothing
"""


class Claim:
    """A run that this process works on, for as long as `connection` lives.

    Every write raises RunLost once the run is over or another worker's.
    """

    def __init__(self, connection: Connection, run: Run) -> None:
        self._connection = connection
        self.run = run

    async def checkpoint(self, progress: Progress, bad: Sequence[BadLine]) -> None:
        """Move the run's checkpoint; what lies before it is in the log."""
        async with self._connection.transaction():
            moved = await self._connection.fetchval(
                _CHECKPOINT,
                self.run.project,
                self.run.id,
                self.run.epoch,
                progress.bytes_done,
                progress.offset_bytes,
                progress.line_number,
                progress.published,
                progress.rejected,
                msgspec.json.encode(progress.skipped).decode(),
                progress.worked_s,
            )
            if moved is None:
                raise RunLost
            if bad:
                await self._connection.execute(
                    _KEEP_BAD_LINES,
                    self.run.project,
                    self.run.id,
                    [line.byte_offset for line in bad],
                    [line.line for line in bad],
                    [line.code for line in bad],
                    [line.message for line in bad],
                    [line.field for line in bad],
                    [line.text for line in bad],
                )

    async def wait_for(self, message: str) -> None:
        """Say what the run waits for."""
        await self._write(_WAIT, message)

    async def requeue(self) -> None:
        """Give the run back, so that a waiting one gets its turn."""
        await self._write(_REQUEUE)

    async def finish(self, at: datetime) -> None:
        await self._write(_FINISH, at)

    async def fail(self, error: RunError, message: str, at: datetime) -> None:
        """End the run with a sentence for its owner."""
        await self._write(_FAIL, error, message, at)

    async def retry(self, message: str, delay: timedelta) -> None:
        """Give the run back after a failure that was not the file's; nobody takes it up before `delay` is over."""
        await self._write(_RETRY, message, delay)

    async def _write(self, statement: str, *values: object) -> None:
        moved = await self._connection.fetchval(
            statement, self.run.project, self.run.id, self.run.epoch, *values
        )
        if moved is None:
            raise RunLost


async def claim(connection: Connection, spool: str) -> Claim | None:
    """Take up the run of this spool that was worked on least recently and that nobody works on now.

    The lock is the connection's: it goes when the connection is released or dies.
    """
    for row in await connection.fetch(_CANDIDATES, spool):
        name = "importer.run:" + row["id"]
        if not await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", name):
            continue
        taken = await connection.fetchrow(_TAKE, row["project"], row["id"])
        if taken is not None:
            return Claim(connection, run_of(taken))
        await connection.execute("select pg_advisory_unlock(hashtextextended($1, 0))", name)
    return None
