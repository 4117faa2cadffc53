"""Simple corrections that fit many rejected events alike, and which one an event probably needs."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from admission.faults import explain
from admission.names import FIELDS, suggestion
from admission.refusal import Fault, Refused
from eventmodel import RejectedRecord
from stream_gateway.rejected.native_form import native_form

# With these the event cannot be told from what stands there; somebody has to write it.
_UNREADABLE: Final = frozenset({"invalid_json", "invalid_utf8", "duplicate_key", "too_deep"})


class Fix(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Fields to rename, remove and set, in this order; each by its dotted path through objects.

    A field is renamed only where it is and the new name holds nothing.
    """

    rename: dict[str, str] = {}
    remove: list[str] = []
    set: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.rename or self.remove or self.set)

    def applied(self, raw: bytes) -> bytes:
        """The event with the corrections; raises Refused where there is nothing to correct."""
        fault = explain(raw)
        if fault is not None and fault.code in _UNREADABLE:
            raise Refused(fault)
        event = json.loads(raw)
        if not isinstance(event, dict):
            raise Refused(Fault("not_an_object", "The event is not a JSON object."))
        for old, new in self.rename.items():
            value = _taken(event, old) if _held(event, new) is None else None
            if value is not None:
                _put(event, new, value)
        for path in self.remove:
            _taken(event, path)
        for path, value in self.set.items():
            _put(event, path, value)
        # Admission is to judge what Python can read and JSON cannot hold, such as NaN.
        return json.dumps(event).encode()


def probable_fix(record: RejectedRecord) -> Fix | None:
    """The correction that the event's own names suggest; None when a person has to look."""
    try:
        event = json.loads(native_form(record))
    except (Refused, ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    fix = Fix(rename=_misnamed(event), remove=_idle(record, event))
    return fix if fix else None


def _misnamed(event: Mapping[str, Any]) -> dict[str, str]:
    rename: dict[str, str] = {}
    for name in event:
        field = None if name in FIELDS else suggestion(name)
        if field and event[name] is not None and event.get(field) is None and field not in rename.values():
            rename[name] = field
    return rename


def _idle(record: RejectedRecord, event: Mapping[str, Any]) -> list[str]:
    """The field of an id that says nothing, where the event has one."""
    field = record.field
    return (
        [field] if field is not None and record.code in ("empty_id", "invalid_id") and field in event else []
    )


def _held(event: dict[str, Any], path: str) -> Any:
    found: Any = event
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _taken(event: dict[str, Any], path: str) -> Any:
    """What stood there, removed; None where nothing does."""
    above, _, name = path.rpartition(".")
    holder = _held(event, above) if above else event
    return holder.pop(name, None) if isinstance(holder, dict) else None


def _put(event: dict[str, Any], path: str, value: Any) -> None:
    """Put it there, with the objects above it; not where something else than an object stands above."""
    *above, name = path.split(".")
    holder: Any = event
    for step in above:
        if holder.get(step) is None:
            holder[step] = {}
        holder = holder[step]
        if not isinstance(holder, dict):
            return
    holder[name] = value
