"""Fixtures every member's tests may use: a real PostgreSQL and a real Kafka, started only when asked for."""

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from kafka_broker import Broker, running_broker
from kafka_harness import kafka_harness
from log_harness import LOG_OWNER, LogHarness, memory_harness, postgres_harness
from postgres_server import PostgresServer, running_server
from sdk_stand import SdkStand, sdk_stand

# A machine that is busy is no fault of the code's.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_SERVERS = {
    "postgres_server": pytest.mark.postgres,
    "kafka_broker": pytest.mark.kafka,
    "sdks": pytest.mark.sdk,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a server, so that no one has to remember it."""
    for item in items:
        for fixture, mark in _SERVERS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a fresh, empty database."""
    async with postgres_server.database() as url:
        yield url


@pytest.fixture
async def migrated_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a fresh database with every owner's schema and no rows."""
    async with postgres_server.database(await postgres_server.migrated()) as url:
        yield url


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Broker]:
    with running_broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def own_kafka_broker(kafka_broker: Broker) -> Iterator[Broker]:
    """A broker that tests may end and freeze; the one of FOOTFALL_KAFKA they may not."""
    if kafka_broker.ours:
        yield kafka_broker
    else:
        with running_broker(own=True) as broker:
            yield broker


@pytest.fixture
def kafka_bootstrap(kafka_broker: Broker) -> str:
    return kafka_broker.bootstrap


@pytest.fixture
async def log_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a fresh database with the log's schema alone, and no topic."""
    async with postgres_server.database(await postgres_server.migrated([LOG_OWNER])) as url:
        yield url


@pytest.fixture(
    params=[
        "memory",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[LogHarness]:
    """Each adapter of the log in turn, for the contract suite."""
    if request.param == "memory":
        opening = memory_harness()
    elif request.param == "kafka":
        opening = kafka_harness(request.getfixturevalue("own_kafka_broker"))
    else:
        opening = postgres_harness(request.getfixturevalue("postgres_server"))
    async with opening as harness:
        yield harness


@pytest.fixture
async def sdks() -> AsyncIterator[SdkStand]:
    """A served ingest-api for the unmodified SDKs of other vendors."""
    async with sdk_stand() as stand:
        yield stand
