"""Tests never skip Kafka in silence: they find a broker or say what to do."""

import pytest

import kafka_broker
from kafka_broker import running_broker


def test_without_any_kafka_the_error_names_the_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOOTFALL_KAFKA", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(RuntimeError, match=r"FOOTFALL_KAFKA.*container engine.*Java 17"), running_broker():
        pytest.fail("found one")


def test_a_broker_of_others_is_not_touched() -> None:
    theirs = kafka_broker._GivenBroker("broker.example:9092")
    assert not theirs.ours
    for touch in (theirs.kill, theirs.stop, theirs.freeze, theirs.thaw):
        with pytest.raises(RuntimeError, match="FOOTFALL_KAFKA"):
            touch()
