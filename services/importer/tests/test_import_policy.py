"""Imports obey what the project decided, as live events do."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventmodel import RejectedRecord, wire
from importer import reading
from importer.frames import Batch, Job
from importer.spooled import open_spooled
from policy import PrivacyRules, read_plan

SECRET = "zqsecret"
PLAN = read_plan({"mode": "quarantine", "actions": {"paid": {"required": ["sum"]}}})


def _read(path: Path, lines: list[bytes], source: str = "ndjson", **policy: Any) -> Batch:
    path.write_bytes(b"\n".join(lines) + b"\n")
    job = Job(
        path=str(path),
        source=source,  # type: ignore[arg-type]  # one of the two
        name="a",
        project="pabcdefghijk",
        run="imp_1",
        account=None,
        identity="0" * 32,
        salt=b"s" * 32,
        received_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        max_unpacked_bytes=1 << 40,
        hash_key=b"key",
        **policy,
    )
    with open_spooled(path) as spooled:
        [batch] = [frame for frame in reading.run(job, spooled) if isinstance(frame, Batch)]
    return batch


def _kept(batch: Batch) -> list[RejectedRecord]:
    return [msgspec.json.decode(value, type=RejectedRecord) for _, value in batch.rejected_records]


def test_values_are_taken_out_of_events_and_of_what_is_kept_of_bad_lines(tmp_path: Path) -> None:
    fine = {"user": "ada", "action": "a", "properties": {"card": SECRET}, "context": {"ip": "203.0.113.9"}}
    lines = [json.dumps(fine).encode()] * 5
    lines += [
        json.dumps({"properties": {"card": SECRET}}).encode(),
        b'{"properties":{"card":"' + SECRET.encode(),
    ]
    batch = _read(tmp_path / "f", lines, privacy=PrivacyRules(redact=("properties.card",)))
    assert (len(batch.events), batch.rejected, len(batch.rejected_records)) == (5, 2, 2)
    assert SECRET.encode() not in msgspec.json.encode(batch)
    assert [value for _, value in (*batch.events, *batch.rejected_records) if SECRET.encode() in value] == []
    assert wire.decode(batch.events[0][1]).context == {"ip": "203.0.113.0"}


def test_without_consent_a_line_is_counted_and_nothing_of_it_kept(tmp_path: Path) -> None:
    given = {"user": "ada", "action": "a", "context": {"consent": True}}
    lines = [json.dumps(given).encode()] * 3 + [json.dumps({"user": SECRET, "action": "a"}).encode()]
    batch = _read(tmp_path / "f", lines, privacy=PrivacyRules(consent="required"))
    assert (len(batch.events), batch.rejected, batch.rejected_records) == (3, 1, [])
    assert [(bad.code, bad.text) for bad in batch.bad] == [("no_consent", "")]


@pytest.mark.parametrize(
    ("rule", "shown"), [("keep", "203.0.113.9 "), ("truncate", "203.0.113.0 "), ("drop", "- ")]
)
def test_the_address_of_a_bad_line_of_an_access_log_is_kept_as_the_project_says(
    tmp_path: Path, rule: Any, shown: str
) -> None:
    good = b'203.0.113.9 - - [17/May/2015:10:00:00 +0000] "GET /p HTTP/1.1" 200 5 "-" "Mozilla/5.0 x Firefox/130.0"'
    bad = b"203.0.113.9 - - nothing of the kind"
    batch = _read(tmp_path / "f", [good, good, good, bad], "access-log", privacy=PrivacyRules(ip=rule))
    [record] = _kept(batch)
    assert record.body == f"{shown}- - nothing of the kind"
    assert batch.bad[0].text == record.body


def test_what_departs_from_the_plan_is_a_bad_line(tmp_path: Path) -> None:
    events = [{"user": "ada", "action": "paid", "properties": {"sum": 1}}] * 3 + [
        {"user": "ada", "action": "paid"}
    ]
    batch = _read(tmp_path / "f", [json.dumps(event).encode() for event in events], tracking_plan=PLAN)
    assert (len(batch.events), [bad.code for bad in batch.bad]) == (3, ["missing_property"])
    assert [record.code for record in _kept(batch)] == ["missing_property"]
