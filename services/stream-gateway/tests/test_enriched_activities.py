import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from enrichment import Enricher
from eventlog.port import Record
from stream_gateway.live.presentation import Presenter

AT = datetime(2026, 11, 29, tzinfo=UTC)
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1"


def _shown(event: Mapping[str, object]) -> str:
    record = Record("footfall.events", 0, 1, AT, b"p1:u:ada", json.dumps(event, ensure_ascii=False).encode())
    return Presenter(Enricher()).shown(record)


def test_what_the_context_tells_stands_at_the_end_and_the_event_before_it_as_it_was() -> None:
    event = {"id": "1", "context": {"user_agent": SAFARI, "page": {"url": "https://a.example/?utm_source=x"}}}
    shown = json.loads(_shown(event))
    assert list(shown)[-2:] == ["recorded_at", "enriched"]
    assert shown["enriched"]["device"] == {"type": "mobile"}
    assert shown["enriched"]["campaign"] == {"source": "x"}
    assert {name: shown[name] for name in event} == event


@pytest.mark.parametrize(
    "event",
    [
        {"id": "1", "action": "opened"},
        {"id": "1", "context": {"library": {"name": "x"}}},
        {"id": "1", "context": {"page": {"title": "Home"}}},
        {"id": "1", "properties": {"text": '"user_agent":'}},
    ],
)
def test_an_event_that_tells_nothing_stays_as_it_is(event: dict[str, object]) -> None:
    assert "enriched" not in json.loads(_shown(event))


def test_no_reader_of_lines_breaks_what_is_told_into_two() -> None:
    page = {"url": "https://a.example/?utm_source=a%E2%80%A8b%0Ac", "referrer": "https://b.example/"}
    shown = _shown({"id": "1", "context": {"page": page}})
    assert len(shown.splitlines()) == 1
    assert json.loads(shown)["enriched"]["campaign"] == {"source": "a\u2028b\nc"}
