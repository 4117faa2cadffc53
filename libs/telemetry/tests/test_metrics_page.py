"""Every metric is well formed, documented and measured by someone."""

import re

import pytest

from reference_pages import COMMAND, METRICS_PAGE, render_metrics, sources
from telemetry import catalog
from telemetry.catalog import Definition


@pytest.mark.parametrize("metric", catalog.ALL, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_the_field_does(metric: Definition) -> None:
    assert re.fullmatch(r"footfall_[a-z0-9]+(_[a-z0-9]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.meaning.endswith(".")
    assert "service" not in metric.labels
    assert (metric.buckets is not None) == (metric.kind == "histogram")
    assert list(metric.buckets or ()) == sorted(metric.buckets or ())


def test_names_are_unique() -> None:
    names = [metric.name for metric in catalog.ALL]
    assert len(set(names)) == len(names)


def test_every_metric_is_measured_somewhere() -> None:
    text = "\n".join(sources())
    constants = [name for name, value in vars(catalog).items() if isinstance(value, Definition)]
    unmeasured = [name for name in constants if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert not unmeasured, "nobody measures these: remove them"


def test_the_page_is_what_the_catalog_says() -> None:
    assert METRICS_PAGE.read_text() == render_metrics(), f"run: {COMMAND}"
