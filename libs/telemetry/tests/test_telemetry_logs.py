"""Logs are JSON lines that join a request's parts and never hold a secret."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from telemetry import logs
from telemetry.redaction import redact

WRITE_KEY = "ffw_" + "Ab3-_" * 8 + "xyz"
SECRET_KEY = "ffs_" + "Ab3-_" * 8 + "xyz"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJwcm9qZWN0IjoicDEifQ.c2lnbmF0dXJlLWhlcmU"


@pytest.fixture(autouse=True)
def _untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_has_time_level_service_event_and_request(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("probe")
    token = logs.request_id.set("r1")
    logs.get_logger("some.module").info("rule saved", rule="r7", took_s=0.5)
    logs.request_id.reset(token)
    [line] = _lines(capsys)
    assert str(line.pop("time")).endswith("Z")
    assert line == {
        "level": "info",
        "service": "probe",
        "event": "rule saved",
        "logger": "some.module",
        "request_id": "r1",
        "rule": "r7",
        "took_s": 0.5,
    }


def test_libraries_come_out_in_the_same_form_and_only_when_they_warn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("probe")
    logging.getLogger("aiokafka.consumer").info("joined")
    logging.getLogger("uvicorn.error").warning("Invalid %s request", "HTTP")
    [line] = _lines(capsys)
    assert (line["event"], line["level"], line["service"]) == ("Invalid HTTP request", "warning", "probe")


def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("probe")
    try:
        raise RuntimeError(f"with {SECRET_KEY}")
    except RuntimeError:
        logs.get_logger("x").exception("failed")
    [line] = _lines(capsys)
    assert "RuntimeError" in str(line["exception"])
    assert SECRET_KEY not in str(line["exception"])


def test_a_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.get_logger("x")
    logs.configure("first")
    log.info("one")
    logs.configure("second")
    log.info("two")
    assert [(line["service"], line["event"]) for line in _lines(capsys)] == [
        ("first", "one"),
        ("second", "two"),
    ]


def test_a_line_that_cannot_be_written_says_so_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    class Unspeakable:
        def __repr__(self) -> str:
            raise RuntimeError(SECRET_KEY)

    logs.configure("probe")
    logs.get_logger("x").info(f"about {SECRET_KEY}", thing=Unspeakable())
    said = capsys.readouterr().err
    assert "a line was lost" in said
    assert SECRET_KEY not in said


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("probe", level="warning")
    logs.get_logger("x").info("quiet")
    logs.get_logger("x").warning("loud")
    assert [line["event"] for line in _lines(capsys)] == ["loud"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_logger_made_before_the_configuration_follows_it(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    early = logs.get_logger("early")
    logs.configure("probe", form="console" if form == "console" else "json")
    early.info("hello", key=WRITE_KEY, text=f"took {WRITE_KEY}")
    said = capsys.readouterr().err
    assert "hello" in said
    assert WRITE_KEY not in said


def test_no_canary_comes_through_any_field(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("probe")
    canaries = [WRITE_KEY, SECRET_KEY, TOKEN, "canary-one", "canary-two", "canary-three", "canary-four"]
    log = logs.get_logger("x")
    log.info(
        "a",
        authorization="canary-one",
        settings={"smtp_password": "canary-two", "deep": [{"token": "canary-three"}]},
    )
    log.info(f"b {WRITE_KEY} and {TOKEN}", headers=[("x", SECRET_KEY)])
    log.info("c", url="postgresql://u:canary-four@db/footfall", path=f"/t.gif?key={WRITE_KEY}")
    logging.getLogger("library").error("refused %s", SECRET_KEY)
    said = capsys.readouterr().err
    assert [canary for canary in canaries if canary in said] == []
    assert said.count("[redacted]") >= 8


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"key {WRITE_KEY}.", "key ffw_[redacted]."),
        ("/t.gif?a=1&key=abc&b=2", "/t.gif?a=1&key=[redacted]&b=2"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer [redacted]"),
        ("postgresql://u:p:w@h/db", "postgresql://u:[redacted]@h/db"),
        ("a keyboard, a secretary, ffw_short", "a keyboard, a secretary, ffw_short"),
        ("http://host:8080/path and mail@example.com", "http://host:8080/path and mail@example.com"),
    ],
)
def test_redaction_takes_the_secret_and_leaves_the_rest(text: str, safe: str) -> None:
    assert redact(text) == safe


def test_an_id_of_a_key_is_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("probe")
    logs.get_logger("x").info("revoked", key_id="k42", tokens=3, key=None)
    [line] = _lines(capsys)
    assert (line["key_id"], line["tokens"], line["key"]) == ("k42", 3, None)
