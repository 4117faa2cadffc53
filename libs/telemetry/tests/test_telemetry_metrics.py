"""Services that share a registry stay apart by their label."""

import pytest

from telemetry.catalog import Definition
from telemetry.metrics import Metrics

SALES = Definition("footfall_probe_sales_total", "counter", "Sales.", ("till",))
WAIT = Definition("footfall_probe_wait_seconds", "histogram", "Waits.", (), (0.1, 1.0))
QUEUE = Definition("footfall_probe_queue_records", "gauge", "Queue.")


def test_services_on_one_registry_are_told_apart() -> None:
    one = Metrics("ingest-api")
    other = Metrics("importer", one.registry)
    one.counter(SALES, "left").inc()
    other.counter(SALES, "left").inc(2)
    text = one.render().decode()
    assert 'footfall_probe_sales_total{service="ingest-api",till="left"} 1.0' in text
    assert 'footfall_probe_sales_total{service="importer",till="left"} 2.0' in text


def test_the_same_labels_are_the_same_series() -> None:
    metrics = Metrics("probe")
    metrics.counter(SALES, "left").inc()
    metrics.counter(SALES, "left").inc()
    assert (
        metrics.registry.get_sample_value("footfall_probe_sales_total", {"service": "probe", "till": "left"})
        == 2
    )


def test_histograms_use_the_buckets_of_their_definition() -> None:
    metrics = Metrics("probe")
    metrics.histogram(WAIT).observe(0.5)
    metrics.gauge(QUEUE).set(7)
    text = metrics.render().decode()
    assert 'footfall_probe_wait_seconds_bucket{le="0.1",service="probe"} 0.0' in text
    assert 'footfall_probe_wait_seconds_bucket{le="1.0",service="probe"} 1.0' in text
    assert 'footfall_probe_queue_records{service="probe"} 7.0' in text


def test_a_definition_of_another_kind_is_refused() -> None:
    metrics = Metrics("probe")
    metrics.counter(SALES, "left")
    with pytest.raises(TypeError, match="not a gauge"):
        metrics.gauge(SALES, "left")
    with pytest.raises(TypeError, match="not a histogram"):
        metrics.histogram(SALES, "left")
    metrics.gauge(QUEUE)
    with pytest.raises(TypeError, match="not a counter"):
        metrics.counter(QUEUE)


def test_two_registries_know_nothing_of_each_other() -> None:
    Metrics("a").counter(SALES, "left").inc()
    assert b"sales" not in Metrics("b").render()


def test_process_figures_stand_once_on_a_shared_registry() -> None:
    one = Metrics("a")
    Metrics("b", one.registry)
    assert one.render().count(b"\nprocess_open_fds ") == 1
