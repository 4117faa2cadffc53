"""How a record looks to readers: the same JSON on the stream, in history and in answers."""

from datetime import UTC

from eventlog.port import Record

# Line ends to many readers of lines, though not to JSON or to an event stream.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def shown(record: Record) -> str:
    """The record's JSON with the log's append time, `recorded_at`, as its last member; one line for any reader."""
    at = record.recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    text = record.value[:-1].decode()
    if not text.isascii():
        text = text.translate(_LINE_ENDS)
    return f'{text},"recorded_at":"{at}"}}'
