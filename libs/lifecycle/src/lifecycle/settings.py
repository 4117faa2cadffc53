"""What an operator may set, read once from the environment and checked as a whole."""

import difflib
import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Literal, TypeVar, get_origin

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lifecycle.failures import SettingsError
from lifecycle.known_settings import KNOWN
from lifecycle.limits import Limits

PREFIX = "FOOTFALL_"
# Kubernetes describes every service of the namespace in each container's environment.
_KUBERNETES = re.compile(r"FOOTFALL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\w+)?)")
_LINK = re.compile(r"(tcp|udp|sctp)://")


class Settings(BaseSettings):
    """What every service has. A service adds its own fields, each with a `description` for docs/settings.md.

    Frozen; units stand in the names (`_s`, `_bytes`); secrets are SecretStr; a tuple is written with commas.
    Constructing one reads nothing but its arguments; `load` reads an environment.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,
        hide_input_in_errors=True,
        validate_default=True,
    )

    host: str = Field(default="127.0.0.1", description="The address to listen on; 0.0.0.0 for all of them.")
    port: int = Field(default=8080, ge=0, le=65535, description="The TCP port to listen on.")
    database_url: SecretStr = Field(
        description="Where PostgreSQL is: postgresql://user:password@host:5432/database."
    )
    log: Literal["postgres", "kafka"] = Field(
        default="kafka",
        description="What keeps the event log: `kafka`, or `postgres` for small installations.",
    )
    kafka: str = Field(
        default="",
        description="Kafka's bootstrap servers, host:port with commas between; required for the log `kafka`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important lines to write."
    )
    log_form: Literal["json", "console"] = Field(
        default="json", description="One JSON object a line, or coloured lines for people."
    )
    drain_s: float = Field(
        default=5,
        ge=0,
        le=3600,
        description="Seconds from the signal to stop to the end: goodbyes to streams, requests in flight.",
    )
    header_deadline_s: float = Field(
        default=10,
        gt=0,
        le=3600,
        description="Seconds a request's headers may take to arrive before the server hangs up.",
    )
    body_deadline_s: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="Seconds a request's body may take, plus one for each 16 KiB that came.",
    )
    max_connections: int = Field(
        default=20_000,
        ge=10,
        description="Connections open at once, streams among them; the next is closed unheard. Each needs a file "
        "descriptor: keep it below the process's limit.",
    )
    admin_token: SecretStr | None = Field(
        default=None, description="Whoever sends it as a bearer token may create and delete projects."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses and networks (10.0.0.0/8) of proxies in front, with commas between: only they are "
        "believed in X-Forwarded-For and X-Forwarded-Proto.",
    )

    @property
    def limits(self) -> Limits:
        """The bounds on one connection, for `lifecycle.process.run`."""
        return Limits(
            header_s=self.header_deadline_s,
            body_s=self.body_deadline_s,
            max_connections=self.max_connections,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _split(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, str) and get_origin(field.annotation) is tuple:
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must look like postgresql://user:password@host:5432/database")
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(
                    "holds addresses or networks of proxies, such as 10.0.0.7 or 10.0.0.0/8"
                ) from error
        return proxies

    @field_validator("kafka")
    @classmethod
    def _is_set_for_kafka(cls, servers: str, info: ValidationInfo) -> str:
        if not servers and info.data.get("log") == "kafka":
            raise ValueError(
                "is missing, and the log is kafka: set it to Kafka's bootstrap servers, "
                "such as kafka-1:9092,kafka-2:9092, or set FOOTFALL_LOG=postgres"
            )
        return servers


S = TypeVar("S", bound=Settings)


def load(kind: type[S], environ: Mapping[str, str]) -> S:
    """The settings of this kind in the environment.

    Raises SettingsError with all that is wrong, one line each: the variable, what is wrong, what helps.
    A FOOTFALL_ variable nobody reads is an error; another member's, or one that Kubernetes sets, is not.
    """
    own = {variable(name): field for name, field in kind.model_fields.items()}
    given = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not _injected(name, value, own)
    }
    wrong = [_unknown(name, own) for name in sorted(given) if name not in own and name not in KNOWN]
    source = EnvSettingsSource(kind)
    source.env_vars = {name.lower(): value for name, value in given.items() if name in own and value}
    try:
        settings = kind(**source())
    except ValidationError as error:
        wrong += [
            _sentence(kind, given, details["loc"], details["type"], details["msg"])
            for details in error.errors()
        ]
    if wrong:
        raise SettingsError("\n".join(["The settings are not right:", *(f"  {line}" for line in wrong)]))
    return settings


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _injected(name: str, value: str, own: Mapping[str, FieldInfo]) -> bool:
    if name in own or name in KNOWN:
        # A Kubernetes service named `footfall` makes FOOTFALL_PORT an address.
        return name == "FOOTFALL_PORT" and _LINK.match(value) is not None
    return _KUBERNETES.fullmatch(name) is not None


def _unknown(name: str, own: Mapping[str, FieldInfo]) -> str:
    others = {known.removeprefix(PREFIX): known for known in sorted(KNOWN | own.keys())}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), others, n=1)
    advice = (
        f"did you mean {others[near[0]]}?" if near else "remove it; docs/settings.md lists those there are."
    )
    return f"{name} is not a setting: {advice}"


def _sentence(
    kind: type[Settings], given: Mapping[str, str], location: tuple[int | str, ...], problem: str, said: str
) -> str:
    if not location:
        return said.removeprefix("Value error, ")
    field = kind.model_fields[str(location[0])]
    name = variable(str(location[0]))
    if problem == "missing":
        return f"{name} is missing. {field.description or ''}".rstrip()
    value = given.get(name, "")
    shown = f" (it is {value[:80]!r})" if value and not _is_secret(field) else ""
    return f"{name} {_lower(said.removeprefix('Value error, '))}{shown}."


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def _lower(said: str) -> str:
    return said.replace("Input should", "should", 1)
