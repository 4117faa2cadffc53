"""Health says what is wrong and takes nothing away for it."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from starlette.responses import PlainTextResponse

from fake_clock import FakeClock
from lifecycle.clock import Clock, SystemClock
from lifecycle.health import Health, merged_checks
from lifecycle.service import Check, Service
from telemetry.metrics import Metrics


async def _ok() -> str:
    return "ok"


async def _away() -> str:
    raise ConnectionRefusedError("postgresql://u:hunter2@db refused")


async def _hangs() -> str:
    await asyncio.Event().wait()
    return "ok"


async def _nothing() -> None:
    """Drains nothing."""


def _service(name: str, checks: Mapping[str, Check]) -> Service:
    return Service(name, PlainTextResponse(name), {}, _nothing, checks, Metrics(name))


async def _get(health: Health, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(health), base_url="http://probe") as client:
        return await client.request(method, path)


def _health(checks: Mapping[str, Check]) -> Health:
    return Health(PlainTextResponse("the app"), checks, Metrics("probe"))


async def test_ready_only_between_starting_and_draining() -> None:
    health = _health({})
    assert (await _get(health, "/readyz")).status_code == 503
    health.status = "ready"
    assert (await _get(health, "/readyz")).json() == {"status": "ready"}
    health.status = "draining"
    assert (await _get(health, "/readyz")).status_code == 503
    assert (await _get(health, "/livez")).status_code == 200


async def test_what_is_away_stands_in_the_body_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.health.CHECK_TIMEOUT_S", 0.05)
    health = _health({"log": _hangs, "database": _away, "cache": _ok})
    health.status = "ready"
    response = await _get(health, "/readyz")
    assert response.status_code == 200
    body = response.json()
    assert body["cache"] == "ok"
    assert body["log"] == "No answer within 0.05 s."
    assert body["database"].startswith("ConnectionRefusedError")
    assert "hunter2" not in body["database"]


async def test_checks_run_once_for_many_probes() -> None:
    asked = 0

    async def count() -> str:
        nonlocal asked
        asked += 1
        return "ok"

    health = _health({"log": count})
    await asyncio.gather(*(_get(health, "/readyz") for _ in range(20)))
    assert asked == 1


async def test_metrics_are_exposed_and_the_rest_is_the_apps() -> None:
    health = _health({})
    assert b"process_cpu_seconds_total" in (await _get(health, "/metrics")).content
    assert (await _get(health, "/metrics/x")).text == "the app"
    assert (await _get(health, "/livez", "POST")).text == "the app"


async def test_several_services_in_one_process_answer_as_one() -> None:
    checks = merged_checks(
        [
            _service("ingest-api", {"log": _ok, "spool": _ok}),
            _service("importer", {"log": _away, "database": _ok}),
        ]
    )
    assert await checks["spool"]() == "ok"
    assert await checks["database"]() == "ok"
    assert (await checks["log"]()).startswith("importer: ConnectionRefusedError")


def test_a_fake_clock_is_a_clock_that_waits_to_be_told() -> None:
    clock: Clock = FakeClock()
    assert clock.now() == clock.now()
    fake = FakeClock()
    before, began_s = fake.now(), fake.monotonic()
    fake.advance(90)
    assert (fake.now() - before).total_seconds() == 90
    assert fake.monotonic() - began_s == 90
    fake.set_now(before)
    assert fake.monotonic() - began_s == 90
    assert SystemClock().now().utcoffset() is not None
