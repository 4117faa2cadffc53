"""What can go wrong with a log, by what the caller does about it.

LogError
├── LogUnavailable     retry later; the outcome of an append is unknown
│   └── LogBusy        retry later; nothing was stored
├── MessageTooLarge    the sender's fault; nothing was stored
├── UnknownTopic       the operator creates it
├── Truncated          the position is gone: announce a gap, or start again from the start
├── BeyondHead         the position was never written here: refuse to run
├── LogMismatch        the positions belong to another life of the topic: refuse to run
└── PartitionsChanged  the topic has another number of partitions than what was made from it: refuse to repair
"""


class LogError(Exception):
    """The root; never raised itself."""


class LogUnavailable(LogError):
    """The log did not answer in time. What was being appended may or may not be stored."""

    def __init__(self, message: str, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LogBusy(LogUnavailable):
    """The appender's queue is full; nothing of this call was stored."""


class MessageTooLarge(LogError):
    """Message `index` of the call is larger than the topic takes; nothing was stored."""

    def __init__(self, index: int, size_bytes: int, max_bytes: int) -> None:
        super().__init__(f"Message {index} has {size_bytes:,} bytes; the topic takes {max_bytes:,}.")
        self.index = index
        self.size_bytes = size_bytes
        self.max_bytes = max_bytes


class UnknownTopic(LogError):
    """The topic does not exist."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"Topic {topic} does not exist. Create it with: footfall topics --create")
        self.topic = topic


class Truncated(LogError):
    """The records between `position` and `start` have left the log."""

    def __init__(self, topic: str, part: int, position: int, start: int) -> None:
        super().__init__(
            f"{topic}/{part}: position {position} is older than the oldest kept record, {start}."
        )
        self.topic = topic
        self.part = part
        self.position = position
        self.start = start


class BeyondHead(LogError):
    """`position` was never reached by this log: it was restored from an older copy, or is another log."""

    def __init__(self, topic: str, part: int, position: int, head: int) -> None:
        super().__init__(
            f"{topic}/{part}: position {position} lies beyond the head, {head}. The log is older than the "
            "positions kept beside it: restore the newer log, or run footfall verify to rebuild."
        )
        self.topic = topic
        self.part = part
        self.position = position
        self.head = head


class LogMismatch(LogError):
    """Stored positions carry the log id `expected`; the topic's is `found`."""

    def __init__(self, topic: str, expected: str, found: str) -> None:
        super().__init__(
            f"{topic}: positions belong to log {expected}, but the topic is log {found}. The topic was made "
            "anew or its partition count changed; run footfall verify to rebuild from history."
        )
        self.topic = topic
        self.expected = expected
        self.found = found


class PartitionsChanged(LogError):
    """The topic has `found` partitions; positions are stored for `expected`."""

    def __init__(self, topic: str, expected: int, found: int) -> None:
        super().__init__(
            f"{topic} has {found} partitions, but what was made from it has {expected}: with another number, a "
            f"user's events would go to another part than before. Delete the topic and make it anew with "
            f"footfall topics --create --partitions {expected}, then repair again."
        )
        self.topic = topic
        self.expected = expected
        self.found = found
