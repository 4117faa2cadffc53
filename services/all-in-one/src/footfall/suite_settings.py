"""The settings of all four services, read from one environment."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from pydantic import SecretStr

from importer.settings import ImporterSettings
from ingest_api.settings import IngestSettings
from lifecycle.failures import SettingsError
from lifecycle.settings import Settings, load
from rule_engine.settings import RuleEngineSettings
from stream_gateway.settings import GatewaySettings

_KINDS: Final[tuple[type[Settings], ...]] = (
    IngestSettings,
    GatewaySettings,
    RuleEngineSettings,
    ImporterSettings,
)


class LogPlace(NamedTuple):
    """Where the log is: Kafka's bootstrap servers, or the URL of a PostgreSQL."""

    kind: Literal["postgres", "kafka"]
    address: str


class SuiteSettings(NamedTuple):
    """Every service's settings. What all services have is the same in each."""

    ingest: IngestSettings
    gateway: GatewaySettings
    rules: RuleEngineSettings
    importer: ImporterSettings

    @property
    def shared(self) -> Settings:
        """What every service has."""
        return self.gateway

    @property
    def database_url(self) -> str:
        """With its password: not for logs."""
        return self.shared.database_url.get_secret_value()

    @property
    def log_place(self) -> LogPlace:
        """Where the log is."""
        if self.shared.log == "kafka":
            return LogPlace("kafka", self.shared.kafka)
        return LogPlace("postgres", self.database_url)

    def with_database(self, url: str) -> "SuiteSettings":
        """The same on another database."""
        database = {"database_url": SecretStr(url)}
        return SuiteSettings(
            ingest=self.ingest.model_copy(update=database),
            gateway=self.gateway.model_copy(update=database),
            rules=self.rules.model_copy(update=database),
            importer=self.importer.model_copy(update=database),
        )


def load_settings(environ: Mapping[str, str]) -> SuiteSettings:
    """All services' settings in one environment; raises SettingsError with everything that is wrong, once."""
    wrong: dict[str, None] = {}
    for kind in _KINDS:
        try:
            load(kind, environ)
        except SettingsError as error:
            wrong.update(dict.fromkeys(str(error).splitlines()))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return SuiteSettings(
        ingest=load(IngestSettings, environ),
        gateway=load(GatewaySettings, environ),
        rules=load(RuleEngineSettings, environ),
        importer=load(ImporterSettings, environ),
    )
