"""The four services, put together as one on one port, one event loop and one database server."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
from prometheus_client import CollectorRegistry

import eventlog.postgres
import importer.app
import ingest_api.app
import rule_engine.app
import stream_gateway.app
from access.cache import open_access
from access.usage import Usage
from eventlog.errors import UnknownTopic
from eventlog.port import EventLog
from eventmodel import topics
from footfall.routing import Router
from footfall.suite_settings import LogPlace, SuiteSettings
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.health import merged_checks
from lifecycle.service import Service, Task
from telemetry.metrics import Metrics

EMBEDDED_PARTITIONS: Final = 8


class TopicReport(NamedTuple):
    """A topic as it is; `deviations` are sentences about what is wrong with it."""

    name: str
    partitions: int
    detail: str
    deviations: Sequence[str]


async def make_topics(place: LogPlace, partitions: int | None = None, replication: int | None = None) -> None:
    """Create the topics that are missing; what exists stays as it is. Raises LogUnavailable.

    What is not given is as the suite wants it: on Kafka 16 partitions in 3 copies, embedded 8.
    """
    if place.kind == "kafka":
        # Two Kafka clients take a third of a second to load, and most installations have none.
        from eventlog import kafka_topics

        await kafka_topics.create_topics(
            place.address,
            partitions or kafka_topics.PARTITIONS,
            replication or kafka_topics.REPLICATION,
        )
    else:
        await eventlog.postgres.create_topics(place.address, topics.ALL, partitions or EMBEDDED_PARTITIONS)


async def make_possible_topics(place: LogPlace) -> int:
    """Create the topics that are missing, on Kafka in as many copies as it has brokers; the number of copies.

    For a start that should not fail on a small cluster. Raises LogUnavailable.
    """
    if place.kind == "postgres":
        await make_topics(place)
        return 1
    from eventlog import kafka_topics

    replication = await kafka_topics.possible_replication(place.address)
    await make_topics(place, replication=replication)
    return replication


async def report_topics(place: LogPlace) -> list[TopicReport]:
    """All topics of the suite; raises LogUnavailable."""
    if place.kind == "kafka":
        from eventlog import kafka_topics

        return [
            TopicReport(state.name, state.partitions, f"replication {state.replication}", state.deviations)
            for state in await kafka_topics.describe_topics(place.address)
        ]
    async with eventlog.postgres.open_log(place.address) as log:
        return [await _report(log, name) for name in topics.ALL]


async def _report(log: EventLog, name: str) -> TopicReport:
    try:
        topic = await log.topic(name)
    except UnknownTopic as error:
        return TopicReport(name, 0, "", [str(error)])
    kept = sum(await log.heads(name)) - sum(await log.starts(name))
    return TopicReport(name, topic.partitions, f"log {topic.log_id}, {kept:,} records kept", [])


@asynccontextmanager
async def open_suite(settings: SuiteSettings, tasks: Mapping[str, Task]) -> AsyncIterator[Service]:
    """One service that is all four: their paths, tasks, health and metrics, over one log and one clock.

    `tasks` run beside theirs.
    """
    clock = SystemClock()
    registry = CollectorRegistry()
    metrics = Metrics("footfall", registry)
    url = settings.database_url
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings.log_place))

        async def pool(name: str, max_size: int) -> "asyncpg.Pool[asyncpg.Record]":
            return await stack.enter_async_context(open_pool(url, max_size=max_size, application=name))

        access_pool = await pool("footfall access", 2)
        access = await stack.enter_async_context(open_access(access_pool, clock, metrics))
        services = [
            await stack.enter_async_context(
                ingest_api.app.open_service(
                    settings.ingest,
                    log=log,
                    access=access,
                    usage=Usage(access_pool),
                    clock=clock,
                    metrics=Metrics("ingest-api", registry),
                )
            ),
            await stack.enter_async_context(
                stream_gateway.app.open_service(
                    settings.gateway,
                    log=log,
                    pool=await pool("stream-gateway", 12),
                    access=access,
                    clock=clock,
                    metrics=Metrics("stream-gateway", registry),
                )
            ),
            await stack.enter_async_context(
                rule_engine.app.open_service(
                    settings.rules,
                    log=log,
                    pool=await pool("rule-engine", 8),
                    access=access,
                    clock=clock,
                    metrics=Metrics("rule-engine", registry),
                )
            ),
            await stack.enter_async_context(
                importer.app.open_service(
                    settings.importer,
                    log=log,
                    pool=await pool("importer", 4),
                    access=access,
                    clock=clock,
                    metrics=Metrics("importer", registry),
                )
            ),
        ]
        yield _combined(services, {"access": access.run, **tasks}, metrics)


def _combined(services: Sequence[Service], tasks: Mapping[str, Task], metrics: Metrics) -> Service:
    own = {f"{service.name}: {name}": task for service in services for name, task in service.tasks.items()}

    async def drain() -> None:
        ends = await asyncio.gather(*(service.drain() for service in services), return_exceptions=True)
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures:
            raise ExceptionGroup("some services did not drain", failures)

    return Service(
        name="footfall",
        app=Router({service.name: service.app for service in services}),
        tasks={**tasks, **own},
        drain=drain,
        checks=merged_checks(services),
        metrics=metrics,
        express=next((service.express for service in services if service.express is not None), None),
    )


@asynccontextmanager
async def open_log(place: LogPlace) -> AsyncIterator[EventLog]:
    """The log in that place; raises LogUnavailable."""
    if place.kind == "kafka":
        from eventlog import kafka

        async with kafka.open_log(place.address) as kafka_log:
            yield kafka_log
    else:
        async with eventlog.postgres.open_log(place.address) as postgres_log:
            yield postgres_log
