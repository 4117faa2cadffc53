"""The four services as processes of their own, on one database and one Kafka, as an operator runs them."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from footfall_process import eventually, footfall

MODULES = ("ingest_api", "stream_gateway", "rule_engine", "importer")


@dataclass
class Services:
    """Running processes by module name; each listens on a port of its own."""

    environ: dict[str, str]
    ports: dict[str, int]
    directory: Path
    admin_token: str
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def url(self, module: str) -> str:
        return f"http://127.0.0.1:{self.ports[module]}"

    def start(self, module: str) -> None:
        """Start a service and wait until it is ready."""
        with (self.directory / f"{module}.log").open("ab") as log:
            self.processes[module] = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**self.environ, "FOOTFALL_PORT": str(self.ports[module])},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self._is_ready(module), 60)

    def kill(self, module: str) -> None:
        """SIGKILL."""
        self.processes[module].kill()
        self.processes[module].wait()

    def stop(self, module: str) -> int:
        """SIGTERM; the exit code."""
        self.processes[module].send_signal(signal.SIGTERM)
        return self.processes[module].wait(timeout=30)

    def create_project(self, name: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.url('stream_gateway')}/v1/projects",
            json={"name": name},
            headers={"authorization": f"Bearer {self.admin_token}"},
        )
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def _is_ready(self, module: str) -> bool:
        process = self.processes[module]
        if process.poll() is not None:
            log = (self.directory / f"{module}.log").read_text()
            raise AssertionError(f"{module} ended with {process.returncode}:\n{log[-4000:]}")
        try:
            return httpx.get(f"{self.url(module)}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running_services(
    database_url: str,
    bootstrap: str,
    directory: Path,
    modules: Sequence[str] = MODULES,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Services]:
    """Migrate, create the topics, start these services with `settings` beside the usual; stop them on leaving."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    admin_token = secrets.token_urlsafe(24)
    environ = {
        **clean,
        "FOOTFALL_DATABASE_URL": database_url,
        "FOOTFALL_LOG": "kafka",
        "FOOTFALL_KAFKA": bootstrap,
        "FOOTFALL_ADMIN_TOKEN": admin_token,
        "FOOTFALL_IMPORT_SPOOL_DIR": str(directory / "imports"),
        **settings,
    }
    migrated = footfall("migrate", environ={"FOOTFALL_DATABASE_URL": database_url})
    assert migrated.returncode == 0, migrated.stderr
    made = footfall("topics", "--create", "--replication", "1", "--kafka", bootstrap)
    assert "footfall.events" in made.stdout, made.stderr
    services = Services(environ, {module: _free_port() for module in modules}, directory, admin_token)
    with ExitStack() as stack:
        for module in modules:
            stack.callback(_end, services, module)
            services.start(module)
        yield services


def _end(services: Services, module: str) -> None:
    process = services.processes.get(module)
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
