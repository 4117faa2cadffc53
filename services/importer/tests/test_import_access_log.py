"""Access log lines, with every oddity that real servers write."""

from datetime import UTC, datetime

import pytest

from importer.access_log import BadLine, Request, parse, split_request, unescape

AGENT = b"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0"


def line(
    host: bytes = b"203.0.113.9",
    user: bytes = b"-",
    at: bytes = b"17/May/2015:10:05:03 +0000",
    request: bytes = b"GET /pricing HTTP/1.1",
    status: bytes = b"200",
    size: bytes = b"5120",
    referrer: bytes = b"https://example.com/",
    agent: bytes = AGENT,
) -> bytes:
    return b'%s - %s [%s] "%s" %s %s "%s" "%s"' % (host, user, at, request, status, size, referrer, agent)


def test_a_combined_line_is_read_whole() -> None:
    visit = parse(line(user=b"ada"))
    assert visit.host == "203.0.113.9"
    assert visit.user == "ada"
    assert visit.at == datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)
    assert visit.request == "GET /pricing HTTP/1.1"
    assert (visit.status, visit.size_bytes) == (200, 5120)
    assert visit.referrer == "https://example.com/"
    assert visit.agent == AGENT.decode()


def test_a_common_line_has_neither_referrer_nor_agent() -> None:
    visit = parse(b'203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.0" 304 -')
    assert (visit.user, visit.size_bytes, visit.referrer, visit.agent) == (None, None, None, None)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (rb"Fire \"Fox\" \\ 1.0", 'Fire "Fox" \\ 1.0'),
        (rb"tab\there", "tab\there"),
        (rb"nginx \x22quoted\x22", 'nginx "quoted"'),
        (rb"caf\xc3\xa9", "café"),
        ("café".encode(), "café"),
        (b"caf\xe9", "café"),
        (rb"caf\xe9", "café"),
        (rb"no escape \q", "no escape q"),
    ],
)
def test_an_escaped_agent_is_what_the_client_sent(raw: bytes, expected: str) -> None:
    assert parse(line(agent=raw)).agent == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"2001:db8::1", "2001:db8::1"),
        (b"::1", "::1"),
        (b"proxy.example.com", "proxy.example.com"),
        (b"203.0.113.9, 198.51.100.2", "203.0.113.9"),
        (b"203.0.113.9,198.51.100.2", "203.0.113.9"),
        (b"203.0.113.9:51234", "203.0.113.9"),
        (b"[2001:db8::1]:443", "2001:db8::1"),
        (b"shop.example.com:443 203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_found_in_every_form_of_address(host: bytes, expected: str) -> None:
    visit = parse(line(host=host))
    assert visit.host == expected
    assert visit.user is None


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (b"Ada Lovelace", "Ada Lovelace"),
        (b'""', None),
        (b"-", None),
        (rb"o\"hara", 'o"hara'),
        (b"Domain\\\\ada", "Domain\\ada"),
        (b"a [b] c", "a [b] c"),
    ],
)
def test_a_user_may_hold_spaces_and_quotes(user: bytes, expected: str | None) -> None:
    assert parse(line(user=user)).user == expected
    assert parse(line(user=user, host=b"::1")).host == "::1"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (b"10/Oct/2000:13:55:36 -0700", datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC)),
        (b"10/Oct/2000:13:55:36 +0530", datetime(2000, 10, 10, 8, 25, 36, tzinfo=UTC)),
        (b"31/Dec/2016:23:59:60 +0000", datetime(2017, 1, 1, tzinfo=UTC)),
        (b"29/Feb/2024:00:00:00 +0000", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_times_are_utc_whatever_the_offset(at: bytes, expected: datetime) -> None:
    assert parse(line(at=at)).at == expected


@pytest.mark.parametrize(
    "at",
    [
        b"31/Feb/2024:00:00:00 +0000",
        b"10/Okt/2000:13:55:36 +0000",
        b"10/Oct/2000:25:00:00 +0000",
        b"10/Oct/2000:13:55:61 +0000",
    ],
)
def test_a_time_that_is_no_date_is_a_bad_line(at: bytes) -> None:
    with pytest.raises(BadLine) as refused:
        parse(line(at=at))
    assert refused.value.code == "invalid_time"


@pytest.mark.parametrize(
    "bad",
    [
        b"not a log line",
        b"",
        line()[:90],
        line()[:-1],
        line() + b"\x00\x01",
        b'{"user": "ada"}',
        b'203.0.113.9 - - [17/May/2015:10:05:03] "GET / HTTP/1.0" 200 1',
    ],
)
def test_what_is_not_a_line_of_the_format_is_refused(bad: bytes) -> None:
    with pytest.raises(BadLine) as refused:
        parse(bad)
    assert refused.value.code == "not_combined"


def test_more_fields_after_the_agent_are_allowed() -> None:
    assert parse(line() + b' 0.042 "TLSv1.3"').agent == AGENT.decode()


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /a?b=1&c=2 HTTP/1.1", Request("GET", "/a", "?b=1&c=2")),
        ("GET /a b c HTTP/1.1", Request("GET", "/a b c", None)),
        ("GET /old", Request("GET", "/old", None)),
        ("GET http://shop.example.com/a?b HTTP/1.1", Request("GET", "/a", "?b")),
        ("GET http://shop.example.com HTTP/1.1", Request("GET", "/", None)),
        ("OPTIONS * HTTP/1.0", Request("OPTIONS", "*", None)),
        ("GET /page#part HTTP/1.1", Request("GET", "/page", None)),
        ("GET /a? HTTP/2.0", Request("GET", "/a", None)),
        ("-", None),
        ("GET", None),
        ("", None),
        ("\x16\x03\x01\x02", None),
        ("\x16\x03\x01 \x00 HTTP/1.1", None),
    ],
)
def test_requests_of_any_number_of_words(request_line: str, expected: Request | None) -> None:
    assert split_request(request_line) == expected


def test_a_timed_out_request_and_a_tls_hello_are_lines_without_a_request() -> None:
    for request in (b"-", rb"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        visit = parse(line(request=request, status=b"408", size=b"-", referrer=b"-", agent=b"-"))
        assert split_request(visit.request) is None
        assert visit.agent is None


def test_unescaping_leaves_a_lone_backslash_at_the_end() -> None:
    assert unescape(b"a\\") == "a\\"


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "hostile",
    [
        b"a " * 250_000,
        b'a - - [10/Oct/2000:13:55:36 -0700] "' * 14_000,
        b'a - - [10/Oct/2000:13:55:36 -0700] "' + b'\\"' * 250_000,
        b"a:1 " * 125_000,
        b"a," * 250_000,
        b"a - " + b"[" * 500_000,
    ],
)
def test_a_hostile_line_costs_no_more_than_its_length(hostile: bytes) -> None:
    with pytest.raises(BadLine):
        parse(hostile)
