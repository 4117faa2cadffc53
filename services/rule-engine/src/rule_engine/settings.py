"""What an operator may set for the rule engine."""

from pathlib import Path

from pydantic import Field

from lifecycle.settings import Settings


class RuleEngineSettings(Settings):
    """Settings of rules and their actions."""

    rules_per_project: int = Field(
        1_000, ge=1, description="Active rules one project may have; the next one is refused."
    )
    country_database: Path | None = Field(
        default=None,
        description="A file in MaxMind's format (.mmdb) that knows the country of an IP address; none comes with "
        "Footfall. Events whose context keeps an address then tell it. A new file is noticed within a minute.",
    )
