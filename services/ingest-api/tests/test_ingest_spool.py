import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from eventlog.errors import LogUnavailable
from eventlog.memory import MemoryLog
from eventmodel import topics
from ingest_api.spool.segments import Segments
from ingest_api.spool.spool import Spool
from ingest_stand import IngestStand, open_stand
from telemetry.metrics import Metrics

MIB = 1024 * 1024


@dataclass
class Switched:
    """A log that is away, or hangs, until it is switched on."""

    log: MemoryLog = field(default_factory=lambda: MemoryLog(partitions=4))
    away: bool = False
    hangs: bool = False
    appends: int = 0

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        if topic == topics.EVENTS:
            self.appends += 1
            if self.hangs:
                await asyncio.Event().wait()
            if self.away:
                raise LogUnavailable("The log is away.")
        await self.log.append(topic, messages)


@dataclass
class Spooling:
    stand: IngestStand
    log: Switched
    client: httpx.AsyncClient

    async def send(self, *ids: str) -> httpx.Response:
        events = [{"user": "ada", "action": "did", "id": name} for name in ids]
        return await self.client.post("/v1/events", json=events, headers=self.stand.authorization)

    async def ids(self) -> list[str]:
        return [str(event.id) for event in await self.stand.events()]

    async def drained(self, count: int) -> list[str]:
        async with asyncio.timeout(30):
            while len(await self.ids()) < count:
                await asyncio.sleep(0.05)
        return await self.ids()


@asynccontextmanager
async def _spooling(
    directory: Path, log: Switched, *, max_bytes: int = MIB, draining: bool = True
) -> AsyncIterator[Spooling]:
    metrics = Metrics("ingest-api")
    with closing(Segments(directory, max_bytes)) as segments:
        spool = Spool(log, segments, metrics)
        stand = await open_stand(log.log, writer=log, spool=spool, metrics=metrics, ack_timeout_s=8)
        transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            running = asyncio.create_task(spool.run() if draining else spool._write())
            try:
                yield Spooling(stand, log, client)
            finally:
                running.cancel()
                await asyncio.wait([running])


async def test_an_answer_says_where_its_events_are_durable(tmp_path: Path) -> None:
    async with _spooling(tmp_path, Switched()) as spooling:
        answer = await spooling.send("a")
        assert (answer.status_code, answer.headers["footfall-durability"]) == (200, "log")
        spooling.log.away = True
        answer = await spooling.send("b")
        assert (answer.status_code, answer.headers["footfall-durability"]) == (200, "spool")
        assert answer.json() == {"accepted": 1, "rejected": []}


@pytest.mark.parametrize("fault", ["away", "hangs"])
async def test_what_was_spooled_reaches_the_log_in_order_and_nothing_overtakes_it(
    tmp_path: Path, fault: str
) -> None:
    async with _spooling(tmp_path, Switched()) as spooling:
        setattr(spooling.log, fault, True)
        for name in ("a", "b", "c"):
            assert (await spooling.send(name)).status_code == 200
        spooling.log.away, spooling.log.hangs = True, False
        held = await spooling.send("d")
        assert held.headers["footfall-durability"] == "spool"
        spooling.log.away = False
        after = await spooling.send("e")
        assert after.status_code == 200
        ids = await spooling.drained(5)
        assert list(dict.fromkeys(ids)) == ["a", "b", "c", "d", "e"]


async def test_once_the_spool_is_empty_events_go_straight_to_the_log_again(tmp_path: Path) -> None:
    async with _spooling(tmp_path, Switched(away=True)) as spooling:
        await spooling.send("a")
        spooling.log.away = False
        await spooling.drained(1)
        async with asyncio.timeout(10):
            while (await spooling.send("b")).headers["footfall-durability"] != "log":
                await asyncio.sleep(0.01)
        assert spooling.stand.count("footfall_ingest_spool_bytes") == 0
        assert spooling.stand.count("footfall_ingest_spool_events_total", outcome="drained") >= 1


async def test_spooled_events_survive_the_end_of_the_process(tmp_path: Path) -> None:
    async with _spooling(tmp_path, Switched(away=True), draining=False) as spooling:
        assert (await spooling.send("a", "b")).headers["footfall-durability"] == "spool"
    async with _spooling(tmp_path, Switched()) as spooling:
        assert await spooling.drained(2) == ["a", "b"]


async def test_a_full_spool_answers_503_with_a_time_and_keeps_what_it_has(tmp_path: Path) -> None:
    async with _spooling(tmp_path, Switched(away=True), max_bytes=2_000) as spooling:
        answers = [await spooling.send(f"id{n}") for n in range(40)]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.json()["code"] for answer in refused} == {"log_spool_full"}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        accepted = [n for n, answer in enumerate(answers) if answer.status_code == 200]
        spooling.log.away = False
        assert await spooling.drained(len(accepted)) == [f"id{n}" for n in accepted]


async def test_many_requests_at_once_are_all_kept_or_all_told(tmp_path: Path) -> None:
    async with _spooling(tmp_path, Switched(away=True)) as spooling:
        answers = await asyncio.gather(*(spooling.send(f"id{n}") for n in range(200)))
        assert {answer.status_code for answer in answers} == {200}
        spooling.log.away = False
        assert sorted(await spooling.drained(200)) == sorted(f"id{n}" for n in range(200))


async def test_a_damaged_line_is_counted_kept_aside_and_stops_nothing(tmp_path: Path) -> None:
    async with _spooling(tmp_path, Switched(away=True), draining=False) as spooling:
        await spooling.send("a")
        await spooling.send("b")
    _spoil(tmp_path, b'"id":"a"', b'"id":"x"')
    async with _spooling(tmp_path, Switched()) as spooling:
        assert await spooling.drained(1) == ["b"]
        async with asyncio.timeout(10):
            while spooling.stand.count("footfall_ingest_spool_events_total", outcome="damaged") < 1:
                await asyncio.sleep(0.01)
    assert b'"id":"x"' in (tmp_path / "damaged").read_bytes()


def _spoil(directory: Path, right: bytes, wrong: bytes) -> None:
    (path,) = directory.glob("*.spool")
    path.write_bytes(path.read_bytes().replace(right, wrong))


async def test_without_a_spool_the_log_alone_decides() -> None:
    log = Switched(away=True)
    stand = await open_stand(log.log, writer=log)
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        answer = await Spooling(stand, log, client).send("a")
    assert answer.status_code == 503
    assert "footfall-durability" not in answer.headers
