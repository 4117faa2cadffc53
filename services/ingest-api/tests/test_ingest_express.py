"""Events on connections that are kept: the second request is worth as much as the first, whatever it holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import httpx
import pytest

from eventlog.errors import LogUnavailable
from eventlog.memory import MemoryLog
from ingest_api.inflight import Inflight
from ingest_api.intake import Intake
from ingest_stand import IngestStand, open_stand, serving
from lifecycle.express import Answer
from policy import PrivacyRules
from telemetry import logs

EVENT = {"user": "ada", "action": "opened report"}


@asynccontextmanager
async def _client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(stand) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        client.headers["authorization"] = f"Bearer {stand.write_key}"
        yield client


def _wide(body: object, chars: int = 200) -> str:
    """JSON of a length that all bodies share, so that all requests have one head."""
    return json.dumps(body).ljust(chars)


@pytest.fixture
def express(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were asked to be taken whole, since the test began."""
    asked: list[bytes] = []
    take = Intake.receive_at_once

    def noted(self: Intake, project: Any, body: bytes, **rest: Any) -> Any:
        asked.append(body)
        return take(self, project, body, **rest)

    monkeypatch.setattr(Intake, "receive_at_once", noted)
    return asked


async def test_every_answer_is_like_the_first(express: list[bytes]) -> None:
    stand = await open_stand()
    async with _client(stand) as client:
        answers = [await client.post("/v1/events", content=_wide(EVENT)) for _ in range(4)]
    assert len(express) == 3
    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {tuple(sorted(answer.headers)) for answer in answers} == {tuple(sorted(answers[0].headers))}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    assert len({event.id for event in await stand.events()}) == 4
    assert stand.count("footfall_ingest_events_total", outcome="accepted") == 4
    labels = {"method": "POST", "route": "/v1/events", "status": "200"}
    assert stand.count("footfall_http_request_seconds_count", **labels) == 4
    assert {event.sender for event in await stand.events()} == {(await stand.events())[0].sender}


async def test_a_body_that_is_refused_is_answered_as_ever(express: list[bytes]) -> None:
    stand = await open_stand()
    bodies = [
        EVENT,
        [EVENT, {"user": "ada"}],
        {"user": "ada"},
        "nothing",
        [EVENT, EVENT],
    ]
    async with _client(stand) as client:
        answers = [await client.post("/v1/events", content=_wide(body)) for body in bodies]
    assert len(express) == 4
    assert [answer.status_code for answer in answers] == [200, 200, 400, 400, 200]
    assert answers[1].json()["rejected"][0]["code"] == "missing_action"
    assert answers[2].json()["code"] == "missing_action"
    assert len(await stand.events()) == 4
    assert len(await stand.rejected()) == 3


async def test_a_key_that_was_revoked_is_refused_on_an_open_connection(
    express: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = await open_stand()
    async with _client(stand) as client:
        for _ in range(2):
            assert (await client.post("/v1/events", content=_wide(EVENT))).status_code == 200

        async def nobody(key: str) -> None:
            return None

        monkeypatch.setattr(stand.access, "asked_before", lambda key: None)
        monkeypatch.setattr(stand.access, "by_key", nobody)
        assert (await client.post("/v1/events", content=_wide(EVENT))).status_code == 401
    assert len(await stand.events()) == 2


async def test_projects_keep_apart_on_one_connection(express: list[bytes]) -> None:
    stand = await open_stand()
    async with _client(stand) as client:
        for key in [stand.write_key, stand.other_write_key] * 3:
            headers = {"authorization": f"Bearer {key}"}
            assert (await client.post("/v1/events", content=_wide(EVENT), headers=headers)).status_code == 200
    assert len(express) == 4
    events = await stand.events()
    assert sorted(event.project for event in events) == ["pabcdefgh234"] * 3 + ["pzzzzzzzzzzz"] * 3


async def test_a_browser_always_goes_the_way_where_its_rights_are_asked(express: list[bytes]) -> None:
    stand = await open_stand(rules=PrivacyRules(opt_out_signals=True))
    async with _client(stand) as client:
        headers = {"user-agent": "Mozilla/5.0", "sec-gpc": "1"}
        answers = [await client.post("/v1/events", content=_wide(EVENT), headers=headers) for _ in range(3)]
    assert express == []
    assert [answer.status_code for answer in answers] == [400] * 3
    assert await stand.events() == []


async def test_a_projects_rules_hold(express: list[bytes]) -> None:
    stand = await open_stand(rules=PrivacyRules(consent="required"))
    async with _client(stand) as client:
        granted = _wide({**EVENT, "context": {"consent": True}})
        answers = [await client.post("/v1/events", content=granted) for _ in range(2)]
        answers.append(await client.post("/v1/events", content=_wide(EVENT)))
    assert len(express) == 2
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert len(await stand.events()) == 2


async def test_a_project_that_sent_too_much_is_told(express: list[bytes]) -> None:
    stand = await open_stand(project_events_per_s=1)
    async with _client(stand) as client:
        many = _wide([EVENT] * 4, 400)
        statuses = [(await client.post("/v1/events", content=many)).status_code for _ in range(6)]
    assert statuses[:2] == [200, 200]
    assert statuses[-1] == 429


class _AwayLog:
    """A memory log that can be away; `calls` are the numbers of events it was asked to append."""

    def __init__(self) -> None:
        self.log = MemoryLog(partitions=4)
        self.away = False
        self.calls: list[int] = []

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        self.calls.append(len(messages))
        if self.away:
            raise LogUnavailable("No broker answers.")
        await self.log.append(topic, messages)


async def test_while_the_log_is_away_the_sender_is_told_when_to_come_back(express: list[bytes]) -> None:
    away = _AwayLog()
    stand = await open_stand(log=away.log, writer=away)
    async with _client(stand) as client:
        assert (await client.post("/v1/events", content=_wide(EVENT))).status_code == 200
        away.away = True
        answer = await client.post("/v1/events", content=_wide(EVENT))
        assert answer.status_code == 503
        assert answer.json()["code"] == "log_unavailable"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/json"
        away.away = False
        assert (await client.post("/v1/events", content=_wide(EVENT))).status_code == 200
    assert len(express) == 2
    assert len(await stand.events()) == 2
    labels = {"method": "POST", "route": "/v1/events", "status": "503"}
    assert stand.count("footfall_http_request_seconds_count", **labels) == 1
    assert stand.count("footfall_ingest_events_total", outcome="unavailable") == 1


async def test_what_there_is_no_room_for_is_refused(
    express: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = await open_stand()
    async with _client(stand) as client:
        for _ in range(2):
            assert (await client.post("/v1/events", content=_wide(EVENT))).status_code == 200
        assert stand.count("footfall_ingest_inflight_bytes") == 0
        monkeypatch.setattr(Inflight, "has_room", lambda self, more_bytes: False)
        answer = await client.post("/v1/events", content=_wide(EVENT))
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert len(express) == 1


def _scope(key: str) -> dict[str, Any]:
    """What the parser makes of a head that a server sends."""
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"user-agent", b"app/1")]
    return {"type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "headers": headers}


class _Senders:
    """Sends bodies of keys whose head is known, all in one turn of the event loop."""

    def __init__(self, log: _AwayLog, **settings: Any) -> None:
        self.log = log
        self._settings = settings

    async def __aenter__(self) -> "_Senders":
        self.stand = await open_stand(log=self.log.log, writer=self.log, **self._settings)
        for key in (self.stand.write_key, self.stand.other_write_key):
            assert await self.stand.access.by_key(key) is not None
        return self

    async def __aexit__(self, *of: object) -> None:
        assert self.stand.count("footfall_ingest_inflight_bytes") == 0

    def begin(self, *bodies: object, other: bool = False) -> "list[asyncio.Future[Answer]]":
        take = self.stand.express.answering(
            _scope(self.stand.other_write_key if other else self.stand.write_key)
        )
        assert take is not None
        coming = [take(json.dumps(body).encode()) for body in bodies]
        return [one for one in coming if one is not None]

    async def send(self, *bodies: object) -> list[tuple[int, dict[str, Any]]]:
        answers = await asyncio.gather(*self.begin(*bodies))
        return [(answer.status, json.loads(answer.body)) for answer in answers]


async def test_what_comes_in_one_turn_is_appended_together_and_answered_one_by_one() -> None:
    async with _Senders(_AwayLog()) as senders:
        users = ["ada", "bob", "cy"]
        answers = await senders.send(
            *[[{"user": user, "action": "a"}] * (n + 1) for n, user in enumerate(users)]
        )
        assert answers == [(200, {"accepted": n, "rejected": []}) for n in (1, 2, 3)]
        assert senders.log.calls == [6]
        assert [event.user for event in await senders.stand.events()].count("cy") == 3
        assert senders.stand.count("footfall_ingest_events_total", outcome="accepted") == 6
        labels = {"method": "POST", "route": "/v1/events", "status": "200"}
        assert senders.stand.count("footfall_http_request_seconds_count", **labels) == 3
        await senders.send(EVENT)
        assert senders.log.calls == [6, 1]


async def test_each_answer_has_a_request_id_of_its_own() -> None:
    async with _Senders(_AwayLog()) as senders:
        answers = await asyncio.gather(*senders.begin(*[EVENT] * 4))
    ids = {line for answer in answers for line in answer.lines.split(b"\r\n") if b"x-request-id" in line}
    assert len(ids) == 4


async def test_projects_are_never_appended_together() -> None:
    async with _Senders(_AwayLog()) as senders:
        coming = senders.begin(EVENT, EVENT) + senders.begin(EVENT, other=True)
        assert {answer.status for answer in await asyncio.gather(*coming)} == {200}
        assert sorted(senders.log.calls) == [1, 2]
        events = await senders.stand.events()
        assert sorted(event.project for event in events) == ["pabcdefgh234"] * 2 + ["pzzzzzzzzzzz"]


async def test_a_body_with_a_fault_has_no_part_in_the_others_answers() -> None:
    async with _Senders(_AwayLog()) as senders:
        answers = await senders.send(EVENT, {"user": "ada"}, [EVENT, {"user": "bob"}], EVENT)
        assert [status for status, _ in answers] == [200, 400, 200, 200]
        assert [len(said["rejected"]) for _, said in answers] == [0, 1, 1, 0]
        assert len(await senders.stand.events()) == 3
        assert len(await senders.stand.rejected()) == 2


async def test_a_body_without_events_rests_on_nothing() -> None:
    async with _Senders(_AwayLog()) as senders:
        empty, event = await asyncio.gather(*senders.begin([], EVENT))
    assert (empty.status, json.loads(empty.body)) == (200, {"accepted": 0, "rejected": []})
    assert b"footfall-durability" not in empty.lines
    assert b"footfall-durability: log" in event.lines


async def test_after_a_failure_each_request_stands_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A partition that is down must not fail, for longer than that takes to notice, what goes to others."""
    log = _AwayLog()
    async with _Senders(log) as senders:
        log.away = True
        answers = await senders.send(*[EVENT] * 3)
        assert [(status, said["code"]) for status, said in answers] == [(503, "log_unavailable")] * 3
        assert senders.stand.count("footfall_ingest_events_total", outcome="unavailable") == 3
        log.away = False
        await senders.send(*[EVENT] * 3)
        assert log.calls == [3, 1, 1, 1]
        monkeypatch.setattr("ingest_api.express.perf_counter", lambda: perf_counter() + 5.1)
        await senders.send(*[EVENT] * 3)
        assert log.calls == [3, 1, 1, 1, 3]


async def test_a_sender_that_went_away_leaves_the_others_their_answers() -> None:
    async with _Senders(_AwayLog()) as senders:
        gone, *others = senders.begin(*[EVENT] * 3)
        gone.cancel()
        assert [answer.status for answer in await asyncio.gather(*others)] == [200, 200]
        assert len(await senders.stand.events()) == 3


@pytest.mark.parametrize(("body", "away"), [({"user": "ada"}, False), (EVENT, True)])
async def test_the_line_of_a_refusal_has_the_id_of_its_answer(
    body: dict[str, str], away: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("ingest-api")
    log = _AwayLog()
    log.away = away
    async with _Senders(log) as senders:
        answers = await asyncio.gather(*senders.begin(body, body))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"event":"request"' in line]
    ids = [
        line[14:].decode()
        for answer in answers
        for line in answer.lines.splitlines()
        if b"x-request-id" in line
    ]
    assert [line["request_id"] for line in told] == ids
    assert len(set(ids)) == 2
    assert {line["status"] for line in told} == {answer.status for answer in answers}
