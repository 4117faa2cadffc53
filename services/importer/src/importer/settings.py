"""What an operator may set of the importer."""

from pathlib import Path

from pydantic import Field

from lifecycle.settings import Settings


class ImporterSettings(Settings):
    """The importer's settings, all of them FOOTFALL_… variables."""

    import_spool_dir: Path = Field(
        Path("/var/lib/footfall/imports"),
        description="Where uploaded files wait until their import is over; replicas that share it share the work.",
    )
    import_max_bytes: int = Field(
        10 * 1024**3, ge=1024, description="The largest file an import takes, in bytes as uploaded."
    )
    import_max_events_per_s: int = Field(
        3_000,
        ge=1,
        description="How many events a second one importer appends, so that live traffic goes first.",
    )
