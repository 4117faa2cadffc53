"""What is passed over of somebody who was forgotten, and where an id is found in a text."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from access.forgotten import Forgotten, key_hash
from access.mentions import mention_pattern

SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADA = b"p:u:ada"
FORGOTTEN = Forgotten({key_hash(ADA): SINCE})


def _record(received_s: float, occurred_s: float | None = None, origin: str = "live") -> bytes:
    said = {"received_at": (SINCE + timedelta(seconds=received_s)).isoformat(), "origin": origin}
    if occurred_s is not None:
        said["occurred_at"] = (SINCE + timedelta(seconds=occurred_s)).isoformat()
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("value", "covered"),
    [
        (_record(-1), True),
        (_record(0), False),
        (_record(1, -60), False),
        (_record(1, -60, "import"), True),
        (_record(1, -60, "replay"), True),
        (_record(1, 1, "import"), False),
        (b"no JSON", True),
    ],
)
def test_what_was_received_before_or_brought_in_from_before_is_passed_over(
    value: bytes, covered: bool
) -> None:
    assert FORGOTTEN.covers(ADA, value) is covered
    assert not FORGOTTEN.covers(b"p:u:bob", value)
    assert not FORGOTTEN.covers(b"q:u:ada", value)


def test_a_blank_is_passed_over_by_everybody() -> None:
    assert Forgotten({}).covers(b"p:x:", b'{"id":"blank"}')
    assert not Forgotten({}).covers(b"p:u:x:", b'{"id":"blank"}')


@pytest.mark.parametrize(
    ("one", "text", "found"),
    [
        ("ada@acme.example", "u:ada@acme.example", True),
        ("ada@acme.example", '{"user":"ada@acme.example"}', True),
        ("ada@acme.example", "?user=ada%40acme.example&x", True),
        ("ada@acme.example", "seen: ada@acme.example opened", True),
        ("ada@acme.example", '{"user":"hada@acme.example"}', False),
        ("ada@acme.example", "ada@acme.example.org", False),
        ("42", '{"user":"42"}', True),
        ("42", '{"body":"{\\"user\\":\\"42\\"}"}', True),
        ("42", "u:42", True),
        ("42", '{"seats":42,"at":"2026-11-22T09:42:00Z"}', False),
        ('a"quoted"id', json.dumps({"user": 'a"quoted"id'}), True),
        ("zoë-the-first", json.dumps({"user": "zoë-the-first"}), True),
    ],
)
def test_an_id_is_found_as_a_whole_and_in_the_forms_it_is_kept_in(one: str, text: str, found: bool) -> None:
    assert bool(re.search(mention_pattern([one, "somebody-else"]), text)) is found


def test_an_id_is_found_in_bytes_as_the_database_shows_them() -> None:
    shown = b'{"user":"zo\xc3\xab-the-first"}'.decode("latin-1")
    escaped = "".join(c if ord(c) < 0x80 else f"\\{ord(c):03o}" for c in shown)
    assert re.search(mention_pattern(["zoë-the-first"], escaped=True), escaped)
