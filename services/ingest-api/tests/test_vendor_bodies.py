"""Whatever a body holds: a decoder refuses it in words or makes items of it, and admission says the rest."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from admission import BodyRefused, admit_items
from eventmodel import ProjectId
from ingest_api.protocols.exchange import EventProtocol, Outcome, Request
from ingest_api.protocols.table import TABLE, Row
from lifecycle.clock import SystemClock

_NAMES = (
    *(
        "type",
        "event",
        "name",
        "userId",
        "anonymousId",
        "previousId",
        "groupId",
        "messageId",
        "timestamp",
        "sentAt",
    ),
    *("properties", "traits", "context", "batch", "extra", "library", "mergeProperties", "value", "writeKey"),
    *(
        "distinct_id",
        "token",
        "api_key",
        "uuid",
        "offset",
        "options",
        "$set",
        "$set_once",
        "$groups",
        "$group_type",
    ),
    *("$group_key", "$device_id", "alias", "$insert_id", "$identified_id", "$distinct_id", "$token", "$add"),
    *("id", "source", "specversion", "time", "subject", "data", "data_base64", "datacontenttype"),
)
_WORDS = (
    *("track", "identify", "page", "group", "alias", "merge", "$identify", "$create_alias", "$groupidentify"),
    *("2026-01-02T03:04:05Z", "2026-13-41", "1.0", "company", "null", ""),
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=8), inner, max_size=8)
    ),
    max_leaves=30,
)
_ROWS = st.sampled_from([row for row in TABLE if isinstance(row.speaks, EventProtocol)])
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["content-type", "ce-id", "ce-source", "ce-specversion", "ce-type", "anonymousid", "sentat"]
    )
    | st.text("ce-abc", min_size=1, max_size=8),
    st.sampled_from(
        [
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "1.0",
            "%zz",
            "%ff",
            '"a%20b"',
            "ë",
        ]
    ),
    max_size=6,
)


def _request(row: Row, path: str, headers: dict[str, str], query: bytes, body: bytes) -> Request:
    scope = {
        "type": "http",
        "method": row.methods[0],
        "path": path,
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return Request(scope, row.vendor, path, dict.fromkeys(re.findall(r"{(\w+)}", path), "x"), body)


def _answered(row: Row, request: Request) -> int:
    """The status; 400 also of a body that its decoder refuses in words."""
    protocol = row.speaks
    assert isinstance(protocol, EventProtocol)
    try:
        decoded = protocol.decode(request)
    except BodyRefused as refused:
        return 400 if refused.code and refused.message else 500
    admitted = admit_items(
        decoded.items, project=ProjectId("pabcdefgh234"), received_at=SystemClock().now(), sender=None
    )
    assert len(admitted.rejections) == len(admitted.rejected_bodies)
    return protocol.answer(request, Outcome(admitted, items=decoded.items)).status


@settings(max_examples=400, deadline=None)
@given(st.data(), _VALUES, _HEADERS)
def test_a_decoder_takes_any_json_or_refuses_it(
    data: st.DataObject, value: Any, headers: dict[str, str]
) -> None:
    row = data.draw(_ROWS)
    request = _request(row, data.draw(st.sampled_from(row.paths)), headers, b"", json.dumps(value).encode())
    assert _answered(row, request) in (200, 400)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.binary(max_size=60), st.binary(max_size=60), _HEADERS)
def test_a_decoder_takes_any_bytes_or_refuses_them(
    data: st.DataObject, query: bytes, body: bytes, headers: dict[str, str]
) -> None:
    row = data.draw(_ROWS)
    prefix = data.draw(st.sampled_from([b"", b"data=", b"{", b"[", b"_k=K&"]))
    request = _request(row, data.draw(st.sampled_from(row.paths)), headers, prefix + query, prefix + body)
    assert _answered(row, request) in (200, 400)
