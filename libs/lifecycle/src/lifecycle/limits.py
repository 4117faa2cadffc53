"""How much of the server one connection may take, and how many there may be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one connection, and `max_connections` on all: one more is closed before it says a word.

    A request's headers must be complete `header_s` after the connection opened or their first byte came,
    and within `header_bytes`. A body has `body_s`, and one second more for every `body_bytes_per_s` that
    came; the time the app itself keeps the client waiting does not count. A client that reads nothing for
    `write_s` is cut off; one that is answered before its body came is given `linger_s` to read the answer, and as
    long as it still sends up to `body_s`.
    `keep_alive_s` stays above the 60 s after which common load balancers drop an idle connection.
    """

    header_s: float = 10.0
    header_bytes: int = 65_536
    body_s: float = 30.0
    body_bytes_per_s: int = 16_384
    write_s: float = 30.0
    linger_s: float = 2.0
    keep_alive_s: int = 75
    max_connections: int = 20_000
