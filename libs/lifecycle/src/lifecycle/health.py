"""/livez, /readyz and /metrics in front of a service's app."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lifecycle.service import Check, Service
from telemetry.metrics import Metrics
from telemetry.redaction import redact

CHECK_TIMEOUT_S = 1.0
CHECK_KEPT_S = 1.0
_EXPOSITION = "text/plain; version=1.0.0; charset=utf-8"


class Health:
    """Pure ASGI wrapper; everything but its three paths goes to the app untouched.

    /livez is 200 while the event loop lives. /readyz is 503 only while starting or draining: what the checks
    say stands in its body, since taking a service away helps nobody when the log or database is away.
    """

    def __init__(self, app: ASGIApp, checks: Mapping[str, Check], metrics: Metrics) -> None:
        self.status: Literal["starting", "ready", "draining"] = "starting"
        self._app = app
        self._checks = checks
        self._metrics = metrics
        self._answers = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._exposition}
        self._results: dict[str, str] = {}
        self._checked_at_s = float("-inf")
        self._checking = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        response = await answer()
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def _livez(self) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def _readyz(self) -> Response:
        body = {"status": self.status, **await self._check()}
        return Response(
            msgspec.json.encode(body), 200 if self.status == "ready" else 503, media_type="application/json"
        )

    async def _exposition(self) -> Response:
        return Response(self._metrics.render(), headers={"content-type": _EXPOSITION})

    async def _check(self) -> dict[str, str]:
        async with self._checking:
            if time.monotonic() - self._checked_at_s >= CHECK_KEPT_S:
                answers = await asyncio.gather(*(_ask(check) for check in self._checks.values()))
                self._results = dict(zip(self._checks, answers, strict=True))
                self._checked_at_s = time.monotonic()
            return self._results


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"No answer within {CHECK_TIMEOUT_S:g} s."
    except Exception as error:  # whatever is wrong is the answer
        return redact(f"{type(error).__name__}: {error}")


def merged_checks(services: Sequence[Service]) -> Mapping[str, Check]:
    """One check per name over several services in one process: "ok" when all say so, else who says what."""
    names = dict.fromkeys(name for service in services for name in service.checks)
    return {name: _all([s for s in services if name in s.checks], name) for name in names}


def _all(services: Sequence[Service], name: str) -> Check:
    async def check() -> str:
        answers = await asyncio.gather(*(_ask(service.checks[name]) for service in services))
        wrong = [f"{s.name}: {said}" for s, said in zip(services, answers, strict=True) if said != "ok"]
        return " ".join(wrong) or "ok"

    return check
