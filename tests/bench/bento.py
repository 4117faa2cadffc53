"""Bento as a yardstick for ingest: `http_server` to `kafka_franz`, built here from tests/bench/bento."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import processes

PATH = "/events"
_SOURCE = Path(__file__).parent / "bento"


@dataclass(frozen=True)
class Bento:
    """A running pipeline."""

    port: int
    process: psutil.Process


def build() -> Path | None:
    """The program, built anew when its source changed; None where there is no Go. The first build takes minutes."""
    go = shutil.which("go")
    if go is None:
        return None
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_SOURCE.iterdir()))).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "footfall"
    program = cache / f"bento-{digest[:12]}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            built = Path(directory) / "bento"
            command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(built), "."]
            subprocess.run(command, cwd=_SOURCE, check=True)
            # A program appears under its last name only when it is complete.
            built.rename(program)
    return program


@asynccontextmanager
async def running(program: Path, bootstrap: str, topic: str, *, arrays: bool) -> AsyncIterator[Bento]:
    """Bento, which answers `POST /events` once the broker has what came: one event, or an array of them."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory(prefix="footfall-bento-") as directory:
        file = Path(directory) / "pipeline.json"
        file.write_text(json.dumps(_pipeline(port, bootstrap, topic, arrays=arrays)))
        async with processes.serving((program, "-c", file), port) as process:
            yield Bento(port, process)


def _pipeline(port: int, bootstrap: str, topic: str, *, arrays: bool) -> dict[str, Any]:
    """What ingest promises of the log and no more: idempotent, acks of all replicas, a user's events in order."""
    return {
        "http": {"enabled": False},
        "logger": {"level": "ERROR"},
        "input": {"http_server": {"address": f"127.0.0.1:{port}", "path": PATH}},
        "pipeline": {"processors": [{"unarchive": {"format": "json_array"}}] if arrays else []},
        "output": {
            "kafka_franz": {
                "seed_brokers": [bootstrap],
                "topic": topic,
                "key": '${! json("user") }',
                "partitioner": "murmur2_hash",
                "compression": "lz4",
                # More than there are connections: with its ten, requests would wait for each other.
                "max_in_flight": 256,
            }
        },
    }
