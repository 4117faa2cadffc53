"""Requests made from an OpenAPI document, valid and not, and what every answer must be like."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Err

_NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def try_operations(
    document: Mapping[str, Any],
    base_url: str,
    headers: Mapping[str, str],
    *,
    wanted: Callable[[str, str], bool],
    max_examples: int,
    modes: Sequence[GenerationMode] = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE),
) -> int:
    """Send each wanted operation (path, method) so many valid requests and as many invalid; how many were sent.

    Raises what hypothesis found: an answer of 5xx, or one that the document does not declare.
    """
    load_all_checks()
    checks: list[Any] = [CHECKS.get_one(name) for name in _NAMES]
    schema = schemathesis.openapi.from_dict(dict(document))
    sent = 0
    for result in schema.get_all_operations():
        if isinstance(result, Err):
            raise result.err()
        operation = result.ok()
        if not wanted(operation.path, operation.method):
            continue
        for mode in modes:

            @settings(
                max_examples=max_examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[
                    Phase.explicit,
                    Phase.generate,
                ],  # what fails is told as it was found, not made small for minutes
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def holds(case: Case[Any]) -> None:
                nonlocal sent
                sent += 1
                case.call_and_validate(base_url=base_url, headers=dict(headers), checks=checks)

            holds()
    return sent
