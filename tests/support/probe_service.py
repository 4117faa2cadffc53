"""A small service in a process of its own, for tests of what `lifecycle.process` does to any service.

Run as a program it takes one JSON object: {"port", "drain_s", "task": "lasts" | "raises" | "returns",
"drain": "ends" | "hangs" | "fails", "limits": {...}, "settings": true to load settings first}.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import Empty, Queue

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from lifecycle import process
from lifecycle.limits import Limits
from lifecycle.service import Service
from lifecycle.settings import Settings, load
from telemetry import logs
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog

_START_S = 30.0
_log = logs.get_logger("probe")


class ProbeProcess:
    """The running program: its port, its log lines, its end."""

    def __init__(self, child: "subprocess.Popen[str]", port: int) -> None:
        self.port = port
        self.lines: list[Mapping[str, object]] = []
        self.text = ""
        self._child = child
        self._queue: Queue[str | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, event: str, timeout_s: float = _START_S) -> Mapping[str, object]:
        """The first line, from the start, whose event is this one."""
        deadline = time.monotonic() + timeout_s
        while True:
            for line in self.lines:
                if line.get("event") == event:
                    return line
            if not self._take(deadline - time.monotonic()):
                raise AssertionError(f"no line {event!r} in:\n{self.text}")

    def events(self) -> list[object]:
        return [line["event"] for line in self.lines]

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def exit_code(self, timeout_s: float = _START_S) -> int:
        """Wait for the end; every line is then in `lines`."""
        code = self._child.wait(timeout_s)
        while self._take(5):
            continue
        return code

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        assert self._child.stderr
        self._child.stderr.close()

    def _read(self) -> None:
        assert self._child.stderr
        with contextlib.suppress(ValueError):
            for line in self._child.stderr:
                self._queue.put(line)
        self._queue.put(None)

    def _take(self, timeout_s: float) -> bool:
        try:
            line = self._queue.get(timeout=max(0.0, timeout_s))
        except Empty:
            return False
        if line is None:
            return False
        self.text += line
        with contextlib.suppress(json.JSONDecodeError):
            self.lines.append(json.loads(line))
        return True


@contextmanager
def probe_process(
    *, ready: bool = True, environ: Mapping[str, str] = {}, **options: object
) -> Iterator[ProbeProcess]:
    """Start the program on a free port, by default until it is ready; kill it on leaving."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-W", "error", __file__, json.dumps({"port": port, **options})],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environ},
    )
    probe = ProbeProcess(child, int(str(options.get("port", port))))
    try:
        if ready:
            probe.wait_for("ready")
        yield probe
    finally:
        probe.kill()


class _Probe:
    def __init__(self, options: Mapping[str, object]) -> None:
        self.options = options
        self.draining = asyncio.Event()

    def routes(self) -> list[Route]:
        return [
            Route("/hello", self.hello),
            Route("/length", self.length, methods=["POST"]),
            Route("/refuse", self.refuse, methods=["POST"]),
            Route("/unread", self.until_drained, methods=["POST"]),
            Route("/slow", self.until_drained),
            Route("/stream", self.stream),
            Route("/endless", self.endless),
            Route("/big", self.big),
        ]

    async def hello(self, _: Request) -> Response:
        return PlainTextResponse("hello")

    async def length(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def refuse(self, _: Request) -> Response:
        return PlainTextResponse("too large", 413)

    async def until_drained(self, _: Request) -> Response:
        await self.draining.wait()
        return PlainTextResponse("finished")

    async def stream(self, _: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            while not self.draining.is_set():
                yield b"data: tick\n\n"
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.draining.wait(), 0.1)
            yield b"event: bye\ndata:\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def endless(self, _: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: open\n\n"
            await asyncio.Event().wait()

        return StreamingResponse(events(), media_type="text/event-stream")

    async def big(self, _: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(1000):
                yield bytes(100_000)

        return StreamingResponse(chunks())

    async def task(self) -> None:
        try:
            if self.options.get("task") == "raises":
                raise RuntimeError("the projector met a bug")
            if self.options.get("task") != "returns":
                await asyncio.Event().wait()
        finally:
            _log.info("task over")

    async def drain(self) -> None:
        _log.info("drain called")
        self.draining.set()
        if self.options.get("drain") == "fails":
            raise RuntimeError("the goodbye failed")
        if self.options.get("drain") == "hangs":
            await asyncio.Event().wait()

    async def check(self) -> str:
        return "ok"


@asynccontextmanager
async def _resources() -> AsyncIterator[None]:
    try:
        yield
    finally:
        _log.info("resources closed")


async def _serve(options: Mapping[str, object]) -> None:
    if options.get("settings"):
        load(Settings, os.environ)
    logs.configure("probe")
    metrics = Metrics("probe")
    probe = _Probe(options)
    limits = options.get("limits", {})
    assert isinstance(limits, dict)
    async with _resources():
        await process.run(
            Service(
                name="probe",
                app=RequestLog(Router(probe.routes()), metrics),
                tasks={"worker": probe.task},
                drain=probe.drain,
                checks={"log": probe.check},
                metrics=metrics,
            ),
            host="127.0.0.1",
            port=int(str(options["port"])),
            drain_s=float(str(options.get("drain_s", 10))),
            limits=Limits(**limits),
        )


if __name__ == "__main__":
    sys.exit(process.main(_serve(json.loads(sys.argv[1]))))
