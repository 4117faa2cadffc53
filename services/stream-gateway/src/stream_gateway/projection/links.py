"""Which id was seen to be which user's.

An event that names a user and an anonymous id links the two; an alias links its `previous_id`, which may be the
id of a visitor or of a user. A link lies in the user's part, so it has one writer, and what is kept of a
user's links does not depend on the order in which events came: of each pair the first event, of a user the
first 500 pairs, by (occurred_at, id). Whose an id is, is decided when reading (`reads.people`).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

MAX_LINKS: Final = 500
"""Ids kept of one user."""

MAY_LINK: Final = """left(subject, 2) = 'u:' and event ~ '"(anonymous|previous)_id"'"""
"""SQL of whether a row of history may hold a link: true of every row that does."""

Links: TypeAlias = dict[tuple[int, str, str, str], tuple[datetime, str]]
"""(part, project, subject, user as subject) to the first event: when it happened, and its id."""

# Most pairs are known already, and a row that is not changed need not be locked either.
_ADD: Final = """
    insert into gateway.link as t (part, project, subject, belongs_to, linked_at, id)
    select u.* from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        as u(part, project, subject, belongs_to, linked_at, id)
    where not exists (
        select from gateway.link as k
        where k.project = u.project and k.subject = u.subject and k.belongs_to = u.belongs_to and k.part = u.part
            and (k.linked_at, k.id) <= (u.linked_at, u.id collate "C")
    )
    on conflict (project, subject, belongs_to, part) do update set linked_at = excluded.linked_at, id = excluded.id
    returning t.part, t.project, t.belongs_to
"""
_BOUND: Final = """
    delete from gateway.link as t
    using (select distinct * from unnest($1::smallint[], $2::text[], $3::text[])) as u(part, project, belongs_to)
    cross join lateral (
        select subject from gateway.link as l where l.project = u.project and l.belongs_to = u.belongs_to
        order by linked_at, id, subject offset $4
    ) as beyond
    where t.project = u.project and t.subject = beyond.subject and t.belongs_to = u.belongs_to and t.part = u.part
"""


def linked_subjects(
    subject: str, kind: str, anonymous_id: str | None, previous_id: str | None
) -> Iterator[str]:
    """The subjects that an event of the user `subject` says are theirs."""
    if anonymous_id is not None:
        yield f"a:{anonymous_id}"
    if kind == "alias" and previous_id is not None:
        if previous_id != anonymous_id:
            yield f"a:{previous_id}"
        # Nobody can tell by an id whether it was a visitor's or a user's.
        if subject != f"u:{previous_id}":
            yield f"u:{previous_id}"


async def add_links(tx: "Connection", links: Links, schema: str = "gateway") -> int:
    """Keep the links in `schema`; how many were refused because their user has 500 earlier ones."""

    def within(statement: str) -> str:
        return statement if schema == "gateway" else statement.replace("gateway.", f"{schema}.")

    rows = [(*pair, *first) for pair, first in sorted(links.items())]
    added = await tx.fetch(within(_ADD), *zip(*rows, strict=True))
    if not added:
        return 0
    done = await tx.execute(within(_BOUND), *zip(*added, strict=True), MAX_LINKS)
    return int(done.split()[-1])
