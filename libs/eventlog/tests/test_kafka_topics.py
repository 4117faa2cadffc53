"""The topics as the contracts have them and as they are made on Kafka are the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from eventlog import kafka_topics
from eventlog.kafka_topics import deviations, topic_settings
from eventmodel import topics

CONTRACTS = Path(__file__).parents[3] / "contracts" / "topics"


def _contracts() -> dict[str, dict[str, Any]]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in CONTRACTS.glob("*.yaml")}


def test_every_topic_has_a_contract_and_every_contract_a_topic() -> None:
    contracts = _contracts()
    assert set(contracts) == set(topics.ALL) == set(kafka_topics.RETENTION_D)
    assert all(contract["name"] == name for name, contract in contracts.items())


@pytest.mark.parametrize("name", topics.ALL)
def test_a_topic_is_made_as_its_contract_says(name: str) -> None:
    contract = _contracts()[name]
    settings = {setting: _text(value) for setting, value in contract["kafka"]["settings"].items()}
    assert settings == topic_settings(name)
    assert contract["kafka"]["replication"] == kafka_topics.REPLICATION
    assert contract["partitions"] == kafka_topics.PARTITIONS
    assert contract["max_record_bytes"] == topics.MAX_RECORD_BYTES
    assert contract["retention_d"] == kafka_topics.RETENTION_D[name] >= kafka_topics.MIN_RETENTION_D


@pytest.mark.parametrize("name", topics.ALL)
def test_a_contract_says_who_writes_and_who_reads(name: str) -> None:
    contract = _contracts()[name]
    services = {"ingest-api", "stream-gateway", "rule-engine", "importer"}
    assert set(contract) == {
        *("name", "purpose", "key", "schema", "partitions", "embedded_partitions", "max_record_bytes"),
        *("retention_d", "producers", "consumers", "kafka"),
    }
    assert contract["producers"]
    assert services.issuperset(contract["producers"])
    assert contract["consumers"]
    assert services.issuperset(contract["consumers"])


def test_topics_as_they_are_made_have_no_deviation() -> None:
    for name in topics.ALL:
        assert deviations(kafka_topics.REPLICATION, topic_settings(name)) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cleanup.policy", "compact"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.type", "CreateTime"),
        ("min.insync.replicas", "1"),
        ("retention.bytes", "1000"),
        ("retention.ms", str(7 * 86_400_000)),
        ("unclean.leader.election.enable", "true"),
    ],
)
def test_a_setting_that_breaks_a_promise_is_named(setting: str, value: str) -> None:
    (found,) = deviations(3, {**topic_settings(topics.EVENTS), setting: value})
    assert found.startswith(setting)


def test_too_few_replicas_are_named() -> None:
    (found,) = deviations(2, topic_settings(topics.EVENTS))
    assert found.startswith("replication factor 2")


def test_records_that_are_kept_for_ever_are_kept_long_enough() -> None:
    assert deviations(3, {**topic_settings(topics.EVENTS), "retention.ms": "-1"}) == []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
