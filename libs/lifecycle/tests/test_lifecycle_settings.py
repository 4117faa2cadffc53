"""Settings: everything that is wrong is said at once, nothing secret is, nothing misspelt passes."""

import pytest
from pydantic import Field, SecretStr, ValidationError

from lifecycle.failures import SettingsError
from lifecycle.settings import Settings, load

GOOD = {"FOOTFALL_DATABASE_URL": "postgresql://u:hunter2@db/footfall", "FOOTFALL_LOG": "postgres"}


class ProbeSettings(Settings):
    """A service's settings."""

    origins: tuple[str, ...] = Field(default=(), description="Origins.")
    smtp_password: SecretStr | None = Field(default=None, description="A secret.", min_length=8)
    window_s: int = Field(default=5, description="A window.")


def _wrong(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(ProbeSettings, environ)
    return str(caught.value)


def test_values_come_from_the_environment_given_and_from_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_PORT", "1")
    settings = load(
        ProbeSettings, {**GOOD, "FOOTFALL_ORIGINS": "https://a.example, https://b.example", "PATH": "/"}
    )
    assert settings.port == 8080
    assert settings.origins == ("https://a.example", "https://b.example")
    assert settings.database_url.get_secret_value() == "postgresql://u:hunter2@db/footfall"
    assert ProbeSettings(database_url=SecretStr("postgresql://x"), log="postgres").port == 8080


def test_all_errors_come_in_one_text_with_their_variables() -> None:
    text = _wrong({"FOOTFALL_PORT": "eighty", "FOOTFALL_DRAIN_S": "-1", "FOOTFALL_PROT": "1"})
    assert "FOOTFALL_DATABASE_URL is missing. Where PostgreSQL is" in text
    assert "FOOTFALL_PORT should be a valid integer" in text
    assert "'eighty'" in text
    assert "FOOTFALL_DRAIN_S should be greater than or equal to 0" in text
    assert "FOOTFALL_PROT is not a setting: did you mean FOOTFALL_PORT?" in text
    assert "FOOTFALL_KAFKA is missing, and the log is kafka" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("FOOTFALL_DATABASE_URL", "mysql://u:hunter2@db"), ("FOOTFALL_SMTP_PASSWORD", "hunter2")],
)
def test_a_wrong_secret_is_not_repeated(name: str, value: str) -> None:
    text = _wrong({**GOOD, name: value})
    assert name in text
    assert "hunter2" not in text


def test_a_misspelt_own_setting_is_recognised() -> None:
    assert "did you mean FOOTFALL_WINDOW_S?" in _wrong({**GOOD, "FOOTFALL_WINDOWS_S": "5"})


def test_a_name_like_no_other_is_refused_too() -> None:
    assert "FOOTFALL_ZZZ is not a setting: remove it" in _wrong({**GOOD, "FOOTFALL_ZZZ": "1"})


def test_settings_of_other_members_and_commands_are_no_error() -> None:
    load(
        ProbeSettings, {**GOOD, "FOOTFALL_URL": "https://x", "FOOTFALL_KEY": "k", "FOOTFALL_KAFKA": "k:9092"}
    )


def test_what_kubernetes_sets_is_ignored() -> None:
    injected = {
        "FOOTFALL_INGEST_API_SERVICE_HOST": "10.0.0.1",
        "FOOTFALL_INGEST_API_SERVICE_PORT": "80",
        "FOOTFALL_INGEST_API_SERVICE_PORT_HTTP": "80",
        "FOOTFALL_INGEST_API_PORT": "tcp://10.0.0.1:80",
        "FOOTFALL_INGEST_API_PORT_80_TCP": "tcp://10.0.0.1:80",
        "FOOTFALL_INGEST_API_PORT_80_TCP_ADDR": "10.0.0.1",
        "FOOTFALL_SERVICE_HOST": "10.0.0.2",
        "FOOTFALL_PORT": "tcp://10.0.0.2:80",
        "FOOTFALL_PORT_80_TCP_PROTO": "tcp",
    }
    assert load(ProbeSettings, {**GOOD, **injected}).port == 8080


def test_our_own_port_is_still_read() -> None:
    assert load(ProbeSettings, {**GOOD, "FOOTFALL_PORT": "9000"}).port == 9000


def test_an_empty_variable_is_an_unset_one() -> None:
    assert load(ProbeSettings, {**GOOD, "FOOTFALL_PORT": "", "FOOTFALL_ADMIN_TOKEN": ""}).admin_token is None


def test_kafka_is_only_needed_for_the_kafka_log() -> None:
    assert load(ProbeSettings, GOOD).kafka == ""
    kafka = {**GOOD, "FOOTFALL_LOG": "kafka", "FOOTFALL_KAFKA": "a:9092"}
    assert load(ProbeSettings, kafka).kafka == "a:9092"
    assert "set it to Kafka's bootstrap servers" in _wrong({**GOOD, "FOOTFALL_LOG": "kafka"})


def test_settings_do_not_change_and_do_not_show_secrets() -> None:
    settings = load(ProbeSettings, GOOD)
    with pytest.raises(ValidationError):
        settings.port = 1
    assert "hunter2" not in repr(settings)


def test_the_deadlines_reach_the_limits() -> None:
    limits = load(
        ProbeSettings, {**GOOD, "FOOTFALL_HEADER_DEADLINE_S": "3", "FOOTFALL_BODY_DEADLINE_S": "7"}
    ).limits
    assert (limits.header_s, limits.body_s) == (3, 7)
