"""Every row of the table, given what nobody would send."""

import base64
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_api.protocols.table import Table
from ingest_stand import IngestStand, open_stand

ROUTES = sorted({(method, path) for path, row in Table().routes() for method in row.methods})

_NAMES = st.sampled_from(
    [
        *("event", "properties", "token", "distinct_id", "$device_id", "$user_id", "time", "$insert_id"),
        *("$groups", "company", "$token", "$distinct_id", "$set", "$append", "$transactions", "$time"),
        *("$group_key", "$group_id", "alias", "$distinct_ids", "$os", "mp_lib", "ip", "$identify", "$merge"),
        *("batch", "type", "userId", "anonymousId", "messageId", "timestamp", "context", "traits", "sentAt"),
    ]
)
_FIELDS = st.sampled_from(
    [
        *("data", "verbose", "img", "callback", "_", "ip", "strict", "api_key"),
        *("_k", "_p", "_n", "_t", "_d", "Plan"),
        *("sdr_s", "sdr_o", "sdr_u", "sdr_a", "sdr_m", "sdr_t", "sdr_o.Name", "sdr_u.", "sdr_heartbeat"),
        *("secret", "uuid", "created-ms", "custom-x", "hardware-odin1", "purchase-price", "__ts"),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _NAMES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
_TEXTS = st.text(max_size=20) | st.integers().map(str) | _NAMES


def _form(fields: dict[str, str]) -> bytes:
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in fields.items()).encode()


_FORMS = st.dictionaries(_FIELDS | st.text(max_size=5), _TEXTS, max_size=8).map(_form)
_JSON = _VALUES.map(lambda value: json.dumps(value).encode())
_BODIES = (
    st.binary(max_size=60)
    | _FORMS
    | _JSON
    | st.binary(max_size=40).map(lambda raw: b"data=" + raw)
    | _JSON.map(lambda raw: b"data=" + base64.b64encode(raw))
    | _JSON.map(base64.b64encode)
)
_QUERIES = _FORMS | st.binary(max_size=30).map(lambda raw: quote(raw, safe="&=%+").encode())


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(ROUTES),
    body=_BODIES,
    query=_QUERIES,
    name=st.text(min_size=1, max_size=8),
    known=st.booleans(),
)
async def test_whatever_is_sent_is_answered_and_never_a_fault_here(
    stand: IngestStand,
    client: httpx.AsyncClient,
    route: tuple[str, str],
    body: bytes,
    query: bytes,
    name: str,
    known: bool,
) -> None:
    method, template = route
    path = re.sub(r"{[^}]*}", lambda _: quote(name, safe=""), template)
    headers = stand.authorization if known else {}
    answer = await client.request(method, f"{path}?{query.decode()}", content=body, headers=headers)
    assert answer.status_code < 500


@pytest.mark.parametrize("depth", [30, 200, 900, 5_000])
async def test_nesting_of_any_depth_is_answered(
    stand: IngestStand, client: httpx.AsyncClient, depth: int
) -> None:
    deep = "[" * depth + "]" * depth
    bodies = (
        f'{{"$append": {{"$transactions": {{"$time": 1, "a": {deep}}}}}, "properties": {{"a": {deep}}}}}',
        f'{{"batch": [{{"type": "track", "event": "a", "properties": {{"a": {deep}}}}}]}}',
    )
    for method, path in ROUTES:
        for body in bodies if method == "POST" else ():
            answer = await client.post(path, content=body, headers=stand.authorization)
            assert answer.status_code < 500, path


async def test_more_fields_than_anybody_has_are_answered(
    stand: IngestStand, client: httpx.AsyncClient
) -> None:
    fields = "&".join(f"f{number}=1" for number in range(1_001))
    for method, path in ROUTES:
        for query, body in ((fields, b""), ("", fields.encode()), ("verbose=1", fields.encode())):
            answer = await client.request(
                method, f"{path}?{query}", content=body, headers=stand.authorization
            )
            assert answer.status_code < 500, path
