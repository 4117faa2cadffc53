"""The native API's field names, and which of them a sender probably meant."""

from difflib import get_close_matches
from functools import lru_cache

FIELDS: frozenset[str] = frozenset(
    {
        "account",
        "action",
        "anonymous_id",
        "context",
        "id",
        "previous_id",
        "properties",
        "sent_at",
        "time",
        "traits",
        "type",
        "user",
    }
)

# What other tracking APIs call the same thing, without case and separators.
_ELSEWHERE = {
    "accountid": "account",
    "company": "account",
    "companyid": "account",
    "customer": "account",
    "customerid": "account",
    "group": "account",
    "groupid": "account",
    "activity": "action",
    "event": "action",
    "eventname": "action",
    "eventtype": "action",
    "anonymous": "anonymous_id",
    "deviceid": "anonymous_id",
    "visitorid": "anonymous_id",
    "eventid": "id",
    "insertid": "id",
    "messageid": "id",
    "uuid": "id",
    "attributes": "properties",
    "data": "properties",
    "params": "properties",
    "props": "properties",
    "createdat": "time",
    "date": "time",
    "occurredat": "time",
    "originaltimestamp": "time",
    "timestamp": "time",
    "ts": "time",
    "kind": "type",
    "distinctid": "user",
    "email": "user",
    "uid": "user",
    "userid": "user",
    "username": "user",
}
_FOLDED = {field.replace("_", ""): field for field in FIELDS}
_MAX_NAME_CHARS = 32
_CLOSE = 0.84


@lru_cache(maxsize=1_000)
def suggestion(name: str) -> str | None:
    """The field a sender of `name` probably meant; None when it looks like a field of their own."""
    if len(name) > _MAX_NAME_CHARS:
        return None
    folded = name.lower().replace("_", "").replace("-", "").replace(" ", "").lstrip("$")
    found = _FOLDED.get(folded) or _ELSEWHERE.get(folded)
    if found:
        return found
    close = get_close_matches(folded, _FOLDED, n=1, cutoff=_CLOSE)
    return _FOLDED[close[0]] if close else None
