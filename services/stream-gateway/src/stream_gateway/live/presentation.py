"""How a record looks to readers: the same JSON on the stream, in history and in answers."""

import re
from datetime import UTC
from typing import Any, Final

import msgspec

from enrichment import Enricher
from eventlog.port import Record

# What facts can be found in; few events hold one, and looking is cheaper than decoding.
_TELLING: Final = re.compile(r'"(?:user_?[aA]gent|ip|page|referrer|campaign|utm_[a-z]+|url)":')

# Line ends to many readers of lines, though not to JSON or to an event stream.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def shown(record: Record) -> str:
    """The record's JSON with the log's append time, `recorded_at`, as its last member; one line for any reader."""
    at = record.recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    text = record.value[:-1].decode()
    if not text.isascii():
        text = text.translate(_LINE_ENDS)
    return f'{text},"recorded_at":"{at}"}}'


class _Telling(msgspec.Struct):
    context: dict[str, Any] = {}
    properties: dict[str, Any] = {}


_decode: Final = msgspec.json.Decoder(_Telling).decode
_encode: Final = msgspec.json.Encoder().encode


class Presenter:
    """Shows activities with what their context tells, `enriched`: worked out here, and stored nowhere."""

    def __init__(self, enricher: Enricher) -> None:
        self._enricher = enricher

    def shown(self, record: Record) -> str:
        """As the function `shown`, enriched."""
        return self.enriched(shown(record))

    def enriched(self, text: str) -> str:
        """The JSON of a shown event with the member `enriched` at its end, where there is anything to tell."""
        if _TELLING.search(text) is None:
            return text
        event = _decode(text)
        facts = self._enricher.facts(event.context, event.properties)
        if not facts:
            return text
        return f'{text[:-1]},"enriched":{_encode(facts).decode().translate(_LINE_ENDS)}}}'
