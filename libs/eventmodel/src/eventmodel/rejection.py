"""Why an event was not accepted, in words its sender can act on."""

from datetime import datetime
from typing import Literal

import msgspec

from eventmodel.event import ProjectId
from eventmodel.sender import Sender


class Rejection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The verdict on one refused event of a body.

    `index` counts from 0 in the order of the body. `code` is stable and machine-readable, `message` a
    sentence, `field` the dotted path in the sender's own names, `hint` what to do.
    """

    index: int
    code: str
    message: str
    field: str | None = None
    hint: str | None = None


class RejectedRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refused event as it is kept in `footfall.rejected`: the reason, the place and the bytes.

    `body` holds the sender's bytes, as text when they are UTF-8, else base64 (`body_encoding`), cut at
    the topic's bound (`body_truncated`). `source` is `ingest`, `import` or `consumer`; `place` says where
    in it: an index in a request, a byte offset in a file, a record's position. `sender` is known of what
    ingest refused. `event` is the event as one object of the native API, in JSON, where the body is in another
    vendor's form and could be mapped; left out where it is larger than what is kept of a body, never cut.
    `quarantined`: the plan set it aside, its sender was answered as if it were stored, and `event`, else `body`, is
    whole.
    Source: contracts/schemas/rejection.v1.json.
    """

    id: str
    project: ProjectId
    received_at: datetime
    source: Literal["ingest", "import", "consumer"]
    code: str
    message: str
    place: dict[str, int | str]
    body: str
    body_encoding: Literal["utf-8", "base64"] = "utf-8"
    body_truncated: bool = False
    field: str | None = None
    hint: str | None = None
    run: str | None = None
    sender: Sender | None = None
    event: str | None = None
    quarantined: bool = False
