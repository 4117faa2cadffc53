"""The embedded installation's directory: who holds it, how it is reached, and its own projects' keys."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from lifecycle.failures import StartError

KeyHolder: TypeAlias = Literal["main", "demo"]
"""The projects whose keys are kept."""

DEFAULT_DIRECTORY: Final = Path(".footfall")
_HELD_AFTER_S: Final = 1.0


class AlreadyRunning(StartError):
    """Another process holds the directory."""


class Running(msgspec.Struct, frozen=True):
    """DIR/run.json: where the running installation answers, and the token that administers it."""

    url: str
    pid: int
    admin_token: str


class ProjectKeys(msgspec.Struct, frozen=True):
    """DIR/keys.json: the keys of project `main`; DIR/demo-keys.json: those of `demo`.

    `project` is missing until it was created with them.
    """

    write_key: str
    secret_key: str
    project: str | None = None


class Installation:
    """One data directory. Its files are 0600: they hold keys."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._lock = self.directory / "lock"
        self._run = self.directory / "run.json"
        self.demo_progress = self.directory / "demo-progress.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other process out; raises AlreadyRunning, or StartError when it cannot be written."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(
                f"{self.directory} cannot be used for the data: {error.strerror}. Choose another with --data."
            ) from error
        try:
            self._take(lock)
            try:
                yield
            finally:
                self._run.unlink(missing_ok=True)
        finally:
            os.close(lock)

    def running(self) -> Running | None:
        """How to reach the process that holds the directory; None when there is none, or it still starts.

        Raises StartError when the directory belongs to somebody else.
        """
        try:
            with self._lock.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return self._read_run()
        except PermissionError as error:
            raise StartError(
                f"{self.directory} belongs to another user. Run this command as that user."
            ) from error
        return None

    def write_run(self, running: Running) -> None:
        """Let commands find this process."""
        write_whole(self._run, msgspec.json.encode(running))

    def read_keys(self, of: KeyHolder = "main") -> ProjectKeys | None:
        """The kept keys; None before the first start."""
        file = self._keys(of)
        try:
            return msgspec.json.decode(file.read_bytes(), type=ProjectKeys)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StartError(
                f"{file} cannot be read ({error}). Move it away; project {of} then gets new keys."
            ) from error

    def write_keys(self, keys: ProjectKeys, of: KeyHolder = "main") -> None:
        """Keep the keys."""
        write_whole(self._keys(of), msgspec.json.format(msgspec.json.encode(keys)))

    def _keys(self, of: KeyHolder) -> Path:
        return self.directory / ("keys.json" if of == "main" else f"{of}-keys.json")

    def _take(self, lock: int) -> None:
        deadline_s = time.monotonic() + _HELD_AFTER_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # A command that only looks holds it for a moment.
                if time.monotonic() > deadline_s:
                    raise AlreadyRunning(self._who_runs()) from None
                time.sleep(0.02)
            else:
                return

    def _who_runs(self) -> str:
        other = self._read_run()
        who = f"process {other.pid} at {other.url}" if other else "another process, which is still starting"
        return f"Footfall already runs on {self.directory}: {who}. Use that one, or choose another --data."

    def _read_run(self) -> Running | None:
        try:
            return msgspec.json.decode(self._run.read_bytes(), type=Running)
        except (OSError, msgspec.DecodeError):
            return None


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file in one step, readable by its owner alone; raises StartError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}.") from error
