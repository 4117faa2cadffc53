"""The product's own process: `footfall up` as a person starts it, and commands beside it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

FOOTFALL = str(Path(sys.executable).with_name("footfall"))


@dataclass(frozen=True)
class Up:
    """A `footfall up` that answers; `facts` is its ready file."""

    process: "subprocess.Popen[str]"
    facts: Mapping[str, Any]
    directory: Path

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, key: str = "secret_key") -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {self.facts[key]}"},
            timeout=15,
            trust_env=False,
        )

    def family(self) -> list[psutil.Process]:
        """The process and all it started, however deep."""
        return family(self.process)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@contextmanager
def footfall_up(
    directory: Path, *arguments: str, environ: Mapping[str, str] | None = None, deadline_s: float = 90
) -> Iterator[Up]:
    """Start `footfall up` on `directory` and a free port; wait until it answers; stop it on leaving."""
    ready_file = directory.parent / f"{directory.name[:40]}.ready.json"
    ready_file.unlink(missing_ok=True)
    process = start_up(directory, "--ready-file", str(ready_file), *arguments, environ=environ)
    try:
        eventually(lambda: ready_file.exists() or process.poll() is not None, deadline_s)
        if process.poll() is not None:
            raise AssertionError(
                f"footfall up ended with {process.returncode}:\n{''.join(process.communicate())}"
            )
        yield Up(process, json.loads(ready_file.read_text()), directory)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def start_up(
    directory: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """`footfall up` in a session of its own, not yet awaited."""
    return subprocess.Popen(
        [FOOTFALL, "up", "--data", str(directory), "--port", "0", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=_environ(environ), start_new_session=True,
    )  # fmt: skip


def footfall(
    *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        [FOOTFALL, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        env=_environ(environ), cwd=cwd,
    )  # fmt: skip


def family(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """A process and all it started, however deep."""
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie does not."""
    return [one for one in processes if _runs(one)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(holds: Callable[[], object], deadline_s: float = 20) -> None:
    """Wait until it holds; fails at the deadline."""
    deadline = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come to hold within {deadline_s} s")
        time.sleep(0.02)


def _environ(more: Mapping[str, str] | None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    return {**clean, "NO_COLOR": "1", **(more or {})}
