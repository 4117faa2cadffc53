"""What an operator may set for ingest-api."""

from pathlib import Path

from pydantic import Field

from lifecycle.settings import Settings


class IngestSettings(Settings):
    """Bounds on what is taken in at once. A body's own bounds are fixed: admission/limits.py."""

    ack_timeout_s: float = Field(
        1.8,
        gt=0,
        le=60,
        description="Seconds after which a request whose events the log has not stored yet is answered 503.",
    )
    max_inflight_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes of bodies worked on at once, as received plus as decoded; more are answered 503.",
    )
    project_events_per_s: int = Field(
        20_000,
        ge=1,
        description="Events a second that one project may send to one process, ten seconds' worth at once; more "
        "are answered 429.",
    )
    project_rejected_per_minute: int = Field(
        600,
        ge=0,
        description="Rejected events a minute that are kept in footfall.rejected for one project and process; all "
        "are answered and counted.",
    )
    spool_dir: Path | None = Field(
        default=None,
        description="A directory of this process's own where events survive while the log is away: they are "
        "answered 200 once they are on its disk, and go to the log in order. Unset: such events are answered 503.",
    )
    spool_max_bytes: int = Field(
        default=1024 * 1024 * 1024,
        ge=16 * 1024 * 1024,
        description="Bytes that may wait in `spool_dir`; more are answered 503.",
    )
