"""Every error a caller sees has one form, the right status and a sentence."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lifecycle.errors import Problem, install_errors, problem_response
from telemetry.metrics import Metrics
from telemetry.requests import RequestLog


class Order(BaseModel):
    """A body."""

    count: int
    name: str


class Away(Exception):
    """What a log that is away raises."""

    retry_after_s = 1.2


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(redirect_slashes=False)
    install_errors(app)
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_credentials=True)

    @app.post("/orders/{number}")
    async def order(number: int, order: Order, limit: int = 10) -> int:
        return number + order.count + limit

    @app.get("/taken")
    async def taken() -> None:
        raise Problem(
            409,
            "taken",
            "The name is taken.",
            field="name",
            hint="Choose another.",
            headers={"x-why": "taken"},
        )

    @app.get("/away")
    async def away() -> None:
        raise Away("The log does not answer.")

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("ffs_" + "x" * 43)

    @app.get("/cut")
    async def cut() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("in the middle")

        return StreamingResponse(body())

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(RequestLog(app, Metrics("probe"))), base_url="http://probe"
    ) as one:
        yield one


async def test_a_problem_is_answered_with_all_it_says(client: httpx.AsyncClient) -> None:
    response = await client.get("/taken")
    assert response.status_code == 409
    assert response.headers["x-why"] == "taken"
    assert response.json() == {
        "code": "taken",
        "message": "The name is taken.",
        "field": "name",
        "hint": "Choose another.",
    }


async def test_what_we_depend_on_being_away_is_503_with_retry_after(client: httpx.AsyncClient) -> None:
    response = await client.get("/away", headers={"origin": "https://shop.example"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.json()["code"] == "unavailable"
    assert response.headers["access-control-allow-origin"] == "https://shop.example"


async def test_a_bug_names_the_request_and_nothing_of_its_cause(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    response = await client.get("/bug", headers={"x-request-id": "abc-123"})
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "abc-123" in response.json()["message"]
    assert "RuntimeError" not in response.text
    assert "RuntimeError" in capsys.readouterr().out


async def test_an_answer_that_began_is_cut_off(client: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/cut")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/taken/", 404, "not_found"),
        ("PUT", "/taken", 405, "method_not_allowed"),
        ("GET", "/teapot", 418, "im_a_teapot"),
    ],
)
async def test_errors_of_the_framework_have_the_form_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) <= {"code", "message", "hint"}


async def test_a_wrong_method_hears_the_right_one(client: httpx.AsyncClient) -> None:
    response = await client.put("/taken")
    assert response.headers["allow"] == "GET"
    assert "GET" in response.json()["hint"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("/orders/1", b'{"count": "many", "name": "x"}', 422, "invalid_body", "count"),
        ("/orders/1", b"{}", 422, "invalid_body", "count"),
        ("/orders/1", b"{", 400, "invalid_json", None),
        ("/orders/1", b"", 422, "invalid_body", None),
        ("/orders/one", b'{"count": 1, "name": "x"}', 400, "invalid_parameter", "number"),
        ("/orders/1?limit=x", b'{"count": 1, "name": "x"}', 400, "invalid_parameter", "limit"),
    ],
)
async def test_422_is_for_the_shape_of_a_body_only(
    client: httpx.AsyncClient, path: str, body: bytes, status: int, code: str, field: str | None
) -> None:
    response = await client.post(path, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"], response.json().get("field")) == (
        status,
        code,
        field,
    )


async def test_a_plain_asgi_route_answers_in_the_same_form() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await problem_response(Problem(413, "too_large", "It is too large.", docs="docs/limits.md"))(
            scope, receive, send
        )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as one:
        response = await one.get("/")
    assert response.status_code == 413
    assert response.json() == {"code": "too_large", "message": "It is too large.", "docs": "docs/limits.md"}
