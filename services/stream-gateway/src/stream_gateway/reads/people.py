"""Who is who: an id belongs to the user whom the first event linked it to, that user perhaps to another.

Nothing is rewritten when two become one: rows stay with their subject, and whoever reads adds up over the
subjects of a person. `gateway.person_of` and `gateway.ids_of` say which those are. SQL here names the project $1.
"""

from typing import Final

_PERSON: Final = """case when exists (
        select from gateway.link as further where further.project = $1 and further.subject = {user}
    ) then gateway.person_of($1, {user}) else {user} end as person"""

EVERYBODY_KNOWN: Final = f"""(
    select first.subject, {_PERSON.format(user="first.belongs_to")}
    from (
        select distinct on (subject) subject, belongs_to from gateway.link where project = $1
        order by subject, linked_at, id, belongs_to
    ) as first
)"""  # noqa: S608 (constants)
"""Of each subject that belongs to somebody (`subject`), to whom (`person`); for questions about a whole project."""


def known_as(subject: str) -> str:
    """A join of `known.person`: to whom `subject`, a column, belongs; null where to nobody."""
    return f"""left join lateral (
        select {_PERSON.format(user="l.belongs_to")} from gateway.link as l
        where l.project = $1 and l.subject = {subject} order by l.linked_at, l.id, l.belongs_to limit 1
    ) as known on true"""  # noqa: S608 (columns)


def is_known_by_itself(subject: str) -> str:
    """Whether `subject`, a column, belongs to nobody else."""
    return f"""(not exists (select from gateway.link as l where l.project = $1 and l.subject = {subject})
        or gateway.person_of($1, {subject}) = {subject})"""


def ids_of(subject: str, *, alone: bool = False) -> str:
    """An array of `subject`, a column or parameter, and unless it is `alone` of all that belongs to it."""
    return f"array[{subject}]" if alone else f"array(select gateway.ids_of($1, {subject}))"
