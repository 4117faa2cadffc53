"""The gateway's OpenAPI document against the routes it describes, and its examples."""

from collections.abc import Iterator
from typing import Any

import pytest

from running_gateway import running_gateway

pytestmark = pytest.mark.postgres


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


async def test_every_operation_is_described_and_every_example_is_accepted(migrated_url: str) -> None:
    async with running_gateway(migrated_url) as gateway:
        document = (await gateway.client.get("/openapi.json")).json()
        tried = []
        for path, method, operation in _operations(document):
            assert operation["summary"], path
            assert operation["description"], path
            assert operation["security"], path
            assert operation["responses"]["default"]["content"]["application/json"]["example"]["code"], path
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                if "{rejection_id}" in path:
                    continue
                administrator = {"authorization": "Bearer administrator"}
                answer = await gateway.client.request(
                    method,
                    path.format(project=gateway.project.project),
                    json=example["value"],
                    headers=administrator if path == "/v1/projects" else None,
                )
                assert answer.is_success, (method, path, answer.text)
                tried.append(path)
        assert len(tried) > 6
        unauthenticated = await gateway.client.get("/v1/pulse", headers={"authorization": ""})
        assert unauthenticated.json()["code"] == "unauthenticated"


async def test_every_parameter_of_the_document_is_one_that_the_route_reads(migrated_url: str) -> None:
    """A value that no route can mean is refused by its name, or finds nothing."""
    async with running_gateway(migrated_url) as gateway:
        document = (await gateway.client.get("/openapi.json")).json()
        tried = 0
        for path, method, operation in _operations(document):
            if method != "get" or "{" in path or path == "/v1/stream":
                continue
            for parameter in operation["parameters"]:
                schema = parameter["schema"]
                if "enum" not in schema and schema["type"] == "string" and "format" not in schema:
                    continue
                answer = await gateway.client.get(path, params={parameter["name"]: "no such thing"})
                assert (answer.status_code, answer.json().get("field")) in (
                    (400, parameter["name"]),
                    (422, parameter["name"]),
                ), (path, parameter["name"], answer.text)
                tried += 1
        assert tried > 10
