"""Apache and nginx access log lines: common, combined, and combined after a virtual host."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple

# Possessive repetitions: a hostile line costs linear time. `%u` may hold spaces, `%h` may be a list of
# proxies, and an address of Azure's balancer carries a port, so a virtual host is only taken before another host.
_LINE: Final = re.compile(
    rb"(?:(?P<vhost>[^\s:]++:\d{1,5}) (?!- ))?"
    rb"(?P<host>[^\s,]++(?:, ?[^\s,]++)*+) (?P<ident>\S++) (?P<user>.*?) "
    rb"\[(?P<minute>\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d):(?P<second>\d\d) (?P<zone>[+-]\d{4})\] "
    rb'"(?P<request>[^"\\]*+(?:\\.[^"\\]*+)*+)" (?P<status>\d{3}|-) (?P<size>\d+|-)'
    rb'(?: "(?P<referrer>[^"\\]*+(?:\\.[^"\\]*+)*+)" "(?P<agent>[^"\\]*+(?:\\.[^"\\]*+)*+)"(?: .*)?)?'
)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_PROTOCOL: Final = re.compile(r"HTTP/\d(?:\.\d)?")
_WITH_PORT: Final = re.compile(r"(?:(\d+\.\d+\.\d+\.\d+)|\[([0-9A-Fa-f:.]+)\]):\d+")
_METHOD: Final = re.compile(r"[A-Z][A-Z_-]{1,31}")
_CACHED_BYTES: Final = 512
_CONTROLS: Final = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)
}


class BadLine(ValueError):
    """A line that is not what the source promises; `code` is stable, the text a sentence."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class Visit(NamedTuple):
    """One request as the log tells it; a `-` is None. `request` is what the client sent, unescaped."""

    host: str
    user: str | None
    at: datetime
    request: str
    status: int | None
    size_bytes: int | None
    referrer: str | None
    agent: str | None


class Request(NamedTuple):
    """A request line taken apart; `search` keeps its question mark."""

    method: str
    path: str
    search: str | None


def parse(line: bytes) -> Visit:
    """The request of one line; raises BadLine."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadLine(
            "not_combined",
            'The line is not in the combined (or common) format: host ident user [time] "request" status size '
            '"referrer" "agent".',
        )
    host, user, minute, second, zone, request, status, size, referrer, agent = found.group(
        "host", "user", "minute", "second", "zone", "request", "status", "size", "referrer", "agent"
    )
    try:
        at = _minute(minute, zone) + timedelta(seconds=int(second))
    except (KeyError, ValueError, OverflowError):
        raise BadLine("invalid_time", "The time is not a date of the calendar.", "time") from None
    if int(second) > 60:
        raise BadLine("invalid_time", "The time is not a date of the calendar.", "time")
    return Visit(
        host=_client(host),
        user=_given(user) if user != b'""' else None,
        at=at,
        request=unescape(request),
        status=int(status) if status != b"-" else None,
        size_bytes=int(size) if size != b"-" else None,
        referrer=_given(referrer),
        agent=_agent(agent) if agent and len(agent) <= _CACHED_BYTES else _given(agent),
    )


def split_request(request: str) -> Request | None:
    """The request line's parts, or None when it is not HTTP (a TLS hello, a probe's noise, `-`).

    The path may hold spaces: the method ends at the first one, the protocol begins at the last one.
    """
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if not _PROTOCOL.fullmatch(protocol):
        target = rest
    if not _METHOD.fullmatch(method) or not target:
        return None
    if not target.startswith("/"):
        target = _after_authority(target)
    path, mark, search = target.partition("#")[0].partition("?")
    return Request(method, path or "/", mark + search if search else None)


def unescape(raw: bytes) -> str:
    r"""What stood there before the server escaped it (`\"`, `\\`, `\n`, `\xhh`): UTF-8, else Latin-1."""
    if b"\\" in raw:
        raw = _ESCAPE.sub(_plain, raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _plain(found: re.Match[bytes]) -> bytes:
    digits, letter = found.groups()
    return bytes.fromhex(digits.decode()) if digits is not None else _CONTROLS.get(letter, letter)


def _client(raw: bytes) -> str:
    """The first address of a list of proxies, without the port that some balancers write behind it."""
    first = raw.partition(b",")[0].decode("latin-1")
    found = _WITH_PORT.fullmatch(first)
    return (found[1] or found[2]) if found else first


def _given(raw: bytes | None) -> str | None:
    return unescape(raw) if raw and raw != b"-" else None


@lru_cache(maxsize=1 << 14)
def _agent(raw: bytes) -> str | None:
    return _given(raw)


@lru_cache(maxsize=1 << 12)
def _minute(minute: bytes, zone: bytes) -> datetime:
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    return datetime(
        int(minute[7:11]),
        _MONTHS[minute[3:6].title()],
        int(minute[:2]),
        int(minute[12:14]),
        int(minute[15:17]),
        tzinfo=timezone(-offset if zone.startswith(b"-") else offset),
    ).astimezone(UTC)


def _after_authority(target: str) -> str:
    """`http://host/path`, which a proxy is sent, without its authority; anything else as it is."""
    scheme, mark, rest = target.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return target
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"
