"""Replays a file of native events as live traffic, reads the stream meanwhile, and recounts everything.

By hand, against anything that answers:
    PYTHONPATH=tests/support python -m replay FILE --url URL --key SECRET [--rate N] [--batch N] [--compare]
"""

import argparse
import asyncio
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

_GIVE_UP_S = 90.0


def load(path: Path, now: datetime | None = None) -> list[dict[str, Any]]:
    """The file's events, times shifted so that the last is now."""
    body = path.read_bytes()
    lines = (gzip.decompress(body) if path.suffix == ".gz" else body).splitlines()
    events = [json.loads(line) for line in lines]
    return shifted(events, now or datetime.now(UTC))


def shifted(events: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """The events with their times moved by whole seconds so that the latest is at `now`."""
    times = [datetime.fromisoformat(event["time"]) for event in events]
    by = timedelta(seconds=int((now - max(times)).total_seconds()))
    return [
        {**event, "time": (at + by).isoformat().replace("+00:00", "Z")}
        for event, at in zip(events, times, strict=True)
    ]


@dataclass
class Counts:
    """What there is to know of a file, computed from nothing but its lines."""

    by_day: Counter[tuple[str, str]] = field(default_factory=Counter)
    accounts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    users: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    account_span: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    user_span: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    user_actions: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def count(events: Sequence[Mapping[str, Any]]) -> Counts:
    """Per day and action, per account and user: each (user, id) once."""
    counts = Counts()
    met: set[tuple[str, str]] = set()
    for event in events:
        if (event["user"], event["id"]) in met:
            continue
        met.add((event["user"], event["id"]))
        user, account, action = event["user"], event["account"], event["action"]
        at = datetime.fromisoformat(event["time"])
        counts.by_day[at.date().isoformat(), action] += 1
        counts.accounts[account][action] += 1
        counts.users[account].add(user)
        counts.user_actions[user][action] += 1
        for spans, name in ((counts.account_span, account), (counts.user_span, user)):
            first, last = spans.get(name, (at, at))
            spans[name] = min(first, at), max(last, at)
    return counts


async def differences(events: Sequence[Mapping[str, Any]], client: httpx.AsyncClient) -> list[str]:
    """Where the running system's numbers differ from the file's; empty when nowhere."""
    wanted, found = count(events), []

    async def get(path: str, **params: Any) -> Any:
        answer = await client.get(path, params=params)
        answer.raise_for_status()
        return answer.json()

    days = sorted(day for day, _ in wanted.by_day)
    by_day: Counter[tuple[str, str]] = Counter()
    start, end = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    while start <= end:
        until = min(end, start + timedelta(days=700))
        page = await get("/v1/pulse/days", **{"from": start.isoformat(), "to": until.isoformat()})
        by_day.update({(row["day"], row["action"]): row["count"] for row in page["items"]})
        start = until + timedelta(days=1)
    if by_day != wanted.by_day:
        more, fewer = by_day - wanted.by_day, wanted.by_day - by_day
        found.append(
            f"by day and action: {more.total()} more such as {more.most_common(3)},"
            f" {fewer.total()} fewer such as {fewer.most_common(3)}"
        )
    for account, actions in wanted.accounts.items():
        body = await get(f"/v1/accounts/{quote(account, safe='')}")
        told = Counter({row["action"]: row["count"] for row in body["breakdown"]})
        if told != actions or body["activities"] != actions.total():
            found.append(f"account {account}: {body['activities']} activities, not {actions.total()}")
        if body["users"] != len(wanted.users[account]):
            found.append(f"account {account}: {body['users']} users, not {len(wanted.users[account])}")
        found += _span(f"account {account}", body, wanted.account_span[account])
    for user, actions in wanted.user_actions.items():
        body = await get(f"/v1/users/{quote(user, safe='')}")
        told = Counter({row["action"]: row["count"] for row in body["breakdown"]})
        if told != actions or body["activities"] != actions.total():
            found.append(f"user {user}: {told}, not {actions}")
        found += _span(f"user {user}", body, wanted.user_span[user])
    return found


def _span(what: str, body: Mapping[str, Any], span: tuple[datetime, datetime]) -> list[str]:
    told = tuple(datetime.fromisoformat(body[name]) for name in ("first_seen", "last_seen"))
    return [] if told == span else [f"{what}: seen {told}, not {span}"]


@dataclass
class Sender:
    """Sends events over keep-alive connections, again with the same ids until it gets a 2xx."""

    url: str
    key: str
    acknowledged: set[str] = field(default_factory=set)
    refused: list[Any] = field(default_factory=list)
    retries: int = 0
    latencies_s: list[float] = field(default_factory=list)

    async def send(
        self, events: Sequence[dict[str, Any]], *, rate: float, batch: int = 1, connections: int = 64
    ) -> None:
        """All events at `rate` a second in bodies of `batch`, over at most `connections` at once.

        A user's events keep to one connection, so that they arrive in the order of the file.
        """
        lanes: list[asyncio.Queue[list[dict[str, Any]] | None]] = [
            asyncio.Queue(1000) for _ in range(connections)
        ]
        began = time.monotonic()

        async def pace() -> None:
            pending: list[list[dict[str, Any]]] = [[] for _ in lanes]
            for number, event in enumerate(events):
                lane = hash(event["user"]) % len(lanes)
                pending[lane].append(event)
                if len(pending[lane]) >= batch:
                    await lanes[lane].put(pending[lane])
                    pending[lane] = []
                ahead = number / rate - (time.monotonic() - began)
                if ahead > 0.005:
                    await asyncio.sleep(ahead)
            for lane, rest in enumerate(pending):
                if rest:
                    await lanes[lane].put(rest)
                await lanes[lane].put(None)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pace())
            for lane in lanes:
                tasks.create_task(self._lane(lane, single=batch == 1))

    async def _lane(self, lane: "asyncio.Queue[list[dict[str, Any]] | None]", *, single: bool) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        parts = urlsplit(self.url)
        while (events := await lane.get()) is not None:
            body = msgspec.json.encode(events[0] if single else events)
            head = (
                f"POST /v1/events HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {self.key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            ).encode()
            deadline = time.monotonic() + _GIVE_UP_S
            while True:
                began = time.monotonic()
                try:
                    if connection is None:
                        connection = await asyncio.open_connection(parts.hostname, parts.port)
                    connection[1].write(head + body)
                    status, answer = await asyncio.wait_for(_answer(connection[0]), 10)
                except (OSError, EOFError, TimeoutError, ValueError):
                    status, answer = 0, b""
                    if connection is not None:
                        connection[1].close()
                    connection = None
                if status == 200:
                    self.latencies_s.append(time.monotonic() - began)
                    self.refused += msgspec.json.decode(answer)["rejected"]
                    self.acknowledged.update(event["id"] for event in events)
                    break
                if status not in (0, 503) or time.monotonic() > deadline:
                    raise AssertionError(f"HTTP {status}: {answer[:300]!r}")
                self.retries += 1
                await asyncio.sleep(0.2)
        if connection is not None:
            connection[1].close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return status, await reader.readexactly(int(value))
    raise ValueError("no length")


@dataclass
class Watcher:
    """Follows the stream as an EventSource does: reconnects with its cursor, remembers all it was shown."""

    url: str
    key: str
    path: str = "/v1/stream"
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    gaps: list[Any] = field(default_factory=list)
    repeats_outside_a_reconnect: int = 0
    reconnects: int = -1
    cursor: str | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    latencies_s: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Watch until cancelled."""
        parts = urlsplit(self.url)
        while True:
            try:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 24)
                try:
                    await self._follow(reader, writer, parts.netloc)
                finally:
                    writer.close()
            except (OSError, EOFError, ValueError):
                await asyncio.sleep(0.2)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        last = f"last-event-id: {self.cursor}\r\n" if self.cursor else ""
        writer.write(
            f"GET {self.path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {self.key}\r\n{last}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError("not a stream")
        self.reconnects += 1
        kind, first_flush, fresh = b"", True, False
        async for line in _lines(reader):
            if line.startswith(b"event: "):
                kind = line[7:]
            elif line.startswith(b"id: "):
                self.cursor = line[4:].decode()
                self.opened.set()
                first_flush = first_flush and not fresh
            elif line.startswith(b"data: ") and kind == b"gap":
                self.gaps.append(json.loads(line[6:]))
            elif line.startswith(b"data: ") and kind == b"activity":
                event = msgspec.json.decode(line[6:])
                key = (event["user"], event["id"])
                if self.seen[key] and not (first_flush and self.reconnects):
                    self.repeats_outside_a_reconnect += 1
                self.seen[key] += 1
                fresh = True
                received = datetime.fromisoformat(event["received_at"])
                self.latencies_s.append((datetime.now(UTC) - received).total_seconds())


async def _lines(reader: asyncio.StreamReader) -> Any:
    """The lines of a chunked body."""
    rest = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        rest += await reader.readexactly(size)
        await reader.readexactly(2)
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield line


def quantile_ms(values_s: Sequence[float], q: float) -> float:
    """A quantile in milliseconds; -1 of nothing."""
    ordered = sorted(values_s)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1000, 1) if ordered else -1.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--now", type=datetime.fromisoformat, default=None)
    parser.add_argument("--settle-s", type=float, default=60)
    arguments = parser.parse_args()
    events = load(arguments.file, arguments.now)
    sender = Sender(arguments.url, arguments.key)
    watcher = Watcher(arguments.url, arguments.key)
    watching = asyncio.create_task(watcher.run())
    await watcher.opened.wait()
    began = time.monotonic()
    await sender.send(events, rate=arguments.rate, batch=arguments.batch)
    sent_s = time.monotonic() - began
    expected = {(event["user"], event["id"]) for event in events}
    deadline = time.monotonic() + arguments.settle_s
    while expected - watcher.seen.keys() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    watching.cancel()
    headers = {"authorization": f"Bearer {arguments.key}"}
    async with httpx.AsyncClient(base_url=arguments.url, headers=headers, timeout=60) as client:
        wrong = await differences(events, client)
    report = {
        "events": len(events),
        "sent_per_s": round(len(events) / sent_s),
        "retries": sender.retries,
        "refused": len(sender.refused),
        "post_p50_ms": quantile_ms(sender.latencies_s, 0.5),
        "post_p99_ms": quantile_ms(sender.latencies_s, 0.99),
        "stream_p50_ms": quantile_ms(watcher.latencies_s, 0.5),
        "stream_p99_ms": quantile_ms(watcher.latencies_s, 0.99),
        "missed_by_the_stream": len(expected - watcher.seen.keys()),
        "repeats_outside_a_reconnect": watcher.repeats_outside_a_reconnect,
        "reconnects": watcher.reconnects,
        "gaps": watcher.gaps,
        "differences": wrong[:20],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
