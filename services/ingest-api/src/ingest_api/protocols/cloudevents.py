"""CloudEvents over HTTP: binary, structured and batched. docs/migrating/cloudevents.md says the rules."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from admission import BodyRefused, Fault
from admission.limits import MAX_ID_CHARS
from ingest_api.protocols.exchange import Decoded, Item, Outcome, Reply, Request
from ingest_api.protocols.payload import id_of, objects_in, present, read_json, time_of
from ingest_api.protocols.segment import answer_problem

_STRUCTURED: Final = re.compile(r"application/cloudevents(-batch)?(\+[a-z0-9.-]+)?")
_JSON_TYPE: Final = re.compile(r"(application|text)/([a-z0-9.-]+\+)?json")
_NEEDED: Final = ("id", "source", "type")
_VERSIONS: Final = ("1.0", "0.3")
# Extensions that say whose event it is; the others are kept in the context.
_PLACED: Final = frozenset(
    {*_NEEDED, "specversion", "time", "data", "data_base64", "userid", "accountid", "anonymousid"}
)


def decode(request: Request) -> Decoded:
    """The events of a request; its Content-Type says in which of the three modes. Raises BodyRefused."""
    media_type = request.header(b"content-type").partition(";")[0].strip().lower()
    structured = _STRUCTURED.fullmatch(media_type)
    if structured is None:
        attributes = _attributes(request)
        if attributes:
            return Decoded(None, [_binary(request, attributes, media_type)])
        body = _untold(request)
        return Decoded(
            None, [Item(index, _event(given), given) for index, given in enumerate(objects_in(body))]
        )
    if structured[2] not in (None, "+json"):
        raise _unsupported(f"The format {structured[2][1:]} of CloudEvents is not understood.")
    body = read_json(request.body)
    if structured[1] is None:
        return Decoded(None, [Item(0, _event(body), body)])
    if not isinstance(body, list):
        raise BodyRefused(
            "malformed", "not_an_array", "The batch is not a JSON array.", "Send an array of events."
        )
    return Decoded(None, [Item(index, _event(given), given) for index, given in enumerate(objects_in(body))])


def answer(_: Request, outcome: Outcome) -> Reply:
    """200 and nothing else, as soon as one event was taken."""
    problem = outcome.refusal()
    return Reply(200, b"", "text/plain") if problem is None else answer_problem(problem)


def shake_hands(request: Request) -> Reply:
    """Any sender of web hooks may deliver here, as fast as it likes: a key decides, in each request."""
    origin = request.header(b"webhook-request-origin")
    allowed = {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*"} if origin else {}
    return Reply(200, b"", "text/plain", {"allow": "POST, OPTIONS", **allowed})


def _untold(request: Request) -> Any:
    """The body of a sender that names no mode: structured events are told by their version."""
    if request.body.lstrip()[:1] in (b"{", b"["):
        body = read_json(request.body)
        first = body[0] if isinstance(body, list) and body else body
        if isinstance(first, dict) and "specversion" in first:
            return body
    raise _unsupported("The request is no CloudEvent.")


def _unsupported(message: str) -> BodyRefused:
    return BodyRefused(
        "unsupported",
        "unsupported_format",
        message,
        "Send ce-… headers, or application/cloudevents+json, or application/cloudevents-batch+json.",
    )


def _attributes(request: Request) -> dict[str, bytes]:
    return {
        name[3:].decode("latin-1"): value
        for name, value in request.headers()
        if name.startswith(b"ce-") and name[3:]
    }


def _binary(request: Request, attributes: Mapping[str, bytes], media_type: str) -> Item:
    given: dict[str, Any] = {}
    for name, value in attributes.items():
        try:
            given[name] = _header_text(value)
        except UnicodeDecodeError:
            fault = Fault(
                "invalid_utf8", f"The header ce-{name[:60]} is not UTF-8, percent-encoded.", f"ce-{name[:60]}"
            )
            return Item(0, fault, request.body)
    if media_type:
        given["datacontenttype"] = request.header(b"content-type")
    body = request.body
    if body and (not media_type or _JSON_TYPE.fullmatch(media_type)):
        given["data"] = read_json(body)
    elif body:
        try:
            given["data"] = body.decode()
        except UnicodeDecodeError:
            given["data_base64"] = base64.b64encode(body).decode()
    return Item(0, _event(given), given)


def _header_text(value: bytes) -> str:
    raw = value.strip()
    if len(raw) > 1 and raw[:1] == raw[-1:] == b'"':
        raw = re.sub(rb"\\(.)", rb"\1", raw[1:-1])
    return unquote_to_bytes(raw).decode()


def _event(given: object) -> Mapping[str, Any] | Fault:
    if not isinstance(given, dict):
        return Fault("not_an_object", "The event is not a JSON object.")
    get = given.get
    if get("specversion") not in _VERSIONS:
        return Fault(
            "unknown_specversion",
            f"`specversion` is {str(get('specversion'))[:40]!r}; this server understands 1.0.",
            "specversion",
        )
    for name in _NEEDED:
        if not isinstance(get(name), str) or not get(name):
            return Fault("missing_attribute", f"The event has no `{name}`.", name, "A CloudEvent needs one.")
    if get("data") is not None and get("data_base64") is not None:
        return Fault(
            "two_kinds_of_data", "The event has both `data` and `data_base64`.", "data", "Send one of them."
        )
    user, account = id_of(get("userid")), id_of(get("accountid"))
    subject = id_of(get("subject"))
    told = user is not None or account is not None
    kept = {name: value for name, value in given.items() if name not in _PLACED and value is not None}
    if subject is not None and not told:
        kept.pop("subject")
    return present(
        {
            "action": get("type"),
            "user": user if told else subject,
            "anonymous_id": id_of(get("anonymousid")),
            "account": account,
            "id": _id(given["source"], given["id"]),
            "time": time_of(get("time")),
            "properties": _properties(given),
            "context": {"cloudevents": {"source": get("source"), "id": get("id"), **kept}},
        }
    )


def _id(source: str, number: str) -> str:
    """An event is told from others by both; a source, being a URI, holds no space."""
    text = f"{source} {number}"
    return text if len(text) <= MAX_ID_CHARS else hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _properties(given: Mapping[str, Any]) -> dict[str, Any] | None:
    data = given.get("data")
    if isinstance(data, dict):
        return data
    return present({"data": data, "data_base64": given.get("data_base64")}) or None
