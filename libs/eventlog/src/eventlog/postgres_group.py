"""Membership in a consumer group on PostgreSQL: who holds a part's advisory lock owns it.

Locks belong to a connection, so a process that dies loses them with it, and one that stalls loses them
when the server closes a connection idle for `IDLE_S`. Each member also holds a lock of its own, by which
the others count it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple

from eventlog.postgres_session import Connection, Session

POLL_EVERY_S = 0.5
IDLE_S = 10

_LOCKS = """
SELECT l.classid::bigint, l.objid::bigint, l.pid
FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND l.classid::bigint = ANY ($1::bigint[])
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
"""
_ENTER = "SELECT pg_advisory_lock($1::integer, pg_backend_pid())"
_TAKE = "SELECT p FROM unnest($2::integer[]) p WHERE pg_try_advisory_lock($1::integer, p)"
_GIVE_UP = "SELECT pg_advisory_unlock($1::integer, p) FROM unnest($2::integer[]) p"


class Change(NamedTuple):
    """What a member does next: parts it should no longer serve, and parts to try for."""

    give_up: frozenset[int]
    take: frozenset[int]


def settle(
    partitions: int, members: Collection[int], me: int, owners: Mapping[int, int], held: Collection[int]
) -> Change:
    """What `me` does so that every member ends with its share; shares differ by one at most.

    `owners` says which member holds a part's lock, `held` which of mine I still serve. No member takes
    more than its share, so all parts find an owner once those with too many have given up theirs.
    """
    rank = sorted(members).index(me)
    share = partitions // len(members) + (rank < partitions % len(members))
    excess = len(held) - share
    if excess > 0:
        return Change(frozenset(sorted(held)[-excess:]), frozenset())
    free = [number for number in range(partitions) if number not in owners]
    return Change(frozenset(), frozenset(free[:-excess] if excess else ()))


class PostgresMember:
    """See `eventlog.port.Member`. `partitions` raises UnknownTopic, or ValueError when topics disagree."""

    def __init__(self, session: Session, group: str, partitions: Callable[[], Awaitable[int]]) -> None:
        self._session = session
        self._group_class = _lock_class("part", group)
        self._member_class = _lock_class("member", group)
        self._partitions = partitions
        self._owned: frozenset[int] = frozenset()
        self._leaving: frozenset[int] = frozenset()
        self._count = 0
        self._polled_at = float("-inf")

    async def assignment(self) -> frozenset[int]:
        now = asyncio.get_running_loop().time()
        joining = not self._session.connected
        if joining:
            self._owned = self._leaving = frozenset()
            self._count = await self._partitions()
        elif not self._leaving and now - self._polled_at < POLL_EVERY_S:
            return self._owned
        async with self._session.use() as connection:
            if joining:
                await connection.execute(_ENTER, self._member_class)
            await self._settle(connection)
        self._polled_at = now
        return self._owned

    async def _settle(self, connection: Connection) -> None:
        if self._leaving:
            # The caller has been told at its last call, and has finished with them since.
            await connection.execute(_GIVE_UP, self._group_class, sorted(self._leaving))
            self._leaving = frozenset()
        me = connection.get_server_pid()
        group, member = _unsigned(self._group_class), _unsigned(self._member_class)
        locks = await connection.fetch(_LOCKS, [group, member])
        members = {pid for kind, _, pid in locks if kind == member}
        owners = {number: pid for kind, number, pid in locks if kind == group}
        change = settle(self._count, members, me, owners, self._owned)
        self._leaving = change.give_up
        self._owned -= change.give_up
        if change.take:
            taken = await connection.fetch(_TAKE, self._group_class, sorted(change.take))
            self._owned |= {row[0] for row in taken}


def _lock_class(kind: str, group: str) -> int:
    digest = hashlib.blake2b(f"footfall {kind} {group}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True)


def _unsigned(lock_class: int) -> int:
    return lock_class % (1 << 32)
