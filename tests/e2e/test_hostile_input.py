"""What nobody should send, sent over the real port: refused in the contract, bounded, and nothing else suffers."""

import base64
import gzip
import itertools
import json
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import brotli
import httpx
import psutil
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall_process import Up, eventually, footfall_up
from raw_http import Answer, chunked, exchange, request
from two_tenants import ADMIN_TOKEN

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
MAX_GROWTH_BYTES = 100 * MIB
MAX_RUNS = 20
"""Waiting imports of a project; beyond them 429 is right."""


@dataclass(frozen=True)
class Target:
    """A route that takes a body, the credential it wants and how many bytes it takes."""

    path: str
    max_bytes: int
    key: str = "secret_key"
    method: str = "POST"


TARGETS = (
    Target("/v1/events", 20 * MIB, "write_key"),
    Target("/v1/events/", 20 * MIB, "write_key"),
    Target("/v1/rules", 2 * MIB),
    Target("/v1/rules/check", 2 * MIB),
    Target("/v1/tokens", MIB // 4),
    Target("/v1/logins", MIB // 4),
    Target("/v1/projects", MIB // 4, "admin"),
    Target("/v1/projects/{project}", MIB // 4, method="PATCH"),
    Target("/v1/projects/{project}/keys", MIB // 4),
    Target("/v1/imports?source=ndjson", MIB),
    Target("/v1/imports/plan?source=access-log", 8 * MIB),
    Target("/login", 8192),
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    environ = {"FOOTFALL_ADMIN_TOKEN": ADMIN_TOKEN, "FOOTFALL_IMPORT_MAX_BYTES": str(MIB)}
    with footfall_up(tmp_path_factory.mktemp("hostile") / "data", environ=environ) as running:
        yield running


@pytest.fixture(autouse=True)
def _unharmed(up: Up) -> Iterator[None]:
    """The process does not grow while it is attacked, and after it is ready and counts what it accepts."""
    process = psutil.Process(up.process.pid)
    before = largest = process.memory_info().rss
    over = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not over.wait(0.01):
            largest = max(largest, process.memory_info().rss)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        yield
        over.set()
        watching.result()
    assert largest - before < MAX_GROWTH_BYTES
    sent = f"after-{next(_numbers)}"
    with up.client() as client:
        assert client.get("/readyz").json()["status"] == "ready"
        answer = client.post("/v1/events", json={"user": "ada", "action": "still counts", "id": sent})
        assert answer.json() == {"accepted": 1, "rejected": []}
        eventually(lambda: client.get(f"/v1/activity/{sent}").status_code == 200)


_numbers = itertools.count()


def _key(up: Up, target: Target) -> str:
    return f"Bearer {ADMIN_TOKEN if target.key == 'admin' else up.facts[target.key]}"


def _send(up: Up, target: Target, body: bytes, **headers: str) -> Answer:
    path = target.path.replace("{project}", up.facts["project"])
    named = [("authorization", _key(up, target)), *((n.replace("_", "-"), v) for n, v in headers.items())]
    return request(up.port, target.method, path, headers=named, body=body)


def _wrong(answer: Answer, statuses: set[int] | None = None) -> str | None:
    """What is wrong with an answer to something hostile."""
    if answer.status == 0 or answer.status >= 500:
        return f"{answer.status}: {answer.body[:200]!r}"
    if statuses is not None and answer.status not in statuses:
        return f"{answer.status}, expected {sorted(statuses)}: {answer.body[:200]!r}"
    if answer.status >= 400 and answer.error is None and b"text/html" not in answer.headers:
        return f"{answer.status} and no error of the contract: {answer.body[:200]!r}"
    return None


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.path)
def test_a_body_ten_times_too_long_is_refused_at_the_limit(up: Up, target: Target) -> None:
    path = target.path.replace("{project}", up.facts["project"])
    head = (
        f"{target.method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {_key(up, target)}\r\n"
        "connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    piece = b" " * min(MIB, target.max_bytes)
    pieces = [piece] * (10 * target.max_bytes // len(piece))
    answer = exchange(up.port, itertools.chain([head.encode()], chunked(pieces)))
    assert _wrong(answer, {413}) is None
    announced = f"{target.method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {_key(up, target)}\r\n"
    announced += f"connection: close\r\ncontent-length: {10 * target.max_bytes}\r\n\r\n"
    answer = exchange(up.port, itertools.chain([announced.encode()], pieces))
    assert _wrong(answer, {413}) is None


_ZEROS = bytes(128 * MIB)
_BOMBS = {
    "gzip": gzip.compress(_ZEROS, 1, mtime=0),
    "deflate": zlib.compress(_ZEROS, 1),
    "zstd": zstandard.ZstdCompressor().compress(_ZEROS),
    "br": brotli.compress(_ZEROS, quality=1),
}
del _ZEROS


@pytest.mark.parametrize("encoding", _BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(up: Up, encoding: str) -> None:
    bomb = _BOMBS[encoding]
    assert len(bomb) < 2 * MIB
    wrong = {}
    for target in TARGETS:
        if said := _wrong(_send(up, target, bomb, content_encoding=encoding)):
            wrong[target.path] = said
    assert wrong == {}
    answer = _send(up, TARGETS[0], bomb, content_encoding=encoding)
    assert answer.status == 413
    assert answer.error
    nested = gzip.compress(bomb)
    assert _wrong(_send(up, TARGETS[0], nested, content_encoding="gzip"), {400, 413, 415}) is None
    pixel = request(
        up.port,
        "POST",
        f"/t.gif?key={up.facts['write_key']}",
        body=bomb,
        headers=[("content-encoding", encoding)],
    )
    assert pixel.status == 200


_FIELDS = (
    "name", "text", "account", "user", "project", "label", "kind", "action", "expires_in_s", "time_zone",
    "properties", "time", "id", "type", "anonymous_id", "sent_at",
)  # fmt: skip
_VALUES = (
    "NaN", "Infinity", "-Infinity", "1e999", "-0", r'"\u0000"', r'"\ud800"', r'"\udc00x"', "9" * 5000,
    "null", "[]", "{}", "true", "1.5", '"' + "x" * 100_000 + '"', r'"\u202e\u2028"', '""',
    '"../../etc/passwd"', "[" * 50 + "]" * 50, '{"a":' * 40 + "1" + "}" * 40, '"9999-12-31T23:59:59-23:59"',
    '"0001-01-01T00:00:00+23:59"',
)  # fmt: skip
_TEXTS = (
    b"", b"\0" * 100, b'"text"', b"17", b"null", b"[" * 100_000, b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000, b'{"name":"\xff\xfe","text":"\xff","action":"\xc3"}', b"\xef\xbb\xbf{}",
    '{"name":"utf-16"}'.encode("utf-16"), b'{"name":"a","name":"b","text":"a","text":"b","action":"a","action":"b"}',
    rb'{"\ud800":1}', rb'{"\u0000":1}', b'{"trial_actions":["\\ud800"]}', b'{"trial_actions":["\\u0000"]}',
    b"{" + b",".join(b'"k%d":1' % number for number in range(1_000_000)) + b"}",
    b'{"properties":{' + b",".join(b'"k%d":1' % number for number in range(20_000)) + b'},"user":"a","action":"b"}',
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.path)
def test_no_body_brings_anything_but_an_answer_in_the_contract(up: Up, target: Target) -> None:
    bodies = [*_TEXTS, *(f'{{"{field}":{value}}}'.encode() for field in _FIELDS for value in _VALUES)]
    if target.path.startswith("/v1/imports"):
        bodies = [*_TEXTS[:MAX_RUNS], b'{"id":"x"}\n' * 1000]
    wrong = {
        body[:60]: said
        for body in bodies
        if (said := _wrong(_send(up, target, body, content_type="application/json")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "application/json; charset=nonsense"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": "text/xml"},
        {"content_type": "\xff\xfe"},
        {"content_encoding": "gzip, gzip"},
        {"content_encoding": "\xff"},
        {"content_encoding": "gzip"},
    ],
    ids=str,
)
def test_no_content_type_or_encoding_brings_a_failure(up: Up, headers: dict[str, str]) -> None:
    for target in TARGETS:
        for body in (b"{}", b"--x\r\n", b"token=%ff%00&" * 50):
            assert _wrong(_send(up, target, body, **headers)) is None, target


def _keyset(values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


_TIMES = (
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "2020-01-01T00:00:00",
    "-1",
    "%00",
    "%F0",
)
_PLACES: tuple[object, ...] = (
    ["\ud800"], ["\0"], [1], {}, [], "x", ["x" * 5000],
    ["9999-12-31T23:59:59-14:00", 1], ["0001-01-01T00:00:00+14:00", 1], ["2020-01-01T00:00:00Z", -1],
    ["2020-01-01T00:00:00", 1], ["2020-01-01T00:00:00Z", 2**70], ["2020-01-01T00:00:00Z", True],
)  # fmt: skip
_NUMBERS = (
    "0" * 8 + "1" + "0" * 20,
    "0" * 8 + "1" + "9" * 6000,
    "1e3",
    "-1",
    "%00",
    "%F0%9F%98%80",
    "99999999999999999999",
    "%D9%A3",
)
_IDS = (
    "%00", "a%2Fb", "a%2fb%00", "%ED%A0%80", "%FF%FE", "%F0%9F%98%80", "x" * 5000, "a/" * 2000, "..%2f..", "%2e%2e",
    "'%20or%201=1--", "%5C", "%25", "%3F", "%23", "*", "%0d%0aset-cookie:%20a=b", "..", ".", "",
)  # fmt: skip


def _addresses(project: str) -> Iterator[str]:
    lists = (
        "/v1/activity",
        "/v1/accounts",
        "/v1/users",
        "/v1/actions",
        "/v1/imports",
        "/v1/imports/x/rejected",
    )
    for path, number in itertools.product(lists, _NUMBERS):
        yield f"{path}?limit={number}"
        yield f"{path}?after={number}"
    for path, place in itertools.product(lists, _PLACES):
        for name in ("before", "after"):
            yield f"{path}?{name}={_keyset(place)}"
    for path, time in itertools.product(lists, _TIMES):
        yield f"{path}?before={time}"
    for name, value in itertools.product(
        ("user", "account", "action", "rule", "status", "origin", "anonymous_id"), _IDS
    ):
        yield f"/v1/activity?{name}={value}"
        yield f"/v1/actions?{name}={value}"
    for place in ("A" * 54, "_" * 54, "f" * 53 + "8", "AAAA"):
        yield f"/v1/actions?before={place}"
    for days in (
        "to=0001-01-01", "to=0001-01-05&account=a", "from=0001-01-01&to=0002-01-01", "to=9999-12-31",
        "from=9999-12-31&to=9999-12-31", "from=9999-12-01&to=0001-01-01", "to=2020-W01-1", "to=%00", "action=%00",
    ):  # fmt: skip
        yield f"/v1/pulse/days?{days}"
    below = (
        "/v1/activity/", "/v1/accounts/", "/v1/users/", "/v1/rules/", "/v1/imports/", "/v1/projects/", "/js/", "/v1/",
        f"/v1/projects/{project}/keys/",
    )  # fmt: skip
    for path, name in itertools.product(below, _IDS):
        yield path + name
        yield f"{path}{name}/events"
        yield f"{path}{name}/rejected"
    yield "/v1/activity?" + "&".join(f"a{number}=1" for number in range(7000))
    yield "/v1/activity?" + "&" * 60_000
    yield "/v1/stream?" + "user=&" * 5000 + "topic=x"
    yield "/t.gif?" + "&".join(f"a{number}=1" for number in range(700))
    yield "/login?token=" + "%00" * 1000


def test_no_address_brings_a_failure(up: Up) -> None:
    key = [("authorization", f"Bearer {up.facts['secret_key']}")]
    wrong: dict[str, str] = {}
    for address in _addresses(up.facts["project"]):
        for method in ("GET", "DELETE") if "/v1/rules/" in address or "/keys/" in address else ("GET",):
            answer = request(up.port, method, address, headers=key)
            if said := _wrong(answer):
                wrong[f"{method} {address[:80]}"] = said
            assert b"set-cookie: a=b" not in answer.headers.lower()
    assert wrong == {}


def test_no_bytes_in_the_request_line_bring_a_failure(up: Up) -> None:
    for target in (
        b"/v1/users/\xff\xfe", b"/v1/activity?user=\xff", b"*", b"//", b"/../..", b"http://x/v1/activity", b"/v1/\x01",
        b"/" + b"x" * 70_000, b"/v1/activity?" + b"x" * 70_000,
    ):  # fmt: skip
        assert _wrong(request(up.port, "GET", target)) is None, target[:40]
    for method in ("PATCH", "PUT", "TRACE", "OPTIONS", "CONNECT", "FOO", "PROPFIND"):
        for path in (
            "/v1/events",
            "/v1/activity",
            "/v1/rules",
            "/v1/imports",
            "/v1/stream",
            "/t.gif",
            "/login",
            "/livez",
        ):
            assert _wrong(request(up.port, method, path, body=b"")) is None, (method, path)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"GET /v1/activity HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /v1/activity HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda head: repr(head[-24:]),
)
def test_no_framing_brings_a_failure(up: Up, head: bytes) -> None:
    assert _wrong(exchange(up.port, [head]), {400, 401}) is None


_HEADERS = (
    "last-event-id", "x-request-id", "traceparent", "idempotency-key", "cookie", "origin", "accept", "if-none-match",
    "authorization", "x-forwarded-host", "x-forwarded-proto", "sec-fetch-site", "accept-encoding", "range", "host",
    "access-control-request-method", "expect", "upgrade", "content-length",
)  # fmt: skip
_HEADER_VALUES = (
    b"\xff\xfe\x80", b"a" * 30_000, b"", b"[", b"http://[", b"=;=;;", b"footfall_session=\xff", b"Basic \xff\xff",
    b"Basic " + b"=" * 5000, b"Bearer eyJhbGciOiJub25lIn0.e30.", b"Bearer " + b"." * 4000, b"bytes=0-0",
    b"100-continue", b"websocket",
    b"Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6IlxuZDgwMCJ9.e30.x", b"Bearer " + b"\xf0\x9f\x98\x80" * 10,
)  # fmt: skip


def test_no_header_brings_a_failure(up: Up) -> None:
    key: tuple[str, bytes | str] = ("authorization", f"Bearer {up.facts['secret_key']}")
    asked: tuple[tuple[str, str, bytes | None], ...] = (
        ("GET", "/v1/activity", None), ("POST", "/v1/events", b"{}"), ("GET", "/js/footfall.js", None),
        ("POST", "/login", b"token=x"), ("GET", "/t.gif", None), ("DELETE", "/v1/rules/x", None),
        ("GET", "/nowhere", None),
    )  # fmt: skip
    wrong = {}
    for (method, path, body), name, value in itertools.product(asked, _HEADERS, _HEADER_VALUES):
        if name == "content-length" and body is not None:
            continue
        given: tuple[str, bytes | str] = (name, value)
        for headers in ([given], [key, given]):
            answer = request(up.port, method, path, headers=headers, body=body)
            if said := _wrong(answer):
                wrong[(method, path, name, value[:30])] = said
    assert wrong == {}


def test_a_flood_of_headers_is_refused_at_the_bound(up: Up) -> None:
    flood = [(f"x{number}", "1" * 100) for number in range(1000)]
    assert _wrong(request(up.port, "GET", "/v1/activity", headers=flood), {431}) is None
    short = [(f"x{number}", "1") for number in range(5000)]
    assert _wrong(request(up.port, "GET", "/v1/activity", headers=short), {401, 431}) is None


@pytest.mark.parametrize(
    "cursor",
    [
        b"x",
        b"A" * 600,
        b"AQ",
        b"A" * 119,
        b"\xff" * 30,
        b"%00",
        base64.urlsafe_b64encode(b"\x01" + bytes(8) + b"\xff" * 300),
    ],
    ids=lambda cursor: repr(cursor[:8]),
)
def test_a_cursor_nobody_gave_is_refused_wherever_it_stands(up: Up, cursor: bytes) -> None:
    key = ("authorization", f"Bearer {up.facts['secret_key']}")
    in_header = request(up.port, "GET", "/v1/stream", headers=[key, ("last-event-id", cursor)])
    in_address = request(up.port, "GET", f"/v1/stream?cursor={quote(cursor)}", headers=[key])
    assert [answer.error and answer.error["code"] for answer in (in_header, in_address)] == [
        "invalid_cursor"
    ] * 2


_letters = st.text(max_size=20) | st.sampled_from(["\ud800", "a\0", "\u202e", "😀" * 5, "x" * 300, " ", ""])
_leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | _letters
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_letters, inner, max_size=3),
    max_leaves=8,
)
_ids = st.sampled_from(["ada", "acme", "ünï", "a/b", "a%2Fb", "u:x"])
_field = {
    "user": _ids | _leaves, "anonymous_id": _ids | _leaves, "previous_id": _ids | _leaves, "account": _ids | _leaves,
    "type": st.sampled_from(["track", "identify", "group", "page", "screen", "alias"]) | _json,
    "time": st.datetimes().map(str) | st.sampled_from(["2026-11-22T09:30:00Z", 1_700_000_000, "yesterday"]) | _json,
    "sent_at": st.sampled_from(["2026-11-22T09:30:00Z", "x"]),
    "properties": st.dictionaries(_letters, _json, max_size=3) | _json,
    "traits": st.dictionaries(_letters, _json, max_size=3) | _json, "context": _json, "extra": _json,
}  # fmt: skip
_event = st.fixed_dictionaries({"action": st.sampled_from(["opened", "sent"]) | _letters}, optional=_field)
_plain = st.fixed_dictionaries(
    {"user": _ids, "action": _ids, "properties": st.dictionaries(_ids, _leaves, max_size=2)}
)


def test_every_accepted_event_is_in_the_history_and_every_other_has_its_reason(up: Up) -> None:
    accepted: set[str] = set()
    sender = httpx.Client(
        base_url=up.url,
        headers={"authorization": f"Bearer {up.facts['write_key']}"},
        timeout=15,
        trust_env=False,
    )

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(_event | _plain | _json, min_size=1, max_size=5),
        st.sampled_from(["array", "lines", "object"]),
    )
    def check(drawn: list[Any], form: str) -> None:
        events = drawn if form == "array" else [one for one in drawn if isinstance(one, dict)] or [{}]
        events = events[:1] if form == "object" else events
        events = [
            {**one, "id": f"drawn-{next(_numbers)}"} if isinstance(one, dict) else one for one in events
        ]
        body = json.dumps(events) if form == "array" else "\n".join(map(json.dumps, events))
        answer = sender.post("/v1/events", content=body.encode())
        assert answer.status_code in (200, 400, 413, 422, 429), answer.text
        said = answer.json()
        if answer.status_code >= 400:
            assert isinstance(said["code"], str)
            assert isinstance(said["message"], str)
        if "accepted" not in said:
            return
        refused = {rejection["index"] for rejection in said["rejected"]}
        assert said["accepted"] + len(said["rejected"]) == len(events)
        assert len(refused) == len(said["rejected"])
        accepted.update(one["id"] for index, one in enumerate(events) if index not in refused)

    with sender:
        check()
    assert accepted, "something of all that was drawn is an event"
    with up.client() as reader:
        eventually(lambda: accepted <= _history(reader), 20)


def _history(reader: httpx.Client) -> set[str]:
    found: set[str] = set()
    before: dict[str, str] = {}
    while True:
        page = reader.get("/v1/activity", params={"limit": 1000, **before}).json()
        found |= {item["id"] for item in page["items"]}
        if page["next"] is None:
            return found
        before = {"before": page["next"]}
