"""Which key sent an event, and with what."""

import msgspec


class Sender(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who handed in an event or a refused one, as ingest saw it: never what the sender says of its key.

    `key` is the public id of the key, `sdk` a name like `analytics-node/2.1.0`: at most 64 printable ASCII
    characters without spaces.
    """

    key: str | None = None
    sdk: str | None = None
