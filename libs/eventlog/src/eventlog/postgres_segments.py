"""The PostgreSQL log's segments: one table per UTC day, made in advance, dropped when too old."""

from eventlog.postgres_session import Connection, Session

AHEAD_D = 3

_LOCK = "footfall log.drop_segments"
_MAKE = "SELECT log.make_segments(d, d + $1) FROM log.day_of(clock_timestamp()) d"
_SEGMENTS = """
SELECT substring(c.relname FROM 8)::integer AS day, i.inhrelid IS NOT NULL AS attached,
       coalesce(i.inhdetachpending, false) AS detaching
FROM pg_class c
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = 'log'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^record_[0-9]+$'
  AND substring(c.relname FROM 8)::integer < log.day_of(clock_timestamp()) - $1::integer
ORDER BY 1
"""


async def make_segments(connection: Connection) -> None:
    """Make the tables of today and the next days."""
    await connection.execute(_MAKE, AHEAD_D)


async def drop_segments(session: Session, retention_d: int) -> list[int]:
    """Drop the segments whose every record is older than `retention_d` days; the days dropped.

    Appends and reads go on meanwhile. A drop that was cut off is taken up again.
    """
    async with session.use() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", _LOCK):
            return []
        dropped = []
        for day, attached, detaching in await connection.fetch(_SEGMENTS, retention_d):
            # First the starts move on, in a transaction of its own: a reader that finds the table gone
            # must find its position truncated, not the end of the log.
            await connection.execute("DELETE FROM log.segment WHERE segment <= $1", day)
            table = f"log.record_{day:d}"
            if attached:
                how = "FINALIZE" if detaching else "CONCURRENTLY"
                await connection.execute(f"ALTER TABLE log.record DETACH PARTITION {table} {how}")
            await connection.execute(f"DROP TABLE {table}")
            dropped.append(day)
        await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", _LOCK)
        return dropped
