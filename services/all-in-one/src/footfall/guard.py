"""The child process that runs the embedded PostgreSQL and takes it down with its parent.

    python -m footfall.guard DIRECTORY BINARIES SOCKET_OR_PORT

Started by `footfall.embedded` in a session of its own, so that the terminal's Ctrl-C does not reach
PostgreSQL. Its stdin is the leash: `stop` asks for a clean stop; when it closes, or the parent is another
process than before, the parent has died and PostgreSQL goes within a second. A server that dies by itself is
started again. What cannot be started is explained on stdout in a sentence, with exit code 1.
"""

import fcntl
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

import psutil

from footfall.privileges import Account, become, choose_account, obstacle

MAJOR: Final = "18"
ROLE: Final = "footfall"
SOCKET_PORT: Final = 5432
DATA: Final = "data"
PASSWORD: Final = "password"  # noqa: S105 - a file's name
LOG: Final = "server.log"

_SETTINGS: Final = {
    "autovacuum_naptime": "30s",
    "checkpoint_timeout": "1min",
    "fsync": "on",
    "jit": "off",
    "log_checkpoints": "off",
    # A failing row's values would stand in the details.
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "max_connections": "100",
    "max_logical_replication_workers": "0",
    "max_locks_per_transaction": "256",
    "max_wal_size": "256MB",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "unix_socket_permissions": "0700",
}
_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
_CLEAN_STOP_S: Final = 20.0
_ORPHANED_STOP_S: Final = 0.6
_KILL_AFTER_S: Final = 6.0
_POLL_S: Final = 0.1
_STEADY_AFTER_S: Final = 10.0
_MAX_FAILURES_IN_A_ROW: Final = 5
_PREDECESSOR_S: Final = 15.0
_MAX_LOG_BYTES: Final = 10 * 1024 * 1024


class Released(Exception):
    """The parent let go before there was a server to stop."""


class GuardError(Exception):
    """PostgreSQL cannot run; the sentence says what to do."""


class Cluster(NamedTuple):
    """One database server: its directory, the programs that serve it, and where it listens.

    `port` None means the socket in `directory`; else loopback.
    """

    directory: Path
    binaries: Path
    port: int | None

    @property
    def data(self) -> Path:
        return self.directory / DATA

    @property
    def program(self) -> Path:
        return self.binaries / "postgres"


class Leash(NamedTuple):
    """The parent's hold on this process."""

    stdin: int
    parent: int

    def pull(self, wait_s: float) -> Literal["stop", "orphaned"] | None:
        """Wait for the parent's word or its death; None when neither came in time."""
        if select.select([self.stdin], [], [], wait_s)[0]:
            return "stop" if os.read(self.stdin, 64).startswith(b"stop") else "orphaned"
        return None if os.getppid() == self.parent else "orphaned"


def main() -> int:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.umask(0o077)
    directory, binaries, port = sys.argv[1:]
    cluster = Cluster(Path(directory), Path(binaries), None if port == "socket" else int(port))
    leash = Leash(sys.stdin.fileno(), os.getppid())
    try:
        account = _prepare(cluster)
        with _only_guard(cluster.directory):
            stop_leftover(cluster.data)
            if not cluster.data.exists():
                _create(cluster, account, leash)
            _check_version(cluster)
            _keep_running(cluster, account, leash)
    except Released:
        return 0
    except GuardError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


def _prepare(cluster: Cluster) -> Account | None:
    """Make the directory, owned by whom PostgreSQL runs as."""
    account = choose_account(cluster.directory)
    cluster.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is None:
        if cluster.directory.stat().st_uid != os.geteuid():
            raise GuardError(
                f"{cluster.directory} belongs to another user, because footfall was first started as root "
                f"or as that user. Start it as before, or hand the data over: "
                f"sudo chown -R $(id -u) {cluster.directory}"
            )
        return None
    if cluster.directory.stat().st_uid == 0:
        for place, _, files in os.walk(cluster.directory):
            os.chown(place, account.uid, account.gid)
            for file in files:
                os.chown(Path(place, file), account.uid, account.gid, follow_symlinks=False)
    hindrance = obstacle(account, cluster.program, cluster.directory)
    if hindrance is not None:
        raise GuardError(
            f"PostgreSQL refuses to run as root, and {hindrance}. Run footfall as an ordinary user, or give "
            "this process the capabilities SETUID, SETGID, SETPCAP and DAC_OVERRIDE, or put the installation "
            "and --data where every user may enter."
        )
    return account


@contextmanager
def _only_guard(directory: Path) -> Iterator[None]:
    """Hold the directory, once the guard of a killed parent has brought its server down."""
    deadline = time.monotonic() + _PREDECESSOR_S
    with (directory / "guard.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise GuardError(
                        f"Another process still runs PostgreSQL in {directory}. Stop it first."
                    ) from None
                time.sleep(0.02)
            else:
                break
        yield


def _create(cluster: Cluster, account: Account | None, leash: Leash) -> None:
    """Make the data directory, whole or not at all."""
    unfinished = cluster.directory / f"{DATA}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    password = cluster.directory / PASSWORD
    password.write_text(secrets.token_urlsafe(32))
    if account is not None:
        os.chown(password, account.uid, account.gid)
    command: Sequence[str | Path] = (
        cluster.binaries / "initdb", "--pgdata", unfinished, "--username", ROLE, "--encoding=UTF8",
        "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
        "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", password, "--no-instructions",
    )  # fmt: skip
    initdb = _run(cluster, command, account)
    while initdb.poll() is None:
        if leash.pull(_POLL_S) is not None:
            _stop(initdb, _ORPHANED_STOP_S)
            raise Released
    if initdb.returncode != 0:
        raise GuardError(f"The database could not be created in {cluster.directory}:\n{_last_words(cluster)}")
    unfinished.rename(cluster.data)


def _check_version(cluster: Cluster) -> None:
    found = (cluster.data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise GuardError(
            f"{cluster.data} was written by PostgreSQL {found}; this Footfall runs {MAJOR}. "
            "Use the Footfall release that wrote it, or choose another --data."
        )


def _keep_running(cluster: Cluster, account: Account | None, leash: Leash) -> None:
    """Run the server until the parent lets go; raises GuardError when it keeps failing."""
    listening = {
        "listen_addresses": "" if cluster.port is None else "127.0.0.1",
        "unix_socket_directories": "" if cluster.port else str(cluster.directory),
        "port": str(cluster.port or SOCKET_PORT),
    }
    options = [word for name, value in (_SETTINGS | listening).items() for word in ("-c", f"{name}={value}")]
    failures = 0
    while True:
        started = time.monotonic()
        server = _run(cluster, (cluster.program, "-D", cluster.data, *options), account)
        while server.poll() is None:
            pulled = leash.pull(_POLL_S)
            if pulled is not None:
                _stop(server, _CLEAN_STOP_S if pulled == "stop" else _ORPHANED_STOP_S)
                return
            _bound(cluster.directory / LOG)
        failures = failures + 1 if time.monotonic() - started < _STEADY_AFTER_S else 1
        if failures == _MAX_FAILURES_IN_A_ROW:
            raise GuardError(f"PostgreSQL does not stay up. Its last words:\n{_last_words(cluster)}")
        if leash.pull(failures * 0.2) is not None:
            return


def _run(
    cluster: Cluster, command: Sequence[str | Path], account: Account | None
) -> "subprocess.Popen[bytes]":
    with (cluster.directory / LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the wheel's own programs
            command,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cluster.directory, env=_ENVIRONMENT,
            preexec_fn=lambda: become(account, cluster.program),
        )  # fmt: skip


def _bound(log: Path) -> None:
    """Keep the newest log and one older; the server appends, so the file may be cut under its hands."""
    if log.stat().st_size > _MAX_LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{LOG}.1"))
        os.truncate(log, 0)


def _stop(server: "subprocess.Popen[bytes] | psutil.Process", fast_s: float) -> None:
    """Fast shutdown, then immediate shutdown (the next start recovers), then kill."""
    for number, wait_s in ((signal.SIGINT, fast_s), (signal.SIGQUIT, _KILL_AFTER_S), (signal.SIGKILL, 5.0)):
        try:
            server.send_signal(number)
            server.wait(wait_s)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            continue
        except psutil.NoSuchProcess:
            return
        return


def stop_leftover(data: Path) -> None:
    """Stop a server another guard left on `data`, and clear the way when its pid belongs to someone else now.

    The pid file of a dead process stays: PostgreSQL reads in it whether orphaned backends still write.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return
    if _serves(process, data):
        _stop(process, _ORPHANED_STOP_S * 5)
    else:
        pid_file.unlink(missing_ok=True)


def _serves(process: psutil.Process, data: Path) -> bool:
    """Whether the process is a PostgreSQL of this data directory, seen by its command line."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    if len(words) < 3 or Path(words[0]).name != "postgres" or "-D" not in words[:-1]:
        return False
    named = Path(words[words.index("-D") + 1])
    return named.exists() and named.samefile(data)


def _last_words(cluster: Cluster) -> str:
    lines = (cluster.directory / LOG).read_text(errors="replace").splitlines()
    return "\n".join(lines[-8:])


if __name__ == "__main__":
    sys.exit(main())
