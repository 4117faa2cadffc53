"""Any bytes to any route of ingest: never a 5xx, never an answer in the wrong form, never more than bounded memory."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ingest_api.protocols.table import MOUNT, TABLE
from ingest_stand import IngestStand, open_stand, serving

_MAX_PEAK_BYTES = 160 * 1024 * 1024
"""A body's 20 MiB as bytes, as JSON values and as records. A bomb of a gigabyte would be far beyond."""

_names = st.sampled_from(
    [
        *("type", "event", "userId", "anonymousId", "batch", "properties", "traits", "context", "timestamp"),
        *("sentAt", "messageId", "writeKey", "data", "$set", "$token", "$distinct_id", "distinct_id", "time"),
        *("api_key", "token", "uuid", "specversion", "source", "id", "_p", "_n", "_k", "sdr_u", "sdr_a"),
    ]
) | st.text(max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=6),
    max_leaves=20,
)
_texts = _json.map(lambda value: json.dumps(value).encode())
_bodies = st.one_of(
    st.binary(max_size=300),
    _texts,
    _texts.map(b64encode),
    _texts.map(lambda text: b"data=" + b64encode(text)),
    _texts.map(gzip.compress),
    st.lists(_texts, max_size=4).map(b"\n".join),
)
_types = st.sampled_from(
    [
        *("application/json", "text/plain", "application/x-www-form-urlencoded", "application/x-ndjson", ""),
        *(
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "multipart/form-data; boundary=x",
        ),
    ]
)
_encodings = st.sampled_from(["", "", "", "gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
_queries = st.dictionaries(_names | st.just("data"), st.text(max_size=30), max_size=4)


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def url(stand: IngestStand) -> AsyncIterator[str]:
    async with serving(stand) as url:
        yield url


def _routes() -> list[tuple[str, str]]:
    vendors = [(row.methods[0], f"{MOUNT}/{row.vendor}{row.paths[0]}") for row in TABLE]
    return [("POST", "/v1/events"), ("POST", "/t.gif"), ("GET", "/t.gif"), *vendors]


def _is_answer(answer: httpx.Response) -> None:
    """Below 500, and where it is an error in JSON, one that says what is wrong."""
    assert answer.status_code < 500, (answer.request.url, answer.text)
    if answer.is_error and answer.headers.get("content-type", "").startswith("application/json"):
        assert isinstance(answer.json(), dict | list | int), answer.text
        assert answer.content


@pytest.mark.parametrize(("method", "route"), _routes(), ids=lambda part: str(part))
async def test_any_bytes_are_answered(stand: IngestStand, url: str, method: str, route: str) -> None:
    address = url + route.replace("{writeKey}", stand.write_key)

    def send_any() -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:

            @settings(
                max_examples=25,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[
                    Phase.explicit,
                    Phase.generate,
                ],  # what fails is told as it was found, not made small for minutes
                suppress_health_check=list(HealthCheck),
            )
            @given(_bodies, _types, _encodings, _queries)
            def holds(body: bytes, media_type: str, encoding: str, query: dict[str, str]) -> None:
                headers = {**stand.authorization, "content-type": media_type, "content-encoding": encoding}
                _is_answer(client.request(method, address, content=body, headers=headers, params=query))

            holds()

    await asyncio.to_thread(send_any)


def _hostile() -> dict[str, tuple[bytes, dict[str, str]]]:
    """Bodies that are small on the wire, or cost much to read."""
    zeros = zlib.compressobj(9, wbits=31)
    bomb = b"".join(zeros.compress(bytes(1 << 20)) for _ in range(512)) + zeros.flush()
    gzipped = {"content-encoding": "gzip"}
    many: list[Any] = [{}] * 20_000
    return {
        "a bomb": (bomb, gzipped),
        "a bomb nobody announced": (bomb, {}),
        "a bomb in base64": (
            b"data=" + b64encode(bomb),
            {"content-type": "application/x-www-form-urlencoded"},
        ),
        "deep": (b"[" * 100_000, {}),
        "deep in a batch": (b'{"batch":' * 50_000, {}),
        "many events": (json.dumps({"batch": many}).encode(), {}),
        "many of them": (json.dumps(many).encode(), {}),
        "many fields": (b"&".join(b"a%d=1" % n for n in range(50_000)), {"content-type": "text/plain"}),
        "a long number": (b'{"time": ' + b"9" * 100_000 + b"}", {}),
    }


_HOSTILE = _hostile()


@pytest.mark.parametrize("hostile", _HOSTILE)
async def test_hostile_bodies_cost_bounded_memory(stand: IngestStand, url: str, hostile: str) -> None:
    body, headers = _HOSTILE[hostile]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for method, route in _routes():
            address = url + route.replace("{writeKey}", stand.write_key)
            tracemalloc.start()
            try:
                answer = await client.request(
                    method, address, content=body, headers={**stand.authorization, **headers}
                )
                _, peak_bytes = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            _is_answer(answer)
            assert peak_bytes < _MAX_PEAK_BYTES, route
