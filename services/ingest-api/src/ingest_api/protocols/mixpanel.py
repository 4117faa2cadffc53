"""Mixpanel's ingestion API, and what its SDKs ask beside sending events."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from access.keys import kind_of
from admission import BodyRefused, Fault, Kept
from eventmodel import Rejection
from ingest_api.protocols import image
from ingest_api.protocols.exchange import Decoded, Item, Outcome, Reply, Request
from ingest_api.protocols.mixpanel_records import Given, event_of, group_of, person_of
from ingest_api.protocols.payload import object_of, objects_in, read_base64, read_json, text_of
from lifecycle.errors import Problem

_encode = msgspec.json.encode

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_READERS: Final[Mapping[str, Callable[[dict[str, Any], float | None], Sequence[Given]]]] = {
    "/track": event_of,
    "/import": event_of,
    "/engage": person_of,
    "/groups": group_of,
}
_IMPORT: Final = "/import"
# Their clients read the status code of these; for all others the body alone says what became of it.
_TOLD_BY_STATUS: Final = frozenset({405, 413, 429, 503})
_PHRASES: Final[Mapping[int, str]] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_CALLBACK: Final = re.compile(r"[A-Za-z0-9_$.]{1,64}")
_MILLISECONDS: Final = re.compile(r"[1-9][0-9]{11,13}")
_THEIR_FIELDS: Final[Mapping[str | None, str]] = {
    "action": "event",
    "anonymous_id": "properties.$device_id",
    "id": "properties.$insert_id",
    "previous_id": "properties.distinct_id",
    "time": "properties.time",
    "user": "properties.distinct_id",
}


def decode(request: Request) -> Decoded:
    """The items of `/track`, `/import`, `/engage` and `/groups`, however they are packed.

    All items of a request belong to whom the first names; one that names another token is refused.
    """
    items = objects_in(_payload(request))
    tokens = [_take_token(item) for item in items]
    token = next(filter(None, tokens), None)
    sent_at = _sent_at(request)
    read = _READERS[request.path]
    unaddressed = request.query.get("ip") == "0"
    told: list[Item] = []
    for index, (item, its_token) in enumerate(zip(items, tokens, strict=True)):
        for given in _read(read, item, sent_at) if its_token in (None, token) else [_ANOTHER_TOKEN]:
            told.append(Item(index, _unaddressed(given) if unaddressed else given, item))
    return Decoded(_key(request, token), told, imported=request.path == _IMPORT)


def _unaddressed(given: Mapping[str, Any] | Fault) -> Mapping[str, Any] | Fault:
    """The event as it is when the request's address is not to be taken for the person's."""
    if isinstance(given, Fault):
        return given
    return {**given, "context": {"ip": "0.0.0.0", **object_of(given.get("context"))}}  # noqa: S104  # none


def answer(request: Request, outcome: Outcome) -> Reply:
    """What each of their SDKs takes for success or failure: `1`, `0`, or an object with `status`."""
    asked = _asked(request)
    if asked.get("img") == "1":
        return image.answer(request, outcome)
    fault = outcome.refusal()
    headers = {} if fault is None else fault.headers
    verbose = asked.get("verbose", "0") not in ("", "0")
    if request.path == _IMPORT and not verbose and _is_json(request, asked):
        status, told = _import_status(outcome, strict=asked.get("strict") != "0")
        return Reply(status, _encode(told), _JSON, headers)
    # Nobody knows yet how the sender of a body that was not read wants to be answered.
    if verbose or (fault is not None and fault.status in (413, 503) and not asked):
        status, body = 200 if fault is None else fault.status, _encode(_status(request, outcome, fault))
        media_type = _JSON
    else:
        status = fault.status if fault is not None and fault.status in _TOLD_BY_STATUS else 200
        body, media_type = (b"1" if fault is None else b"0"), _TEXT
    callback = asked.get("callback", "")
    if _CALLBACK.fullmatch(callback):
        # Browsers run no script that came with an error's status.
        status = status if status in (429, 503) else 200
        body, media_type = callback.encode() + b"(" + body + b");", "text/javascript; charset=utf-8"
        headers = {**headers, "x-content-type-options": "nosniff"}
    return Reply(status, body, media_type, headers)


def no_flags(request: Request) -> Reply:
    """There are no feature flags here; their SDKs go on with the defaults."""
    return _object({"flags": [] if request.path.endswith("/definitions") else {}})


def no_settings(_: Request) -> Reply:
    """There are no remote settings here."""
    return _object({})


def no_decision(_: Request) -> Reply:
    """There are no messages and no codeless tracking here, which old SDKs ask for."""
    return _object({"notifications": [], "config": {"enable_collect_everything": False}})


def no_recording(_: Request) -> Reply:
    """Recordings of screens are not kept, and the SDK is told so."""
    return Reply(404, _encode({"error": "Footfall keeps no session recordings.", "status": 0}), _JSON)


_ANOTHER_TOKEN: Final = Fault(
    "another_token",
    "The item names another token than the first of its request.",
    "properties.token",
    "Send the events of one project in one request.",
)


def _payload(request: Request) -> Any:
    first = request.body.lstrip()[:1]
    if first in (b"{", b"["):
        return read_json(request.body)
    data = request.form.get("data") or request.query.get("data")
    if data is None:
        data = request.body.decode("latin-1")
    text = data.strip()
    raw = text.encode() if text[:1] in ("{", "[", "") else read_base64(text)
    return read_json(raw)


def _read(
    read: Callable[[dict[str, Any], float | None], Sequence[Given]], item: object, sent_at: float | None
) -> Sequence[Given]:
    if not isinstance(item, dict):
        return [Fault("not_an_object", "The item is not a JSON object.")]
    return read(item, sent_at)


def _take_token(item: object) -> str | None:
    """The item's token, taken out of it: what is kept of a refused item holds no credential."""
    if not isinstance(item, dict):
        return None
    of_profile = text_of(item.pop("$token", None))
    return text_of(object_of(item.get("properties")).pop("token", None)) or of_profile


def _key(request: Request, token: str | None) -> str | None:
    if token is None or kind_of(token) is None:
        return request.form.get("api_key") or request.query.get("api_key") or token
    return token


def _sent_at(request: Request) -> float | None:
    """The browser's clock at sending, which its SDK adds against caches."""
    given = request.query.get("_", "")
    return int(given) / 1000 if _MILLISECONDS.fullmatch(given) else None


def _asked(request: Request) -> Mapping[str, str]:
    try:
        return {**request.query, **request.form}
    except BodyRefused:
        return {}


def _is_json(request: Request, asked: Mapping[str, str]) -> bool:
    return "data" not in asked and request.method == "POST"


def _status(request: Request, outcome: Outcome, fault: Problem | None) -> Mapping[str, Any]:
    if fault is not None:
        return {"status": 0, "error": fault.message}
    if request.path != _IMPORT or outcome.admitted is None:
        return {"status": 1, "error": None}
    return {"status": 1, "error": None, "code": 200, "num_records_imported": outcome.admitted.taken}


def _import_status(outcome: Outcome, *, strict: bool) -> tuple[int, Mapping[str, Any]]:
    admitted = outcome.admitted
    if admitted is None:
        problem = outcome.problem
        assert problem is not None
        phrase = _PHRASES.get(problem.status, "Error")
        return problem.status, {"code": problem.status, "error": problem.message, "status": phrase}
    stored = admitted.taken
    if not strict or not admitted.rejections:
        return 200, {"code": 200, "num_records_imported": stored, "status": "OK"}
    failed = [
        _failed(rejection, kept)
        for rejection, kept in zip(admitted.rejections, admitted.rejected_bodies, strict=True)
    ]
    return 400, {
        "code": 400,
        "error": "some data points in the request failed validation",
        "status": "Bad Request",
        "num_records_imported": stored,
        "failed_records": failed,
    }


def _failed(rejection: Rejection, kept: Kept | None) -> Mapping[str, Any]:
    item = {} if kept is None or not kept.body else object_of(msgspec.json.decode(kept.body))
    insert_id = text_of(object_of(item.get("properties")).get("$insert_id")) or ""
    message = f"{rejection.message} {rejection.hint}" if rejection.hint else rejection.message
    return {
        "index": rejection.index,
        "insert_id": insert_id,
        "$insert_id": insert_id,
        "field": _THEIR_FIELDS.get(rejection.field, rejection.field or ""),
        "message": message,
    }


def _object(value: Mapping[str, Any]) -> Reply:
    return Reply(200, _encode(value), _JSON)
