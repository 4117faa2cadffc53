"""What an operator may set for the rule engine."""

from pydantic import Field

from lifecycle.settings import Settings


class RuleEngineSettings(Settings):
    """Settings of rules and their actions."""

    rules_per_project: int = Field(
        1_000, ge=1, description="Active rules one project may have; the next one is refused."
    )
