"""Which path, and which mark in the request, is answered by which vendor's protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ingest_api.protocols import segment
from ingest_api.protocols.exchange import Call, EventProtocol, Request

MOUNT: Final = "/compat"


class Row(NamedTuple):
    """Routes of one vendor. A `{name}` in a path is any one segment; paths end in no slash, callers may add one.

    Of several vendors on one path the first row whose `marks` holds is meant; below `/compat/<vendor>` the
    vendor is settled.
    """

    vendor: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    speaks: EventProtocol | Call
    marks: Callable[[Request], bool] | None = None


_SEGMENT: Final = EventProtocol(segment.decode, segment.answer)

TABLE: Final[tuple[Row, ...]] = (
    Row(
        "segment",
        ("POST",),
        tuple(
            f"/v1/{name}"
            for name in (
                *("identify", "track", "page", "screen", "group", "alias", "batch", "import"),
                *("i", "t", "p", "s", "g", "a", "b"),
            )
        ),
        _SEGMENT,
    ),
)


class Match(NamedTuple):
    """The rows a path may mean, in the table's order; `path` is as the vendor knows it."""

    rows: Sequence[Row]
    path: str
    route: str
    parameters: Mapping[str, str]


class Table:
    """Finds rows by path: literal paths in one lookup, the few with parameters one after another."""

    def __init__(self, rows: Sequence[Row] = TABLE) -> None:
        self._literal: dict[str, list[Row]] = {}
        self._patterns: list[tuple[str, list[str], Row]] = []
        for row in rows:
            for path in row.paths:
                for mounted in (path, f"{MOUNT}/{row.vendor}{path}"):
                    if "{" in path:
                        self._patterns.append((mounted, mounted.split("/"), row))
                    else:
                        self._literal.setdefault(mounted, []).append(row)

    def find(self, path: str) -> Match | None:
        """The rows of a path, with or without a slash at its end; None when no vendor has it."""
        plain = path.rstrip("/")
        rows = self._literal.get(plain)
        if rows is not None:
            return Match(rows, _below_mount(plain, rows[0].vendor), plain, {})
        segments = plain.split("/")
        found = [
            (route, row, parameters)
            for route, pattern, row in self._patterns
            if (parameters := _bound(pattern, segments)) is not None
        ]
        if not found:
            return None
        route, first, parameters = found[0]
        same = [row for other, row, _ in found if other == route]
        return Match(same, _below_mount(plain, first.vendor), route, parameters)

    def routes(self) -> Iterator[tuple[str, Row]]:
        """Every path as it is answered, with its row; for documents and tests."""
        for path, rows in self._literal.items():
            for row in rows:
                yield path, row
        for route, _, row in self._patterns:
            yield route, row


def _below_mount(path: str, vendor: str) -> str:
    return path.removeprefix(f"{MOUNT}/{vendor}")


def _bound(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    parameters: dict[str, str] = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            name, _, ending = wanted[1:].partition("}")
            if not given.endswith(ending) or len(given) == len(ending):
                return None
            parameters[name] = given.removesuffix(ending)
        elif wanted != given:
            return None
    return parameters
