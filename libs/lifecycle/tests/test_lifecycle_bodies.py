from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from lifecycle.bodies import BodyLimit
from lifecycle.errors import install_errors


class Name(BaseModel):
    name: str


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_errors(app)
    app.add_middleware(BodyLimit, max_bytes=100)

    @app.post("/typed")
    async def typed(name: Name) -> int:
        return len(name.name)

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


def chunks(text: bytes) -> AsyncIterator[bytes]:
    async def one_by_one() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 10):
            yield text[start : start + 10]

    return one_by_one()


@pytest.mark.parametrize("path", ["/typed", "/raw"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_the_bound_is_refused(client: httpx.AsyncClient, path: str, chunked: bool) -> None:
    small, big = b'{"name": "' + b"a" * 88 + b'"}', b'{"name": "' + b"a" * 89 + b'"}'
    headers = {"content-type": "application/json"}
    fits = await client.post(path, content=chunks(small) if chunked else small, headers=headers)
    assert fits.status_code == 200
    refused = await client.post(path, content=chunks(big) if chunked else big, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
