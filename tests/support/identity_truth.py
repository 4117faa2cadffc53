"""Who is who, worked out from all links at once: what the order of arrival must not change."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

MOST = 500


class Link(NamedTuple):
    """An event at `at` said that `subject` is `user`; both are subjects."""

    at: datetime
    id: str
    user: str
    subject: str


def links_of(
    at: datetime, id_: str, kind: str, user: str | None, anonymous_id: str | None, previous_id: str | None
) -> list[Link]:
    """What one event says."""
    if user is None:
        return []
    said = [f"a:{anonymous_id}"] if anonymous_id is not None else []
    if kind == "alias" and previous_id is not None:
        said += [f"a:{previous_id}", f"u:{previous_id}"]
    return [Link(at, id_, f"u:{user}", subject) for subject in said if subject != f"u:{user}"]


def kept(links: Iterable[Link]) -> list[Link]:
    """The first of each pair, and of each user the first 500, in order."""
    first: dict[tuple[str, str], Link] = {}
    for link in sorted(links):
        first.setdefault((link.user, link.subject), link)
    by_user: dict[str, list[Link]] = defaultdict(list)
    for link in sorted(first.values(), key=lambda link: (link.at, link.id, link.subject)):
        by_user[link.user].append(link)
    return sorted(link for theirs in by_user.values() for link in theirs[:MOST])


def belonging(links: Iterable[Link]) -> Mapping[str, str]:
    """Of each subject that belongs to somebody, to whom: its first link, unless that closes a circle."""
    first = kept(links)
    above: dict[str, str] = {}
    for link in first:
        above.setdefault(link.subject, link.user)
    cluster = {name: {name} for name in (*above, *above.values())}
    belongs: dict[str, str] = {}
    for link in first:
        if above[link.subject] != link.user:
            continue
        if cluster[link.subject] is cluster[link.user]:
            continue
        belongs[link.subject] = link.user
        joined = cluster[link.subject] | cluster[link.user]
        for name in joined:
            cluster[name] = joined
    return belongs


def person_of(belongs: Mapping[str, str], subject: str) -> str:
    """The last to whom the subject belongs."""
    while subject in belongs:
        subject = belongs[subject]
    return subject


def ids_of(belongs: Mapping[str, str], subject: str, subjects: Sequence[str]) -> set[str]:
    """The subject and those of `subjects` that belong to it."""

    def above(one: str) -> Iterable[str]:
        while one in belongs:
            one = belongs[one]
            yield one

    return {subject} | {one for one in subjects if subject in above(one)}
