"""What each source makes of a line: an event's record, a rule that skips it, or the reason it is refused."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec

from admission import BodyRefused, Wire, admit, admit_event
from eventmodel import ProjectId, Rejection, derived_event_id
from importer.access_log import BadLine, parse, split_request
from importer.frames import Job
from importer.noise import Rule, noise
from importer.spooled import MAX_LINE_BYTES, Line
from importer.visits import visit_event
from policy import Policy, Privacy, compile_policy


class Skipped(NamedTuple):
    """The line says nothing about a customer, by this rule."""

    rule: Rule


class Refusal(NamedTuple):
    """The line should have become an event and did not."""

    code: str
    message: str
    field: str | None = None
    hint: str | None = None
    kept: bytes | None = b""
    """What may be kept of the line; None for nothing at all."""


Outcome: TypeAlias = Wire | Skipped | Refusal
LineReader: TypeAlias = Callable[[Line], Outcome]


def line_reader(job: Job) -> LineReader:
    """The function that reads the job's lines; equal lines at equal places give equal records."""
    read = {"access-log": _read_visit, "ndjson": _read_event}[job.source]
    policy = compile_policy(job.privacy, job.hash_key, job.tracking_plan)

    def read_line(line: Line) -> Outcome:
        if not line.text or line.text.isspace():
            return Skipped("blank")
        if line.too_long:
            outcome: Outcome = Refusal("line_too_long", f"The line has more than {MAX_LINE_BYTES:,} bytes.")
        else:
            outcome = read(job, line, policy)
        if isinstance(outcome, Refusal):
            return outcome._replace(kept=_kept(job, line, policy.privacy))
        return outcome

    return read_line


def _kept(job: Job, line: Line, privacy: Privacy) -> bytes | None:
    if job.source == "ndjson":
        return privacy.of_body(line.text, None)
    address, space, rest = line.text.partition(b" ")
    kept = privacy.of_address(address.decode(errors="replace"))
    return privacy.of_unknown((b"-" if kept is None else kept.encode()) + space + rest, None)


def _read_visit(job: Job, line: Line, policy: Policy) -> Outcome:
    try:
        visit = parse(line.text)
    except BadLine as bad:
        return Refusal(bad.code, str(bad), bad.field)
    request = split_request(visit.request)
    if request is None:
        return Skipped("not_http")
    rule = noise(request.method, request.path, visit.status or 0, visit.agent)
    if rule is not None:
        return Skipped(rule)
    event_id = derived_event_id(job.source, job.identity, line.offset, line.text)
    event = visit_event(visit, request, event_id=event_id, account=job.account, salt=job.salt)
    outcome = admit_event(
        event,
        project=ProjectId(job.project),
        received_at=job.received_at,
        origin="import",
        run=job.run,
        policy=policy,
    )
    return _refusal(outcome) if isinstance(outcome, Rejection) else outcome


def _read_event(job: Job, line: Line, policy: Policy) -> Outcome:
    text = line.text if job.account is None else _with_account(line.text, job.account)
    digest = hashlib.blake2b(line.text, digest_size=16).hexdigest()
    try:
        admitted = admit(
            text,
            project=ProjectId(job.project),
            received_at=job.received_at,
            origin="import",
            run=job.run,
            # Only what has no id of its own gets one of it.
            idempotency_key=f"{job.source}:{job.identity}:{line.offset}:{digest}",
            policy=policy,
        )
    except BodyRefused as refused:
        return Refusal(refused.code, refused.message, None, refused.hint)
    for rejection in (*admitted.rejections, *admitted.quarantined):
        return _refusal(rejection)
    if len(admitted.messages) != 1:
        return Refusal("not_one_event", f"The line holds {len(admitted.messages)} events; it must hold one.")
    return admitted.messages[0]


def _with_account(text: bytes, account: str) -> bytes:
    """The object with the run's account, where it names none; anything else unchanged, to be refused as it is."""
    try:
        event = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text
    if not isinstance(event, dict) or "account" in event:
        return text
    # Put in as text: decoding and encoding would mend what admission refuses.
    rest = text.lstrip()[1:]
    comma = b"," if event else b""
    return b'{"account":' + msgspec.json.encode(account) + comma + rest


def _refusal(rejection: Rejection) -> Refusal:
    return Refusal(rejection.code, rejection.message, rejection.field, rejection.hint)
