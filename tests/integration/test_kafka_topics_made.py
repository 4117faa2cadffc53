"""The suite's topics, made and examined on a real broker."""

from collections.abc import Iterator

import pytest

from eventlog.errors import LogUnavailable
from eventlog.kafka import open_log
from eventlog.kafka_topics import create_topics, describe_topics
from eventmodel import topics
from kafka_broker import Broker, running_broker


@pytest.fixture(scope="module")
def empty_broker() -> Iterator[Broker]:
    with running_broker(own=True) as broker:
        yield broker


@pytest.mark.kafka
async def test_topics_are_made_once_and_examined(empty_broker: Broker) -> None:
    missing = await describe_topics(empty_broker.bootstrap)
    assert [state.name for state in missing] == list(topics.ALL)
    assert all("missing" in state.deviations[0] for state in missing)

    assert set(await create_topics(empty_broker.bootstrap, 8, 1)) == set(topics.ALL)
    assert await create_topics(empty_broker.bootstrap, 8, 1) == []

    for state in await describe_topics(empty_broker.bootstrap):
        assert (state.partitions, state.replication) == (8, 1)
        # One broker can hold no more copies; all the rest is as it must be.
        assert [deviation.split()[0] for deviation in state.deviations] == [
            "replication",
            "min.insync.replicas",
        ]
    async with open_log(empty_broker.bootstrap) as log:
        assert {(await log.topic(name)).partitions for name in topics.ALL} == {8}


@pytest.mark.kafka
async def test_more_copies_than_brokers_are_refused_in_words() -> None:
    with (
        running_broker(own=True) as broker,
        pytest.raises(LogUnavailable, match=r"could not be created.*replication factor"),
    ):
        await create_topics(broker.bootstrap, 8, 3)
