"""One request for each kind of route of each vendor: shown in the OpenAPI document, and sent by a test."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec


class Example(NamedTuple):
    """`route` is the path of the table's row; `body` is a JSON value, or the fields of a form."""

    vendor: str
    method: str
    route: str
    body: Any = None
    query: str = ""
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}

    def content(self) -> bytes:
        """The bytes of the body."""
        if self.body is None:
            return b""
        if self.media_type == "application/x-www-form-urlencoded":
            return urlencode(self.body).encode()
        return msgspec.json.encode(self.body)


_TRACK: Final = {
    "type": "track",
    "event": "opened report",
    "userId": "ada@acme.example",
    "messageId": "m-1",
    "timestamp": "2026-11-22T09:30:00Z",
    "properties": {"rows": 12},
    "context": {"groupId": "acme"},
}
_MIXPANEL: Final = {
    "event": "opened report",
    "properties": {
        "token": "KEY",
        "distinct_id": "ada@acme.example",
        "$insert_id": "m-1",
        "time": 1795339800,
        "company": "acme",
        "rows": 12,
    },
}
_PERSON: Final = {"$token": "KEY", "$distinct_id": "ada@acme.example", "$set": {"plan": "pro"}}
_PIXEL: Final = "userId=ada%40acme.example&event=opened%20report&properties.rows=12"

_CAPTURED: Final = {
    "event": "opened report",
    "distinct_id": "ada@acme.example",
    "uuid": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "timestamp": "2026-11-22T09:30:00Z",
    "properties": {"rows": 12, "$groups": {"company": "acme"}},
}

EXAMPLES: Final[tuple[Example, ...]] = (
    Example("segment", "POST", "/v1/track", _TRACK),
    Example("segment", "POST", "/v1/batch", {"batch": [_TRACK], "sentAt": "2026-11-22T09:30:01Z"}),
    Example("segment", "POST", "/v1/identify", {"userId": "ada@acme.example", "traits": {"plan": "pro"}}),
    Example("segment", "POST", "/v1/m", {"series": []}),
    Example("segment", "GET", "/v1/pixel/track", query=_PIXEL),
    Example("segment", "GET", "/v1/projects/{writeKey}/settings"),
    Example("segment", "GET", "/analytics.js/v1/{writeKey}/analytics.min.js"),
    Example(
        "rudderstack",
        "POST",
        "/v1/track",
        {**_TRACK, "channel": "server", "rudderId": "r-1"},
        headers={"anonymousid": "a-1"},
    ),
    Example("rudderstack", "POST", "/beacon/v1/batch", {"batch": [_TRACK]}),
    Example("rudderstack", "GET", "/pixel/v1/track", query=_PIXEL),
    Example("rudderstack", "GET", "/sourceConfig", query="writeKey=KEY"),
    Example("jitsu", "POST", "/api/s/track", _TRACK),
    Example("jitsu", "POST", "/api/s/batch", {"batch": [_TRACK]}),
    Example("jitsu", "GET", "/api/px/track", query=_PIXEL),
    Example("mixpanel", "POST", "/track", _MIXPANEL),
    Example(
        "mixpanel", "GET", "/track", query=urlencode({"verbose": "1", "data": msgspec.json.encode(_MIXPANEL)})
    ),
    Example("mixpanel", "POST", "/engage", _PERSON),
    Example("mixpanel", "POST", "/import", [_MIXPANEL]),
    Example("mixpanel", "GET", "/flags", query="token=KEY"),
    Example("mixpanel", "GET", "/settings"),
    Example("mixpanel", "GET", "/decide", query="token=KEY"),
    Example("mixpanel", "POST", "/record"),
    Example("posthog", "POST", "/e", {"api_key": "ffw_…", **_CAPTURED}),
    Example("posthog", "POST", "/track", {"api_key": "ffw_…", **_CAPTURED}),
    Example("posthog", "POST", "/batch", {"api_key": "ffw_…", "batch": [_CAPTURED]}),
    Example("posthog", "POST", "/i/v1/analytics/events", {"batch": [_CAPTURED]}),
    Example("posthog", "POST", "/s", {"data": []}),
    Example("posthog", "POST", "/flags", {"token": "ffw_…", "distinct_id": "ada@acme.example"}, query="v=2"),
    Example("posthog", "GET", "/array/{token}/config"),
    Example("posthog", "GET", "/array/{token}/config.js"),
    Example(
        "cloudevents",
        "POST",
        "/v1/cloudevents",
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/crm",
            "type": "deal.won",
            "subject": "ada@acme.example",
            "time": "2026-11-22T09:30:00Z",
            "accountid": "acme",
            "data": {"value": 1200},
        },
        media_type="application/cloudevents+json",
    ),
    Example("cloudevents", "OPTIONS", "/v1/cloudevents", headers={"webhook-request-origin": "crm.example"}),
    Example("kissmetrics", "GET", "/e", query="_k=KEY&_p=bob&_n=signed+up&Plan=pro"),
    Example("totango", "GET", "/pixel.gif", query="sdr_s=KEY&sdr_o=acme&sdr_u=bob&sdr_a=signed+in&sdr_m=app"),
    Example(
        "tapstream",
        "POST",
        "/{account}/event/{event}",
        {"secret": "KEY", "uuid": "v-1", "created-ms": "1795339800000", "custom-plan": "pro"},
        media_type="application/x-www-form-urlencoded",
    ),
    Example("tapstream", "GET", "/{account}/hit/{tracker}.gif", query="key=KEY&__ts=autumn"),
)
