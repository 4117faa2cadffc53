"""Takes the content out of records of the PostgreSQL log; their offsets stay."""

from collections.abc import Callable

from eventlog.port import Person
from eventlog.postgres_session import Session
from eventmodel import topics
from eventmodel.wire import blank_key, record_key

_PAGE = 200
_SEGMENTS = "SELECT DISTINCT segment FROM log.segment ORDER BY 1"
# `key` has no index: a person is forgotten rarely, and an append would pay for it always.
_FIND = """
    SELECT r.topic, r.part, r.segment, r.off, r.key, r.value, t.name = $2 AS refused
    FROM log.record r JOIN log.topic t ON t.id = r.topic
    WHERE r.segment = $1 AND (
        r.key = ANY($3::bytea[])
        OR (t.name = $2 AND substr(r.key, 1, length($4::bytea)) = $4 AND encode(r.value, 'escape') ~ $5)
    )
"""
_BLANK = """
    UPDATE log.record r SET key = $5, value = $6
    FROM unnest($1::smallint[], $2::smallint[], $3::bigint[]) AS u(topic, part, off)
    WHERE r.topic = u.topic AND r.part = u.part AND r.off = u.off AND r.segment = $4
"""
BLANK_VALUE = b'{"id":"blank"}'


async def blank_records(session: Session, person: Person, theirs: Callable[[bytes, bytes], bool]) -> int:
    """Blank what is `theirs` of the records with the person's keys, or refused and mentioning them.

    One day of the log after the other, each in a transaction of its own.
    """
    blanked = 0
    async with session.use() as connection:
        days = [row["segment"] for row in await connection.fetch(_SEGMENTS)]
    for day in days:
        async with session.use() as connection, connection.transaction():
            places = []
            async for row in connection.cursor(
                _FIND,
                day,
                topics.REJECTED,
                list(person.keys),
                record_key(person.project, ""),
                person.pattern,
                prefetch=_PAGE,
            ):
                if theirs(row["key"], row["value"]):
                    places.append((row["topic"], row["part"], row["off"]))
            for first in range(0, len(places), _PAGE):
                columns = zip(*places[first : first + _PAGE], strict=True)
                await connection.execute(_BLANK, *columns, day, blank_key(person.project), BLANK_VALUE)
            blanked += len(places)
    return blanked
