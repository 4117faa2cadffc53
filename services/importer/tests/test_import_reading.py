"""The reading process: what its frames hold, and that they are the same whenever they are made."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from eventmodel import wire
from importer import reading
from importer.frames import Batch, End, Failure, Frame, Job, Plan, Source
from importer.reader import ReaderDied, start_reader
from importer.spooled import MAX_LINE_BYTES, open_spooled

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


def job(path: Path, source: Source = "access-log", **changes: Any) -> Job:
    settings: dict[str, Any] = {
        "name": "a.log",
        "project": "pabcdefghijk",
        "run": "imp_1",
        "account": None,
        "identity": "0" * 32,
        "salt": b"s" * 32,
        "received_at": datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        "max_unpacked_bytes": 1 << 40,
        **changes,
    }
    return Job(path=str(path), source=source, **settings)


def visit(number: int, request: str = "GET /page HTTP/1.1", user: str = "-", agent: str = BROWSER) -> bytes:
    return (
        f"203.0.113.{number % 256} - {user} [17/May/2015:10:{number // 60 % 60:02d}:{number % 60:02d} +0000] "
        f'"{request}" 200 512 "-" "{agent}"\n'
    ).encode()


def read(job: Job) -> list[Frame]:
    with open_spooled(Path(job.path)) as spooled:
        return list(reading.run(job, spooled))


def batches(frames: Sequence[Frame]) -> list[Batch]:
    return [frame for frame in frames if isinstance(frame, Batch)]


def events(frames: Sequence[Frame]) -> list[tuple[bytes, bytes]]:
    return [event for batch in batches(frames) for event in batch.events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spooled"


def test_from_any_checkpoint_the_same_records_follow(path: Path) -> None:
    path.write_bytes(b"".join(visit(n) + (b"bad\n" if n % 9 == 0 else b"") for n in range(1_000)))
    frames = read(job(path))
    assert isinstance(frames[-1], End)
    whole = batches(frames)
    assert len(whole) > 3
    for at, batch in enumerate(whole[:-1], start=1):
        done = sum(before.rejected for before in whole[:at])
        resumed = read(job(path, offset=batch.offset, number=batch.number, rejected=done))
        assert events(resumed) == [event for rest in whole[at:] for event in rest.events]
        assert [line for rest in batches(resumed) for line in rest.bad] == [
            line for rest in whole[at:] for line in rest.bad
        ]
    assert whole[-1].offset == path.stat().st_size


def test_a_visit_is_a_page_view_of_an_anonymous_visitor(path: Path) -> None:
    path.write_bytes(visit(1, "GET /docs/a?q=1 HTTP/1.1"))
    ((key, value),) = events(read(job(path, account="acme")))
    event = wire.decode(value)
    assert (event.kind, event.action, event.account, event.user) == ("page", "viewed page", "acme", None)
    assert event.properties == {
        "path": "/docs/a",
        "search": "?q=1",
        "method": "GET",
        "status": 200,
        "bytes": 512,
    }
    assert event.context == {"user_agent": BROWSER}
    assert event.occurred_at == datetime(2015, 5, 17, 10, 0, 1, tzinfo=UTC)
    assert key == f"pabcdefghijk:a:{event.anonymous_id}".encode()
    assert b"203.0.113" not in value


def test_a_visitor_is_told_by_address_agent_and_salt(path: Path) -> None:
    def visitor(line: bytes, salt: bytes = b"s" * 32) -> str | None:
        path.write_bytes(line)
        return wire.decode(events(read(job(path, salt=salt)))[0][1]).anonymous_id

    one = visitor(visit(1))
    assert visitor(visit(1, "GET /other HTTP/1.1")) == one
    assert (
        len({one, visitor(visit(2)), visitor(visit(1, agent=BROWSER + "x")), visitor(visit(1), b"t" * 32)})
        == 4
    )


def test_a_logged_in_user_is_named_and_other_methods_are_requests(path: Path) -> None:
    path.write_bytes(visit(1, "POST /orders HTTP/1.1", user="ada"))
    event = wire.decode(events(read(job(path)))[0][1])
    assert (event.user, event.anonymous_id) == ("ada", None)
    assert (event.kind, event.action, event.properties["method"]) == ("track", "sent request", "POST")


def test_lines_that_are_no_http_are_skipped_by_a_rule_of_their_own(path: Path) -> None:
    path.write_bytes(visit(1, "-") + visit(2, r"\x16\x03\x01\x02\x00\x01") + b"\n" + visit(3))
    (batch,) = batches(read(job(path)))
    assert batch.skipped == {"not_http": 2, "blank": 1}
    assert (batch.number, len(batch.events)) == (4, 1)


def test_what_is_kept_of_bad_lines_is_bounded_over_the_whole_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "KEPT_BAD_LINES", 30)
    monkeypatch.setattr(reading, "MAX_REJECTED_RECORDS", 70)
    path.write_bytes(b"".join(visit(n) for n in range(1_000)) + b"bad\n" * 300)
    found = batches(read(job(path)))
    assert sum(batch.rejected for batch in found) == 300
    assert sum(len(batch.bad) for batch in found) == 30
    assert sum(len(batch.rejected_records) for batch in found) == 70
    resumed = batches(read(job(path, offset=found[-1].offset - 4, number=1_299, rejected=299)))
    assert [(batch.rejected, batch.bad, batch.rejected_records) for batch in resumed] == [(1, [], [])]


def test_a_line_that_is_too_long_is_refused_and_its_start_is_kept(path: Path) -> None:
    path.write_bytes(visit(1) + b"y" * (MAX_LINE_BYTES + 1) + b"\n" + visit(2) + visit(3))
    (batch,) = batches(read(job(path)))
    ((_, value),) = batch.rejected_records
    assert json.loads(value)["code"] == "line_too_long"
    assert (batch.bad[0].line, batch.bad[0].byte_offset, len(batch.events)) == (2, len(visit(1)), 3)


def test_one_bad_line_in_two_is_not_yet_the_wrong_format(path: Path) -> None:
    path.write_bytes((visit(1) + b"bad\n") * 10)
    assert isinstance(read(job(path))[-1], End)
    path.write_bytes((visit(1) + b"bad\n") * 10 + b"bad\n")
    (failure,) = read(job(path))
    assert isinstance(failure, Failure)
    assert failure.error == "wrong_format"


def test_many_bad_lines_after_a_good_start_stop_nothing(path: Path) -> None:
    path.write_bytes(b"".join(visit(n) for n in range(1_000)) + b"bad\n" * 3_000 + visit(7))
    frames = read(job(path))
    assert isinstance(frames[-1], End)
    assert len(events(frames)) == 1_001


def test_a_file_that_unpacks_to_too_much_ends_with_what_fits(path: Path) -> None:
    content = b"".join(visit(n) for n in range(2_000))
    path.write_bytes(gzip.compress(content))
    *_, last, failure = read(job(path, max_unpacked_bytes=len(content) // 2))
    assert isinstance(last, Batch)
    assert isinstance(failure, Failure)
    assert failure.error == "too_large"
    assert last.offset <= len(content) // 2


def test_events_without_an_id_get_one_of_their_place_and_content(path: Path) -> None:
    line = b'{"user":"ada","action":"a","time":"2020-01-01T00:00:00Z"}\n'
    path.write_bytes(line * 3)
    ids = [wire.decode(value).id for _, value in events(read(job(path, "ndjson")))]
    assert len(set(ids)) == 3
    assert [wire.decode(value).id for _, value in events(read(job(path, "ndjson")))] == ids
    other = [wire.decode(value).id for _, value in events(read(job(path, "ndjson", identity="1" * 32)))]
    assert not set(ids) & set(other)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"user":"ada","action":"a"} {"user":"ada","action":"b"}', "not_one_event"),
        (b"[]", "not_one_event"),
        (b"{}", "missing_action"),
        (b'{"user":"ada","user":"eve","action":"a"}', "duplicate_key"),
        (b'{"user":"ada","action":"a\\u0000"}', "nul_character"),
        (b'{"user":"ada","action":"a","time":"yesterday"}', "invalid_time"),
        (b'{"user":"ada","action":"\xff"}', "invalid_utf8"),
        (b"user,action", "invalid_json"),
        (b"[" * 200_000, "too_deep"),
    ],
)
@pytest.mark.parametrize("account", [None, "acme"])
def test_a_line_is_refused_as_ingest_would_refuse_it(
    path: Path, line: bytes, code: str, account: str | None
) -> None:
    good = b'{"user":"ada","action":"a"}\n'
    path.write_bytes(good + line + b"\n" + good)
    (batch,) = batches(read(job(path, "ndjson", account=account)))
    assert (len(batch.events), batch.rejected) == (2, 1)
    assert batch.bad[0].code == code
    assert batch.bad[0].line == 2


async def test_a_plan_comes_back_from_a_process_of_its_own(path: Path) -> None:
    path.write_bytes(b"".join(visit(n) for n in range(20)))  # noqa: ASYNC240
    async with start_reader(job(path, plan=True)) as frames:
        plan = await anext(frames)
    assert isinstance(plan, Plan)
    assert (plan.publish, plan.complete) == (20, True)


async def test_a_reader_that_fails_tells_its_cause(tmp_path: Path) -> None:
    async with start_reader(job(tmp_path / "missing")) as frames:
        failure = await anext(frames)
        assert isinstance(failure, Failure)
        assert failure.error == "internal"
        assert "FileNotFoundError" in failure.detail
        with pytest.raises(ReaderDied):
            await anext(frames)


async def test_memory_stays_the_same_whatever_the_file(path: Path) -> None:
    line = msgspec.json.encode({"user": "ada", "action": "a", "properties": {"text": "x" * 1_000}}) + b"\n"
    with path.open("wb") as file:
        for _ in range(40):
            file.write(line * 1_000)
        file.write(b"y" * 40_000_000 + b"\n" + b"\0" * 40_000_000 + line)
    most = 0
    count = 0
    async with start_reader(job(path, "ndjson")) as frames:
        (process,) = (one for one in psutil.Process().children() if "importer.reading" in one.cmdline())
        async for frame in frames:
            if isinstance(frame, End):
                break
            assert isinstance(frame, Batch)
            count += len(frame.events)
            most = max(most, process.memory_info().rss)
    assert count == 40_001
    assert most < 100_000_000
