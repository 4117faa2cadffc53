"""One measurement and one line per request; the id goes through; nothing of the query is written."""

import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from telemetry import logs
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog


@pytest.fixture(autouse=True)
def _json_logs() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    logs.configure("probe")
    yield
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()


async def _seen_id(_: Request) -> Response:
    return PlainTextResponse(logs.request_id.get() or "none")


async def _answer_status(request: Request) -> Response:
    return Response(status_code=int(request.path_params["status"]))


async def _fail(_: Request) -> Response:
    raise RuntimeError("bug")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("probe")


@pytest.fixture
async def client(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(
        routes=[
            Route("/seen", _seen_id),
            Route("/v1/events", _seen_id, methods=["POST"]),
            Route("/status/{status}", _answer_status),
            Route("/fail", _fail),
            Mount("/pages", routes=[Route("/{page}", _seen_id)]),
        ]
    )
    transport = httpx.ASGITransport(RequestLog(app, metrics), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as one:
        yield one


def _count(metrics: Metrics, method: str, route: str, status: int) -> float:
    labels = {"service": "probe", "method": method, "route": route, "status": str(status)}
    return metrics.registry.get_sample_value("footfall_http_request_seconds_count", labels) or 0.0


async def test_a_safe_id_is_taken_and_answered(client: httpx.AsyncClient) -> None:
    response = await client.get("/seen", headers={"x-request-id": "their-1.id"})
    assert response.headers["x-request-id"] == response.text == "their-1.id"


@pytest.mark.parametrize("unsafe", ["a b", "x" * 65, '"},{"', "", "ä"])
async def test_an_unsafe_id_is_replaced(client: httpx.AsyncClient, unsafe: str) -> None:
    response = await client.get("/seen", headers={b"x-request-id": unsafe.encode()})
    assert len(response.text) == 24
    assert response.headers["x-request-id"] == response.text


async def test_a_trace_names_the_request(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (
        await client.get("/seen", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    ).text == trace
    assert (await client.get("/seen", headers={"traceparent": "nonsense"})).text != trace


async def test_two_requests_have_two_ids(client: httpx.AsyncClient) -> None:
    assert (await client.get("/seen")).text != (await client.get("/seen")).text
    assert logs.request_id.get() is None


async def test_measured_by_template_never_by_path(client: httpx.AsyncClient, metrics: Metrics) -> None:
    for status in (200, 404, 503):
        await client.get(f"/status/{status}")
    await client.get("/a/b/c")
    await client.request("PURGE", "/a/b")
    assert [_count(metrics, "GET", "/status/{status}", status) for status in (200, 404, 503)] == [1, 1, 1]
    assert _count(metrics, "GET", "unmatched", 404) == 1
    assert _count(metrics, "other", "unmatched", 404) == 1
    await client.get("/pages/one")
    await client.get("/pages/two")
    assert _count(metrics, "GET", "/pages/{page}", 200) == 2
    assert b"/a/b" not in metrics.render()


async def test_a_line_per_request_without_query_and_headers(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get(
        "/seen?key=canary", headers={"authorization": "Bearer canary", "cookie": "session=canary"}
    )
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert '"path":"/seen"' in said
    assert '"status":200' in said
    assert "canary" not in said


async def test_accepted_events_write_no_line_and_failures_do(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], metrics: Metrics
) -> None:
    await client.post("/v1/events")
    assert capsys.readouterr().err == ""
    assert _count(metrics, "POST", "/v1/events", 200) == 1
    await client.get("/v1/events")
    assert '"status":405' in capsys.readouterr().err


async def test_a_request_that_failed_is_written_too(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await client.get("/fail")).status_code == 500
    assert '"path":"/fail"' in capsys.readouterr().err
