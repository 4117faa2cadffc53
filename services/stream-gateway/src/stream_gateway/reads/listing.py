"""A list of customers as it is asked for: searched, sorted, and from which row on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from fastapi import Request

from lifecycle.errors import Problem
from stream_gateway.reads.answers import limit_of, text_of
from stream_gateway.reads.keyset import After, parse_after

Sorts: TypeAlias = Mapping[str, type[str] | type[int] | type[datetime]]
"""What a list may be sorted by, and what it then compares; the first is the name, and the default."""

_ORDERS: Final = ("asc", "desc")
_ESCAPED: Final = str.maketrans({letter: f"\\{letter}" for letter in "\\%_"})


@dataclass(frozen=True, slots=True)
class Listing:
    """`sort` is one of the list's sorts. Rows that are equal in it come by name, whatever the order."""

    sort: str
    descending: bool
    search: str | None
    after: After | None
    limit: int

    @classmethod
    def of(cls, request: Request, sorts: Sorts) -> "Listing":
        """What the query asks for; raises Problem."""
        by_name = next(iter(sorts))
        sort = request.query_params.get("sort", by_name)
        if sort not in sorts:
            raise Problem(400, "invalid_sort", f"sort is one of {', '.join(sorts)}.", field="sort")
        order = request.query_params.get("order", "asc" if sort == by_name else "desc")
        if order not in _ORDERS:
            raise Problem(400, "invalid_order", "order is asc or desc.", field="order")
        after = text_of(request, "after")
        return cls(
            sort,
            order == "desc",
            text_of(request, "search") or None,
            None if after is None else parse_after(after, sort, sorts[sort]),
            limit_of(request),
        )

    def conditions(self, column: str, name: str, searched: Sequence[str], values: list[object]) -> str:
        """The where clause of the page; its parameters go into `values`.

        `column` holds what the list is sorted by, `name` is the row's name, and one of `searched` must hold
        what is searched for.
        """
        conditions = ["true"]
        if self.search is not None:
            values.append(f"%{self.search.translate(_ESCAPED)}%")
            # The ids' own collation knows no letters beyond ASCII.
            found = [f'{text} collate "default" ilike ${len(values)}' for text in searched]
            conditions.append(f"({' or '.join(found)})")
        if self.after is not None:
            values.append(self.after.value)
            value = f"${len(values)}"
            if column != name:
                values.append(self.after.name)
            last = f"${len(values)}"
            beyond = f"{column} {'<' if self.descending else '>'} {value}"
            # A plain comparison where the name decides: an index serves that one, and no `or`.
            tied = f"{column} = {value} and {name} > {last}"
            conditions.append(beyond if column == name else f"({beyond} or ({tied}))")
        return " and ".join(conditions)

    def order(self, column: str, name: str) -> str:
        """The order by clause."""
        return f"order by {column} {'desc' if self.descending else 'asc'}, {name}"


def string_trait(traits: str) -> str:
    """SQL of the trait `name` where it is a text, else null; `traits` is a column."""
    return f"(case when jsonb_typeof({traits} -> 'name') = 'string' then {traits} ->> 'name' end)"
