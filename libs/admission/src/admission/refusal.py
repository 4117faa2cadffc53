"""Why something is not admitted, in words its sender can act on.

BodyRefused    the body as a whole; none of its events was looked at
Refused        one event of a body; becomes a Rejection with its index
"""

from typing import Literal, NamedTuple, TypeAlias

Reason: TypeAlias = Literal["malformed", "too_large", "unsupported"]


class Fault(NamedTuple):
    """What is wrong with an event: a stable code, a sentence, the dotted path and what to do."""

    code: str
    message: str
    field: str | None = None
    hint: str | None = None


class Refused(Exception):
    """One event is at fault; the others of its body are not."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class BodyRefused(Exception):
    """The whole body is at fault. `reason` is what a caller maps to a status; sending it again cannot help."""

    def __init__(self, reason: Reason, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.message = message
        self.hint = hint
