"""The metrics of one service, on a registry it may share with others.

prometheus-client writes them out. The values are our own: its own take a lock and some ten calls for each change,
and one accepted event changes seven.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from telemetry.catalog import SECONDS, Definition


class Counter:
    """A number that only grows. As all values here: changed on the event loop's thread alone."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add."""
        self.value += amount


class Gauge:
    """A number as it is now."""

    __slots__ = ("_read", "_value")

    def __init__(self) -> None:
        self._value = 0.0
        self._read: Callable[[], float] | None = None

    @property
    def value(self) -> float:
        return self._value if self._read is None else self._read()

    def set(self, value: float) -> None:
        """Replace it."""
        self._value = value

    def inc(self, amount: float = 1) -> None:
        """Add."""
        self._value += amount

    def dec(self, amount: float = 1) -> None:
        """Take away."""
        self._value -= amount

    def follow(self, read: Callable[[], float]) -> None:
        """Ask `read` for it from now on, whenever somebody looks."""
        self._read = read


class Histogram:
    """How many values lay within each bound (the bound included), and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count it in."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound as text, and how many values lay within it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True))


_Series: TypeAlias = Counter | Gauge | Histogram
_Kind = TypeVar("_Kind", Counter, Gauge, Histogram)


class _Families(Collector):
    """All series of a registry by name and label values, as prometheus-client reads them."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[Definition, dict[tuple[str, ...], _Series]]] = {}

    def series(self, definition: Definition, kind: type[_Kind], labels: tuple[str, ...]) -> _Kind:
        _, known = self._families.setdefault(definition.name, (definition, {}))
        found = known.get(labels)
        if found is None:
            if len(labels) != len(_label_names(definition)):
                raise ValueError(f"{definition.name} has the labels {_label_names(definition)}, not {labels}")
            found = known[labels] = _made(definition)
        if not isinstance(found, kind):
            raise TypeError(f"{definition.name} is a {definition.kind}, not a {kind.__name__.lower()}")
        return found

    def collect(self) -> Iterator[Metric]:
        for definition, known in self._families.values():
            yield _exposed(definition, known)


def _made(definition: Definition) -> _Series:
    match definition.kind:
        case "counter":
            return Counter()
        case "gauge":
            return Gauge()
        case "histogram":
            return Histogram(definition.buckets or SECONDS)


def _label_names(definition: Definition) -> tuple[str, ...]:
    return ("service", *definition.labels)


def _exposed(definition: Definition, known: Mapping[tuple[str, ...], _Series]) -> Metric:
    about = (definition.name, definition.meaning)
    names = _label_names(definition)
    counters = CounterMetricFamily(*about, labels=names)
    gauges = GaugeMetricFamily(*about, labels=names)
    histograms = HistogramMetricFamily(*about, labels=names)
    for labels, one in known.items():
        match one:
            case Counter():
                counters.add_metric(labels, one.value)
            case Gauge():
                gauges.add_metric(labels, one.value)
            case Histogram():
                histograms.add_metric(labels, one.buckets(), one.sum)
    return {"counter": counters, "gauge": gauges, "histogram": histograms}[definition.kind]


# Services that share a registry share its families.
_families: WeakKeyDictionary[CollectorRegistry, _Families] = WeakKeyDictionary()


class Metrics:
    """Every series it hands out carries the label `service`; several may share one registry.

    A series costs two dictionary lookups to find: keep it when the path is hot.
    """

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.service = service
        self.registry = registry if registry is not None else CollectorRegistry()
        if self.registry not in _families:
            _families[self.registry] = _Families()
            self.registry.register(_families[self.registry])
            ProcessCollector(registry=self.registry)
        self._known = _families[self.registry]

    def counter(self, definition: Definition, *labels: str) -> Counter:
        """The series of these label values, in the definition's order."""
        return self._known.series(definition, Counter, (self.service, *labels))

    def gauge(self, definition: Definition, *labels: str) -> Gauge:
        """The series of these label values, in the definition's order."""
        return self._known.series(definition, Gauge, (self.service, *labels))

    def histogram(self, definition: Definition, *labels: str) -> Histogram:
        """The series of these label values, in the definition's order."""
        return self._known.series(definition, Histogram, (self.service, *labels))

    def render(self) -> bytes:
        """The registry in Prometheus' text format, all services on it."""
        return generate_latest(self.registry)
