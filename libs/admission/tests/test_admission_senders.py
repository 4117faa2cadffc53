import json
from datetime import UTC, datetime
from typing import Any

import pytest

from admission import admit, admit_event, named_in, sender_of
from eventmodel import Event, ProjectId, Sender, wire

PROJECT = ProjectId("pabcdefgh234")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
KEY = "kaaaaaaaaaaa"
SENDER = Sender(key=KEY, sdk="python-requests/2.31.0")


def events(*given: Any, sender: Sender | None = SENDER) -> list[Event]:
    admitted = admit(json.dumps(given).encode(), project=PROJECT, received_at=NOW, sender=sender)
    assert admitted.rejections == []
    return [wire.decode(value) for _, value in admitted.messages]


@pytest.mark.parametrize(
    ("user_agent", "sdk"),
    [
        ("python-requests/2.31.0", "python-requests/2.31.0"),
        ("analytics-ruby/2.4.0 (linux)", "analytics-ruby/2.4.0"),
        ("Go-http-client/1.1", "Go-http-client/1.1"),
        ("@segment/analytics-node/2.1.0", "@segment/analytics-node/2.1.0"),
        ("axios", "axios"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "browser"),
        ("Opera/9.80 (Windows NT 6.1)", "browser"),
        ("Ünïcode/1.0", "n-code/1.0"),
        ("a<script>alert(1)</script>", "a-script-alert"),
        ("x" * 10_000, "x" * 64),
        ("", None),
        ("(nothing) but a comment", None),
        ("\0\0", None),
    ],
)
def test_a_user_agent_comes_down_to_its_first_product(user_agent: str, sdk: str | None) -> None:
    assert sender_of(KEY, user_agent) == Sender(key=KEY, sdk=sdk)


def test_of_nothing_there_is_no_sender() -> None:
    assert sender_of(None, "") is None


@pytest.mark.parametrize(
    ("library", "sdk"),
    [
        ({"name": "analytics.js", "version": "npm:next-1.70.0"}, "analytics.js/npm:next-1.70.0"),
        ({"name": "RudderLabs JavaScript SDK", "version": "2.48"}, "RudderLabs-JavaScript-SDK/2.48"),
        ({"name": "footfall.js"}, "footfall.js"),
        ({"name": "x", "version": 5}, "x"),
        ({"name": "x" * 1_000, "version": "1"}, "x" * 64),
        ({"name": "名前", "version": "1"}, SENDER.sdk),
        ({"version": "1"}, SENDER.sdk),
        ({"name": ["x"]}, SENDER.sdk),
        ("text", SENDER.sdk),
        (None, SENDER.sdk),
    ],
)
def test_an_event_that_names_its_library_is_stamped_with_it(library: Any, sdk: str) -> None:
    given = {"action": "a", "context": {"library": library, "page": {"url": "/"}}}
    (event,) = events(given)
    assert event.sender == Sender(key=KEY, sdk=sdk) == named_in(json.dumps(given).encode(), SENDER)
    assert event.context == given["context"]


def test_each_event_of_a_body_has_its_own_sender() -> None:
    found = events({"action": "a"}, {"action": "b", "context": {"library": {"name": "sdk"}}}, {"action": "c"})
    assert [event.sender for event in found] == [SENDER, Sender(key=KEY, sdk="sdk"), SENDER]


def test_without_a_sender_none_is_stamped() -> None:
    (event,) = events({"action": "a", "context": {"library": {"name": "sdk"}}}, sender=None)
    assert event.sender is None
    record = admit_event(
        {"action": "a", "context": {"library": {"name": "sdk"}}},
        project=PROJECT,
        received_at=NOW,
        origin="import",
        run="r1",
    )
    assert isinstance(record, tuple)
    assert wire.decode(record[1]).sender is None


def test_senders_cannot_set_it_themselves() -> None:
    forged = {"key": "kzzzzzzzzzzz", "sdk": "other"}
    (event,) = events({"action": "a", "sender": forged})
    assert event.sender == SENDER
    assert event.context == {"extra": {"sender": forged}}
    (event,) = events({"action": "a", "sender": forged}, sender=None)
    assert event.sender is None


@pytest.mark.parametrize(
    "refused",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"context": []}',
        b'{"context": {"library": "x"}}',
        b'{"context": ' + b"[" * 100_000,
        b"\xff",
        b'{"context": {"library": {"name": "sdk"}}, "x": "' + b"x" * 600_000 + b'"}',
    ],
)
def test_what_cannot_be_read_came_from_the_requests_sender(refused: bytes) -> None:
    assert named_in(refused, SENDER) == SENDER


def test_a_refused_event_came_from_the_library_it_names() -> None:
    refused = b'{"context": {"library": {"name": "sdk", "version": "2"}}, "user": "a", "user": "b"}'
    assert named_in(refused, SENDER) == Sender(key=KEY, sdk="sdk/2")
