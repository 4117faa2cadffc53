"""Runs what README.md shows, in its order, against one running `footfall up`.

A block in sh or python is run, one in js in Chromium, on a page of Footfall's origin with a stream token. The
json block after it is its answer, the text block after a stream what comes in; `…` stands for anything.
Blocks in console are for people: they are compared with the Makefile.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import httpx
import pytest
from playwright.sync_api import sync_playwright

from footfall_process import FOOTFALL, eventually, footfall_up
from open_pages import CHROMIUM

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
_BLOCK = re.compile(r"^```(?P<info>[^\n]+)\n(?P<text>.*?)^```$", re.M | re.S)
_ADDRESS = "http://127.0.0.1:8087"
_CONNECTIONS = re.compile(r"^footfall_stream_connections{.*} (\S+)$", re.M)


@dataclass(frozen=True)
class Example:
    """One block that is run, and what stands below it."""

    language: str
    streams: bool
    text: str
    expected: str | None


@dataclass(frozen=True)
class Place:
    """Where the examples run."""

    url: str
    directory: Path
    environ: Mapping[str, str]

    def command(self, example: Example) -> list[str]:
        text = example.text.replace(_ADDRESS, self.url).replace(".venv/bin/footfall", FOOTFALL)
        return ["sh", "-euc", text] if example.language == "sh" else [sys.executable, "-c", text]

    def token(self) -> str:
        """A stream token of the project."""
        headers = {"authorization": f"Bearer {self.environ['SECRET_KEY']}"}
        answer = httpx.post(f"{self.url}/v1/tokens", json={}, headers=headers, trust_env=False)
        return str(answer.raise_for_status().json()["token"])

    def open_streams(self) -> int:
        page = httpx.get(f"{self.url}/metrics", trust_env=False).text
        return sum(int(float(number)) for number in _CONNECTIONS.findall(page))

    def start(self, example: Example, stdout: IO[bytes] | int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.command(example),
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT,
            cwd=self.directory, env=self.environ, start_new_session=True,
        )  # fmt: skip


def _blocks() -> list[tuple[str, str]]:
    return [(found["info"], found["text"]) for found in _BLOCK.finditer(README)]


def _examples() -> list[Example]:
    found = []
    blocks = [*_blocks(), ("", "")]
    for (info, text), (below, expected) in pairwise(blocks):
        language, _, how = info.partition(" ")
        if language in ("sh", "python", "js"):
            found.append(
                Example(language, how == "stream", text, expected if below in ("json", "text") else None)
            )
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("readme")
    with footfall_up(directory / ".footfall") as up:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
        keys = {"WRITE_KEY": up.facts["write_key"], "SECRET_KEY": up.facts["secret_key"]}
        yield Place(up.url, directory, {**environ, **keys, "NO_PROXY": "127.0.0.1"})


def test_every_example_does_what_is_written_below_it(place: Place) -> None:
    examples = _examples()
    assert len(examples) > 5
    sending = next(each for each in examples if "/v1/events" in each.text)
    for example in examples:
        if example.language == "js":
            _follow_in_browser(place, example, sending)
        elif example.streams:
            _follow(place, example, sending)
        elif example.expected is None:
            _answer(place, example)
        else:
            _expect(place, example, example.expected)


def _expect(place: Place, example: Example, expected: str) -> None:
    """What only reads is asked until the counts have caught up; what sends is asked once."""
    said = _answer(place, example)
    if " -d " in example.text or example.language == "python":
        assert _is_like(said, expected), f"{example.text}\nanswered:\n{said}"
        return

    def holds() -> bool:
        nonlocal said
        said = _answer(place, example)
        return _is_like(said, expected)

    try:
        eventually(holds)
    except AssertionError as error:
        raise AssertionError(f"{example.text}\nanswered:\n{said}") from error


def _answer(place: Place, example: Example) -> str:
    process = place.start(example, subprocess.PIPE)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, f"{example.text}\n{said.decode()}"
    return said.decode()


def _follow(place: Place, example: Example, sending: Example) -> None:
    """Start the stream, send one event once it is open, and wait for what is written below the example."""
    assert example.expected is not None
    pattern = re.compile(re.escape(example.expected.rstrip()).replace("…", ".*?"))
    output = place.directory / "stream.txt"
    eventually(lambda: place.open_streams() == 0)
    with output.open("wb") as sink:
        process = place.start(example, sink)
    try:
        eventually(lambda: place.open_streams() == 1)
        _answer(place, sending)
        eventually(lambda: pattern.search(output.read_text()))
    except AssertionError as error:
        raise AssertionError(f"{example.text}\nshowed:\n{output.read_text()}") from error
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _follow_in_browser(place: Place, example: Example, sending: Example) -> None:
    """Run the script in a page, send one event once its stream is open, and wait for what it is to log."""
    assert example.expected is not None
    expected = example.expected.strip()
    eventually(lambda: place.open_streams() == 0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"{place.url}/js/footfall.js")
        logged: list[str] = []
        page.on("console", lambda message: logged.append(message.text))
        script = f"token => {{ (async () => {{ {example.text} }})(); }}"
        page.evaluate(script, place.token())
        try:
            eventually(lambda: place.open_streams() == 1)
            _answer(place, sending)
            # Playwright hands over what was logged while it is being asked something.
            eventually(lambda: page.evaluate("1") and expected in logged)
        except AssertionError as error:
            raise AssertionError(f"{example.text}\nlogged:\n{logged}") from error
        finally:
            browser.close()


def _is_like(said: str, expected: str) -> bool:
    return _matches(json.loads(said), json.loads(expected))


def _matches(given: object, pattern: object) -> bool:
    match given, pattern:
        case _, "…":
            return True
        case dict(), dict():
            return given.keys() == pattern.keys() and all(_matches(given[k], pattern[k]) for k in pattern)
        case list(), list():
            return len(given) == len(pattern) and all(map(_matches, given, pattern))
    return given == pattern


def test_every_make_target_named_in_a_console_block_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        name for info, text in _blocks() if info == "console" for name in re.findall(r"make (\w+)", text)
    }
    assert {"run", "test"} <= named <= targets


def test_every_block_says_its_language_and_each_expectation_has_its_example() -> None:
    infos = [info for info, _ in _blocks()]
    assert set(infos) <= {
        *("sh", "sh stream", "python", "python stream", "js stream"),
        *("console", "json", "text"),
    }
    assert sum(each.expected is not None for each in _examples()) == sum(
        info in ("json", "text") for info in infos
    )
