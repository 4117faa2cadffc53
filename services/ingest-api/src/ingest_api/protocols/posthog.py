"""PostHog's capture API, the former and the present. docs/migrating/posthog.md says the rules."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from admission import BodyRefused
from ingest_api.protocols.exchange import Decoded, Outcome, Reply, Request
from ingest_api.protocols.payload import (
    object_of,
    objects_in,
    present,
    read_base64,
    read_json,
    text_of,
    time_of,
)
from ingest_api.protocols.posthog_events import items_of
from lifecycle.errors import Problem

_V1: Final = "/i/v1/analytics/events"
_BATCHES: Final = (_V1, "/batch")
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_OK: Final = b'{"status":"Ok"}'
_ENVELOPE_TIMES: Final = ("sent_at", "created_at")
_CACHED: Final = {"cache-control": "public, max-age=300"}
_CONFIG: Final[Mapping[str, Any]] = {
    "analytics": {"endpoint": "/e/"},
    "autocaptureExceptions": False,
    "autocapture_opt_out": False,
    "capturePerformance": False,
    "captureDeadClicks": False,
    "conversations": False,
    "elementsChainAsString": True,
    "hasFeatureFlags": False,
    "heatmaps": False,
    "productTours": False,
    "sessionRecording": False,
    "siteApps": [],
    "supportedCompression": ["gzip", "gzip-js"],
    "surveys": False,
    "toolbarParams": {},
}


def is_meant(request: Request) -> bool:
    """Whether a request to `/track` or `/engage`, which are Mixpanel's too, has PostHog's key beside its events."""
    if request.body.lstrip()[:1] != b"{":
        return False
    try:
        return "api_key" in object_of(read_json(request.body))
    except BodyRefused:
        return False


def decode(request: Request) -> Decoded:
    """The events of every capture route; one with `$set` becomes two, for the person's traits. Raises BodyRefused."""
    body = _body(request)
    enclosing = object_of(body)
    batch = body if isinstance(body, list) else enclosing.get("batch")
    if not isinstance(batch, list) and ("batch" in enclosing or request.path in _BATCHES):
        raise BodyRefused(
            "malformed", "missing_batch", "The body has no `batch`.", 'Send {"batch": [{"event": …}]}.'
        )
    messages = objects_in(body if batch is None else batch)
    sent_at = _sent_at(request, enclosing)
    library = _library(request)
    key = _token(enclosing) or (_token(object_of(messages[0])) if messages else None)
    return Decoded(
        key,
        [item for place in enumerate(messages) for item in items_of(*place, sent_at, library)],
        imported=enclosing.get("historical_migration") is True,
    )


def answer(request: Request, outcome: Outcome) -> Reply:
    """200 as soon as one event was taken; the present API is told of each event what became of it."""
    problem = outcome.problem
    if request.path == _V1:
        return _results(outcome) if problem is None else _error(problem)
    problem = outcome.refusal()
    if problem is None:
        return Reply(200, _OK, _JSON)
    return Reply(problem.status, f"{problem.code}: {problem.message}".encode(), _TEXT, problem.headers)


def forget(_: Request) -> Reply:
    """Recordings of sessions are not kept."""
    return Reply(200, _OK, _JSON)


def flags(_: Request) -> Reply:
    """No feature flag is on, and nothing is recorded."""
    said = {
        "flags": {},
        "featureFlags": {},
        "featureFlagPayloads": {},
        "errorsWhileComputingFlags": False,
        **_CONFIG,
    }
    return Reply(200, msgspec.json.encode(said), _JSON)


def config(_: Request) -> Reply:
    """What the browser SDK loads at its start: events alone, no script of the vendor's."""
    return Reply(200, msgspec.json.encode(_CONFIG), _JSON, _CACHED)


def config_script(request: Request) -> Reply:
    """The same as the script its loader asks for first."""
    said = {request.parameters["token"]: {"config": _CONFIG, "siteApps": []}}
    text = (
        b"window._POSTHOG_REMOTE_CONFIG=Object.assign(window._POSTHOG_REMOTE_CONFIG||{},%s);"
        % msgspec.json.encode(said)
    )
    return Reply(200, text, "application/javascript", _CACHED)


def _body(request: Request) -> Any:
    if request.query.get("compression", "").startswith("lz64"):
        raise BodyRefused(
            "malformed",
            "unsupported_compression",
            "lz64 is not understood.",
            "Use a version of the SDK that sends gzip, base64 or JSON.",
        )
    text = request.body
    if text.lstrip()[:1] not in (b"{", b"["):
        data = request.form.get("data") or request.query.get("data") or text.decode(errors="replace")
        text = data.encode() if data.lstrip()[:1] in ("{", "[") else read_base64(data)
    return read_json(text)


def _sent_at(request: Request, enclosing: Mapping[str, Any]) -> object:
    given = next((enclosing[name] for name in _ENVELOPE_TIMES if enclosing.get(name)), None)
    return time_of(request.header(b"posthog-request-timestamp") or given or request.query.get("_") or None)


def _library(request: Request) -> Mapping[str, str] | None:
    name, _, version = request.header(b"posthog-sdk-info").partition("/")
    return present({"name": name, "version": version or None}) if name else None


def _token(fields: Mapping[str, Any]) -> str | None:
    found = (fields.get(name) for name in ("api_key", "token", "$token"))
    return text_of(next(filter(None, found), None) or object_of(fields.get("properties")).get("token"))


def _results(outcome: Outcome) -> Reply:
    assert outcome.admitted is not None
    refused = {rejection.index: rejection for rejection in outcome.admitted.rejections}
    results: dict[str, Any] = {}
    for item in outcome.items:
        uuid = text_of(object_of(item.source).get("uuid"))
        if uuid is not None:
            rejection = refused.get(item.at)
            results[uuid] = (
                {"result": "ok"} if rejection is None else {"result": "drop", "details": rejection.message}
            )
    return Reply(200, msgspec.json.encode({"results": results}), _JSON)


def _error(problem: Problem) -> Reply:
    said = {"error": problem.code, "error_description": problem.message, "error_uri": ""}
    return Reply(problem.status, msgspec.json.encode(said), _JSON, problem.headers)
