"""The OpenAPI document against the routes there are and the answers they give."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from ingest_api.protocols.examples import EXAMPLES, Example
from ingest_api.protocols.exchange import EventProtocol
from ingest_api.protocols.table import TABLE, Row, Table
from ingest_stand import IngestStand, open_stand

_NATIVE = {
    ("/v1/events", "post"),
    ("/v1/events/", "post"),
    ("/t.gif", "get"),
    ("/t.gif", "post"),
    ("/js/footfall.js", "get"),
    ("/js/footfall.mjs", "get"),
    ("/js/footfall.d.mts", "get"),
    ("/js/totango.js", "get"),
    ("/openapi.json", "get"),
}


@pytest.fixture
async def stand() -> IngestStand:
    return await open_stand()


@pytest.fixture
async def client(stand: IngestStand) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(stand.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await client.get("/openapi.json")).json())


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def test_every_route_is_in_the_document_and_nothing_else(document: dict[str, Any]) -> None:
    vendors = {(path, method.lower()) for path, row in Table().routes() for method in row.methods}
    assert {(path, method) for path, method, _ in _operations(document)} == _NATIVE | vendors


def test_every_operation_says_what_it_does_and_what_may_come_back(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in _operations(document):
        assert operation["summary"], (method, path)
        assert operation["responses"], (method, path)
        assert operation["security"], (method, path)
    assert {"bearer", "basic", "query"} == document["components"]["securitySchemes"].keys()


def _label(row: Row) -> str:
    return f"{row.vendor}-{row.methods[0]}-{row.paths[0]}"


@pytest.mark.parametrize("row", TABLE, ids=_label)
def test_every_vendors_route_has_an_example(row: Row) -> None:
    assert [
        each
        for each in EXAMPLES
        if each.vendor == row.vendor and each.method in row.methods and each.route in row.paths
    ], f"Add a request for one of {row.paths} to protocols/examples.py."


@pytest.mark.parametrize("mount", ["", "/compat/VENDOR"], ids=["by path", "below /compat"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.vendor}-{each.method}-{each.route}")
async def test_the_vendors_examples_do_what_the_document_says(
    example: Example, mount: str, stand: IngestStand, client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    route = mount.replace("VENDOR", example.vendor) + example.route
    operation = document["paths"][route][example.method.lower()]
    answer = await client.request(
        example.method,
        re.sub(r"{[^}]*}", stand.write_key, f"{route}?{example.query}".replace("KEY", stand.write_key)),
        content=example.content(),
        headers={**stand.authorization, "content-type": example.media_type, **example.headers},
    )
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    assert media_type in operation["responses"][str(answer.status_code)]["content"], answer.text
    takes_events = any(
        isinstance(row.speaks, EventProtocol) and example.route in row.paths and example.method in row.methods
        for row in TABLE
        if row.vendor == example.vendor
    )
    assert bool(await stand.events()) is takes_events
    assert answer.is_success or not takes_events


async def test_the_native_examples_are_accepted_and_answered_as_shown(
    stand: IngestStand, client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    tried = 0
    for path in ("/v1/events", "/v1/events/", "/t.gif"):
        for media_type, body in document["paths"][path]["post"]["requestBody"]["content"].items():
            for example in body["examples"].values():
                before = len(await stand.events())
                value = example["value"]
                sent: dict[str, Any] = {"json": value}
                if media_type == "application/x-ndjson":
                    sent = {"content": value}
                elif media_type == "application/x-www-form-urlencoded":
                    sent = {"data": value}
                answer = await client.post(path, headers=stand.authorization, **sent)
                assert answer.status_code == 200
                assert len(await stand.events()) > before
                tried += 1
    assert tried > 5


def _errors(document: dict[str, Any], status: int) -> list[dict[str, Any]]:
    content = document["paths"]["/v1/events"]["post"]["responses"][str(status)]["content"]["application/json"]
    shown = content.get("examples", {"one": {"value": content.get("example")}})
    return [example["value"] for example in shown.values()]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b'{"user": "ada"}', {}),
        (400, b"{", {}),
        (401, b"{}", {"authorization": "Bearer ffw_unknown"}),
        (413, b"[" + b"1," * 10_500_000 + b"1]", {}),
        (415, b"{}", {"content-encoding": "lzma"}),
        (503, b'{"user": "ada", "action": "a"}', {}),
    ],
    ids=["all rejected", "no json", "no key", "too large", "encoding", "away"],
)
async def test_errors_look_as_the_document_shows_them(
    status: int,
    body: bytes,
    headers: dict[str, str],
    stand: IngestStand,
    client: httpx.AsyncClient,
    document: dict[str, Any],
) -> None:
    stand.log.away = status == 503
    answer = await client.post("/v1/events", content=body, headers={**stand.authorization, **headers})
    assert answer.status_code == status
    assert answer.json()["code"] in {shown["code"] for shown in _errors(document, status)}


def test_every_example_of_an_answer_has_the_form_it_is_said_to_have(document: dict[str, Any]) -> None:
    schemas = json.loads(
        json.dumps(document["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    )
    responses = document["paths"]["/v1/events"]["post"]["responses"]
    for response in responses.values():
        content = response["content"]["application/json"]
        schema = json.loads(json.dumps(content["schema"]).replace("#/components/schemas/", "#/$defs/"))
        validator = Draft202012Validator({**schema, "$defs": schemas})
        for example in content.get("examples", {"one": {"value": content.get("example")}}).values():
            validator.validate(example["value"])
