"""Which ids a person has, and which of them others have as well."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from eventmodel import ProjectId

MAX_IDS: Final = 1_000

_BELONGING: Final = """
    select distinct subject from gateway.link
    where project = $1 and belongs_to = any($2::text[]) and not subject = any($3::text[])
        and gateway.person_of($1, subject) = $4
    limit $5
"""
_SHARED: Final = """
    select distinct subject from gateway.link
    where project = $1 and subject = any($2::text[]) and not belongs_to = any($2::text[])
"""


class Identities(NamedTuple):
    """The subjects of a person, the user's own first; `shared` are those other users were linked to as well."""

    subjects: Sequence[str]
    shared: frozenset[str]

    @property
    def mentions(self) -> Sequence[str]:
        """The ids, without their kind, that nobody else has."""
        alone = [subject[2:] for subject in self.subjects[1:] if subject not in self.shared]
        return list(dict.fromkeys([self.subjects[0][2:], *alone]))


class KnownAs(Exception):
    """The user is part of another, `user`."""

    def __init__(self, user: str) -> None:
        super().__init__(f"This user is known as {user}.")
        self.user = user


class TooManyIds(Exception):
    """The person has more than MAX_IDS ids."""


async def find_identities(pool: "asyncpg.Pool[asyncpg.Record]", project: ProjectId, user: str) -> Identities:
    """All ids of the user, known here or not. Raises KnownAs and TooManyIds."""
    subject = f"u:{user}"
    async with pool.acquire() as connection:
        person = await connection.fetchval("select gateway.person_of($1, $2)", project, subject)
        if person != subject:
            raise KnownAs(str(person)[2:])
        subjects, newest = [subject], [subject]
        while newest:
            rows = await connection.fetch(_BELONGING, project, newest, subjects, subject, MAX_IDS)
            newest = sorted(row["subject"] for row in rows)
            subjects += newest
            if len(subjects) > MAX_IDS:
                raise TooManyIds
        shared = await connection.fetch(_SHARED, project, subjects)
    return Identities(subjects, frozenset(row["subject"] for row in shared))
