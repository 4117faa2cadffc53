"""What an operator may set for stream-gateway."""

from pathlib import Path

from pydantic import Field

from lifecycle.settings import Settings


class GatewaySettings(Settings):
    """Settings of the read model and the streams."""

    history_months: int = Field(
        default=24,
        ge=1,
        le=240,
        description="Months of history with a partition each when the read model is made.",
    )
    max_streams: int = Field(
        default=10_000, ge=1, description="Open streams one process holds before it answers 503."
    )
    resume_max_records: int = Field(
        default=200_000,
        ge=0,
        description="Records a reconnecting stream may have read from the log before a gap is announced instead.",
    )
    country_database: Path | None = Field(
        default=None,
        description="A file in MaxMind's format (.mmdb) that knows the country of an IP address; none comes with "
        "Footfall. Events whose context keeps an address then tell it. A new file is noticed within a minute.",
    )
