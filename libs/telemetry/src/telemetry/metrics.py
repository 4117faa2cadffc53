"""The metrics of one service, on a registry it may share with others."""

from typing import TypeAlias
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from telemetry.catalog import Definition

_Family: TypeAlias = Counter | Gauge | Histogram

# A registry refuses a second metric of the same name, so services that share one must share its families.
_families: WeakKeyDictionary[CollectorRegistry, dict[str, _Family]] = WeakKeyDictionary()


class Metrics:
    """Every series it hands out carries the label `service`; several may share one registry.

    A child costs a dict lookup and a lock to find: keep it when the path is hot.
    """

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.service = service
        self.registry = registry if registry is not None else CollectorRegistry()
        if self.registry not in _families:
            _families[self.registry] = {}
            ProcessCollector(registry=self.registry)
        self._known = _families[self.registry]

    def counter(self, definition: Definition, *labels: str) -> Counter:
        """The series of these label values, in the definition's order."""
        family = self._known.get(definition.name)
        if family is None:
            family = Counter(
                definition.name, definition.meaning, ("service", *definition.labels), registry=self.registry
            )
            self._known[definition.name] = family
        if not isinstance(family, Counter):
            raise TypeError(f"{definition.name} is a {definition.kind}, not a counter")
        return family.labels(self.service, *labels)

    def gauge(self, definition: Definition, *labels: str) -> Gauge:
        """The series of these label values, in the definition's order."""
        family = self._known.get(definition.name)
        if family is None:
            family = Gauge(
                definition.name, definition.meaning, ("service", *definition.labels), registry=self.registry
            )
            self._known[definition.name] = family
        if not isinstance(family, Gauge):
            raise TypeError(f"{definition.name} is a {definition.kind}, not a gauge")
        return family.labels(self.service, *labels)

    def histogram(self, definition: Definition, *labels: str) -> Histogram:
        """The series of these label values, in the definition's order."""
        family = self._known.get(definition.name)
        if family is None:
            family = Histogram(
                definition.name,
                definition.meaning,
                ("service", *definition.labels),
                registry=self.registry,
                buckets=definition.buckets or Histogram.DEFAULT_BUCKETS,
            )
            self._known[definition.name] = family
        if not isinstance(family, Histogram):
            raise TypeError(f"{definition.name} is a {definition.kind}, not a histogram")
        return family.labels(self.service, *labels)

    def render(self) -> bytes:
        """The registry in Prometheus' text format, all services on it."""
        return generate_latest(self.registry)
