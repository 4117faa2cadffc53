"""What a vendor's decoder is given and gives back, and what its answer is made of."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Scope

from admission import Admitted, BodyRefused, Fault
from ingest_api.bodies import header
from lifecycle.errors import Problem

MAX_FIELDS: Final = 1_000
"""Fields of a query string or form."""


class Request:
    """One request as decoders see it: `path` lies below `/compat/<vendor>` and ends in no slash.

    `parameters` are the path's `{…}`, percent-decoded. `body` is as read, its compression undone.
    """

    def __init__(
        self, scope: Scope, vendor: str, path: str, parameters: Mapping[str, str], body: bytes
    ) -> None:
        self._scope = scope
        self.method: str = scope["method"]
        self.vendor = vendor
        self.path = path
        self.parameters = parameters
        self.body = body

    def header(self, name: bytes) -> str:
        """The header's value, or the empty string; `name` in lower case."""
        return header(self._scope, name)

    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """All headers, names in lower case."""
        found: Sequence[tuple[bytes, bytes]] = self._scope["headers"]
        return found

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query's fields, percent-decoded; of a repeated name the first. Raises BodyRefused."""
        return fields_of(self._scope["query_string"])

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The body's fields, as the query's; none of a body that is JSON. Raises BodyRefused."""
        return {} if self.body.lstrip()[:1] in (b"", b"{", b"[") else fields_of(self.body)

    @cached_property
    def origin(self) -> str:
        """Where this request came in, `https://host` and a mount for it, as its sender addressed it."""
        host = self.header(b"x-forwarded-host") or self.header(b"host")
        scheme = self.header(b"x-forwarded-proto") or self._scope.get("scheme", "http")
        mount = f"/compat/{self.vendor}" if self._scope["path"].startswith(f"/compat/{self.vendor}/") else ""
        return f"{scheme}://{host}{mount}"


class Item(NamedTuple):
    """One event of a request: `given` in the native API's fields, or why there are none.

    `at` is the place of `source`, the sender's own item, in the request; several events may share it.
    `source` is bytes or a JSON value, and is kept when the event is refused. An address that the sender names goes
    to `context.ip`; "0.0.0.0" there says that none is to be recorded, not even a browser's.
    """

    at: int
    given: Mapping[str, Any] | Fault
    source: Any


class Decoded(NamedTuple):
    """The events of a request, and the key its body or query names.

    `imported` says that the vendor keeps this call for bringing in history: what is old of it is no live event.
    """

    key: str | None
    items: Sequence[Item]
    imported: bool = False


class Outcome(NamedTuple):
    """What became of a request's items: what was admitted, or the problem that kept all of it out.

    `headers` are added to the answer, whatever its form.
    """

    admitted: Admitted | None
    problem: Problem | None = None
    items: Sequence[Item] = ()
    headers: Sequence[tuple[bytes, bytes]] = ()

    def refusal(self) -> Problem | None:
        """Why nothing was taken: the problem, or of rejected events the first one's; None if any was taken."""
        admitted = self.admitted
        if admitted is None or admitted.taken or not admitted.rejections:
            return self.problem
        first = admitted.rejections[0]
        return Problem(400, first.code, first.message, field=first.field, hint=first.hint)


class Reply(NamedTuple):
    """An answer in the vendor's own form."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = {}


class EventProtocol(NamedTuple):
    """A vendor's way to send events. `decode` raises BodyRefused; `answer` sees every outcome but a bug."""

    decode: Callable[[Request], Decoded]
    answer: Callable[[Request, Outcome], Reply]


class Call(NamedTuple):
    """Something an SDK asks beside sending events, answered from the request alone."""

    answer: Callable[[Request], Reply]


def fields_of(text: bytes) -> Mapping[str, str]:
    """The fields of a query string or form; of a repeated name the first. Raises BodyRefused."""
    try:
        pairs = parse_qsl(text.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BodyRefused(
            "malformed", "too_many_fields", f"The request has more than {MAX_FIELDS:,} fields."
        ) from error
    return dict(reversed(pairs))
