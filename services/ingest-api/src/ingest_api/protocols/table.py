"""Which path, and which mark in the request, is answered by which vendor's protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ingest_api.protocols import (
    cloudevents,
    image,
    jitsu,
    kissmetrics,
    mixpanel,
    posthog,
    rudderstack,
    segment,
    tapstream,
    totango,
)
from ingest_api.protocols.exchange import Call, EventProtocol, Request

MOUNT: Final = "/compat"


class Row(NamedTuple):
    """Routes of one vendor. A `{name}` in a path is any one segment; paths end in no slash, callers may add one.
    The empty path is `/compat/<vendor>` alone.

    Of several vendors on one path the first row whose `marks` holds is meant; below `/compat/<vendor>` the
    vendor is settled.
    """

    vendor: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    speaks: EventProtocol | Call
    marks: Callable[[Request], bool] | None = None


_TYPES: Final = ("identify", "track", "page", "screen", "group", "alias")
_BATCHES: Final = ("batch", "import")
_LETTERS: Final = ("i", "t", "p", "s", "g", "a", "b")


def _under(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}/{name}" for name in names)


_KISSMETRICS: Final = EventProtocol(kissmetrics.decode, image.answer)
_MIXPANEL: Final = EventProtocol(mixpanel.decode, mixpanel.answer)
_SEGMENT: Final = EventProtocol(segment.decode, segment.answer)
_SEGMENT_PIXEL: Final = EventProtocol(segment.decode_pixel, image.answer)
_RUDDERSTACK: Final = EventProtocol(rudderstack.decode, segment.answer)
_POSTHOG: Final = EventProtocol(posthog.decode, posthog.answer)
_JITSU: Final = EventProtocol(jitsu.decode, jitsu.answer)

_CLOUDEVENTS: Final = EventProtocol(cloudevents.decode, cloudevents.answer)

TABLE: Final[tuple[Row, ...]] = (
    Row("kissmetrics", ("GET", "POST"), ("/e", "/s", "/a"), _KISSMETRICS, marks=kissmetrics.is_meant),
    Row(
        "rudderstack",
        ("POST",),
        _under("/v1", *_TYPES, *_BATCHES),
        _RUDDERSTACK,
        marks=rudderstack.is_meant,
    ),
    Row("rudderstack", ("POST",), ("/v1/merge", "/beacon/v1/batch"), _RUDDERSTACK),
    Row("rudderstack", ("GET",), _under("/pixel/v1", "track", "page"), _SEGMENT_PIXEL),
    Row("rudderstack", ("GET",), ("/sourceConfig",), Call(rudderstack.source_config)),
    Row("segment", ("POST",), _under("/v1", *_TYPES, *_BATCHES, *_LETTERS), _SEGMENT),
    Row("segment", ("POST",), ("/v1/m",), Call(segment.forget)),
    Row("segment", ("GET",), _under("/v1/pixel", *_TYPES), _SEGMENT_PIXEL),
    Row(
        "segment",
        ("GET",),
        ("/v1/projects/{writeKey}/settings", "/v1/projects/projects/{writeKey}/settings"),
        Call(segment.settings),
    ),
    Row("segment", ("GET",), ("/analytics.js/v1/{writeKey}/analytics.min.js",), Call(segment.script)),
    Row(
        "jitsu",
        ("POST",),
        (*_under("/api/s", *_TYPES, "batch"), *_under("/api/s/s2s", *_TYPES, "batch")),
        _JITSU,
    ),
    Row("jitsu", ("GET",), _under("/api/px", *_TYPES), _SEGMENT_PIXEL),
    Row("posthog", ("POST",), ("/track", "/engage"), _POSTHOG, marks=posthog.is_meant),
    Row("posthog", ("GET", "POST"), ("/capture", "/e", "/batch", "/i/v0/e"), _POSTHOG),
    Row("posthog", ("POST",), ("/i/v1/analytics/events",), _POSTHOG),
    Row("posthog", ("POST",), ("/s",), Call(posthog.forget)),
    Row("posthog", ("POST",), ("/flags", "/decide"), Call(posthog.flags)),
    Row("posthog", ("GET",), ("/array/{token}/config",), Call(posthog.config)),
    Row("posthog", ("GET",), ("/array/{token}/config.js",), Call(posthog.config_script)),
    Row("mixpanel", ("GET", "POST"), ("/track", "/engage", "/groups", "/import"), _MIXPANEL),
    Row("mixpanel", ("GET",), ("/flags", "/flags/definitions"), Call(mixpanel.no_flags)),
    Row("mixpanel", ("GET",), ("/settings",), Call(mixpanel.no_settings)),
    Row("mixpanel", ("GET",), ("/decide",), Call(mixpanel.no_decision)),
    Row("mixpanel", ("POST",), ("/record",), Call(mixpanel.no_recording)),
    Row("cloudevents", ("POST",), ("/v1/cloudevents", ""), _CLOUDEVENTS),
    Row("cloudevents", ("OPTIONS",), ("/v1/cloudevents", ""), Call(cloudevents.shake_hands)),
    Row("totango", ("GET", "POST"), ("/pixel.gif",), EventProtocol(totango.decode, image.answer)),
    Row(
        "tapstream",
        ("POST",),
        ("/{account}/event/{event}",),
        EventProtocol(tapstream.decode, tapstream.answer),
    ),
    Row(
        "tapstream",
        ("GET", "POST"),
        ("/{account}/hit/{tracker}.gif",),
        EventProtocol(tapstream.decode_hit, image.answer),
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
                mounted = f"{MOUNT}/{row.vendor}{path}"
                for route, meant in ((path, row), (mounted, row._replace(marks=None))):
                    if not route:
                        continue
                    if "{" in path:
                        self._patterns.append((route, route.split("/"), meant))
                    else:
                        self._literal.setdefault(route, []).append(meant)

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
