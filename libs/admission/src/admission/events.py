"""One decoded object of the native API to the canonical event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from admission.limits import MAX_ACTION_CHARS, MAX_ID_BYTES, MAX_ID_CHARS
from admission.names import FIELDS, suggestion
from admission.placeholders import LONGEST_WORD, PLACEHOLDERS, SECOND_OF_LONGER
from admission.refusal import Fault, Refused
from admission.senders import named_by
from admission.times import happened, read_time
from eventmodel import (
    DEFAULT_ACTIONS,
    KINDS,
    Event,
    EventId,
    Kind,
    Origin,
    ProjectId,
    Sender,
    derived_event_id,
    new_event_id,
)
from policy import OPEN, Client, Policy


class Receipt(NamedTuple):
    """What all events of one body share. `received_at` is aware UTC.

    `import_run` is the run of those of them that are past; the others are as `origin` and `run` say.
    """

    project: ProjectId
    received_at: datetime
    origin: Origin = "live"
    run: str | None = None
    idempotency_key: str | None = None
    sender: Sender | None = None
    client: Client | None = None
    policy: Policy = OPEN
    import_run: str | None = None


def read_event(given: Mapping[str, Any], index: int, receipt: Receipt) -> Event:
    """The canonical event of one object; raises Refused.

    `index` is its place in the body. Values inside `properties`, `traits` and `context` are taken as they are.
    """
    get = given.get
    kind = _kind(get("type"))
    action = _action(given, kind)
    user = None if (value := get("user")) is None else _id(value, "user")
    anonymous_id = None if (value := get("anonymous_id")) is None else _id(value, "anonymous_id")
    previous_id = None if (value := get("previous_id")) is None else _id(value, "previous_id")
    account = None if (value := get("account")) is None else _id(value, "account")
    if kind != "track":
        _check_subject(kind, user, anonymous_id, previous_id, account, given)
    context = _object(get("context"), "context")
    sender = receipt.sender
    if context and sender is not None:
        sender = named_by(context.get("library"), sender)
    if not FIELDS.issuperset(given):
        context = _with_extra(context, given)
    time = None if (value := get("time")) is None else read_time(value, "time")
    sent_at = None if (value := get("sent_at")) is None else read_time(value, "sent_at")
    occurred_at, marks = happened(time, sent_at, receipt.received_at, sent_to_us=receipt.origin != "import")
    return Event(
        id=_event_id(get("id"), index, receipt),
        project=receipt.project,
        kind=kind,
        action=action,
        occurred_at=occurred_at,
        received_at=receipt.received_at,
        origin=receipt.origin,
        user=user,
        anonymous_id=anonymous_id,
        previous_id=previous_id,
        account=account,
        run=receipt.run,
        sent_at=sent_at,
        properties=_object(get("properties"), "properties"),
        traits=_object(get("traits"), "traits"),
        context=context,
        marks=marks,
        sender=sender,
    )


def _kind(given: object) -> Kind:
    match given:
        case None:
            return "track"
        case "track" | "identify" | "group" | "page" | "screen" | "alias":
            return given
    known = ", ".join(sorted(KINDS))
    raise Refused(
        Fault(
            "unknown_type",
            f"`type` is {_shown(given)}; it can be {known}.",
            "type",
            "Leave it out for track.",
        )
    )


def _action(given: Mapping[str, Any], kind: Kind) -> str:
    action = given.get("action")
    if action is None:
        if kind in DEFAULT_ACTIONS:
            return DEFAULT_ACTIONS[kind]
        raise Refused(Fault("missing_action", "The event has no `action`.", "action", _action_hint(given)))
    if type(action) is not str:
        raise _wrong_type("action", "a string", action)
    if not action or action.isspace():
        raise Refused(Fault("missing_action", "`action` is empty.", "action", "Say what the user did."))
    if len(action) > MAX_ACTION_CHARS:
        raise Refused(
            Fault(
                "too_long",
                f"`action` has {len(action):,} characters; at most {MAX_ACTION_CHARS} are kept.",
                "action",
                "Name the kind of activity, and put what varies into `properties`.",
            )
        )
    return action


def _action_hint(given: Mapping[str, Any]) -> str:
    for name in given:
        if name not in FIELDS and suggestion(name) == "action":
            return f'You sent "{name[:60]}": call it "action".'
    for wrapper in ("batch", "events", "data"):
        if isinstance(given.get(wrapper), list):
            return f'Send the array itself, not an object with "{wrapper}".'
    if given.get("traits") is not None:
        return 'To record traits alone, add "type": "identify", or "group" for an account\'s.'
    return 'Say what the user did, such as "opened report".'


def _id(given: object, field: str) -> str:
    if type(given) is str:
        text = given
    elif isinstance(given, int) and not isinstance(given, bool):
        text = str(given)
    elif isinstance(given, float):
        text = str(int(given)) if given.is_integer() else repr(given)
    else:
        raise _wrong_type(field, "a string", given)
    if not text or text.isspace():
        raise Refused(Fault("empty_id", f"`{field}` is empty.", field, "Leave it out, or send null."))
    if len(text) > MAX_ID_CHARS or (not text.isascii() and len(text.encode()) > MAX_ID_BYTES):
        raise Refused(
            Fault(
                "too_long",
                f"`{field}` has {len(text):,} characters; at most {MAX_ID_CHARS} characters "
                f"and {MAX_ID_BYTES:,} bytes are kept.",
                field,
            )
        )
    # Length and second character tell most ids from a placeholder at once.
    if (
        (len(text) <= LONGEST_WORD or text[1] in SECOND_OF_LONGER)
        and text.strip().lower() in PLACEHOLDERS
        and field != "id"
    ):
        raise Refused(
            Fault(
                "invalid_id",
                f"`{field}` is {_shown(text)}, which stands for nobody: "
                "whoever has no id would be counted as one and the same.",
                field,
                "Leave it out, or send null; an id such as this comes from code that wrote a missing value as text.",
            )
        )
    return text


def _check_subject(
    kind: Kind,
    user: str | None,
    anonymous_id: str | None,
    previous_id: str | None,
    account: str | None,
    given: Mapping[str, Any],
) -> None:
    if kind == "identify" and user is None and anonymous_id is None:
        raise _missing(
            given, "user", "An identify event says who somebody is: it needs `user` or `anonymous_id`."
        )
    if kind == "group" and account is None:
        raise _missing(given, "account", "A group event needs the `account`.")
    if kind == "alias" and user is None:
        raise _missing(given, "user", "An alias event needs the `user` whose `previous_id` it joins.")
    if kind == "alias" and previous_id is None:
        raise _missing(
            given, "previous_id", "An alias event needs the `previous_id` that becomes part of `user`."
        )


def _missing(given: Mapping[str, Any], field: str, message: str) -> Refused:
    misnamed = (name for name in given if name not in FIELDS and suggestion(name) == field)
    hint = next((f'You sent "{name[:60]}": call it "{field}".' for name in misnamed), None)
    return Refused(Fault(f"missing_{field}", message, field, hint))


def _object(given: object, field: str) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, dict):
        return given
    # Only its type is told: the value may be what the project keeps out of its records.
    raise Refused(Fault("wrong_type", f"`{field}` must be an object, not {_type_of(given)}.", field))


def _with_extra(context: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The context with the fields we do not know under `extra`; raises Refused for what is a misspelt field.

    A misspelt field must not pass: the event would count for nobody, or at the wrong time.
    """
    unknown = {name: value for name, value in given.items() if name not in FIELDS and value is not None}
    for name in unknown:
        field = suggestion(name)
        if field and given.get(field) is None:
            raise Refused(
                Fault("unknown_field", f"There is no field `{name[:60]}`.", name[:60], f'Call it "{field}".')
            )
    if not unknown:
        return context
    extra = context.get("extra")
    if extra is not None and not isinstance(extra, dict):
        raise _wrong_type("context.extra", "an object, because fields we do not know are kept in it", extra)
    return {**context, "extra": {**(extra or {}), **unknown}}


def _event_id(given: object, index: int, receipt: Receipt) -> EventId:
    if given is not None:
        return EventId(_id(given, "id"))
    if receipt.idempotency_key is not None:
        return derived_event_id("idempotency-key", receipt.project, receipt.idempotency_key, index)
    return new_event_id()


def _wrong_type(field: str, wanted: str, given: object) -> Refused:
    return Refused(Fault("wrong_type", f"`{field}` must be {wanted}, not {_shown(given)}.", field))


def _type_of(given: object) -> str:
    match given:
        case bool():
            return "a truth value"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "a number"


def _shown(given: object) -> str:
    match given:
        case bool():
            return "true" if given else "false"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return f'"{given[:40]}"'
        case _:
            return repr(given)[:40]
