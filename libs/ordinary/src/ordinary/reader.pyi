"""What of `reader.pyx` can be called from Python."""

from collections.abc import Mapping

class Reader:
    """Reads bodies that hold nothing but ordinary events; docs/decisions/0023 says which these are."""

    def __init__(
        self,
        *,
        max_events: int,
        max_event_bytes: int,
        max_depth: int,
        max_id_chars: int,
        max_action_chars: int,
        placeholders: frozenset[str],
        default_actions: Mapping[str, str],
        max_ahead_us: int,
        min_skew_us: int,
        max_skew_us: int,
    ) -> None:
        """Under these rules. `placeholders` are in lower case, `default_actions` by kind."""

    def read(
        self,
        body: bytes,
        *,
        project: bytes,
        received_at: bytes,
        received_us: int,
        sender: bytes,
    ) -> list[tuple[bytes, bytes]] | None:
        """The key and value of each event's record in order; None where anything in the body is not ordinary.

        `project` is written as it is. `received_at` and `sender` are JSON, the latter empty where nobody is
        named; `received_us` are microseconds since 1970.
        """
