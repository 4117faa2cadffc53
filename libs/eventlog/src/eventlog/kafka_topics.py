"""The suite's topics on Kafka: how they are made, and how far a cluster's topics are from it.

Source: contracts/topics/*.yaml.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, but not so that it is seen
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from eventlog.errors import LogUnavailable, UnknownTopic
from eventlog.kafka_admin import KafkaAdmin
from eventlog.kafka_offsets import KafkaOffsets
from eventmodel import topics

PARTITIONS: Final = 16
REPLICATION: Final = 3
MIN_IN_SYNC: Final = 2
MIN_RETENTION_D: Final = 8

MAX_BATCH_BYTES: Final = topics.MAX_RECORD_BYTES + 65_536
"""The largest batch a topic takes: one record of the largest size and its framing."""

RETENTION_D: Final[Mapping[str, int]] = {
    topics.EVENTS: 8,
    topics.BACKFILL: 8,
    topics.ACTIONS: 30,
    topics.SIGNALS: 30,
    topics.REJECTED: 8,
}

_TIMEOUT_S = 15.0
_RETRY_S = 0.05
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it. `deviations` are sentences: what is wrong and what to do; none is well."""

    name: str
    partitions: int
    replication: int
    deviations: Sequence[str]


def topic_settings(name: str, replication: int = REPLICATION) -> dict[str, str]:
    """The topic-level settings of `name`; fewer replicas than `MIN_IN_SYNC` lower what must be in sync."""
    return {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "max.message.bytes": str(MAX_BATCH_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(min(MIN_IN_SYNC, replication)),
        "retention.bytes": "-1",
        "retention.ms": str(RETENTION_D[name] * _DAY_MS),
        "unclean.leader.election.enable": "false",
    }


async def create_topics(
    bootstrap: str, partitions: int = PARTITIONS, replication: int = REPLICATION
) -> Sequence[str]:
    """Create what is missing; return the names of the topics created. What exists is left as it is.

    Raises LogUnavailable, also with the cluster's reason when it refuses (too few brokers for `replication`).
    """
    return await make_topics(
        bootstrap,
        [
            NewTopic(name, partitions, replication, config=topic_settings(name, replication))
            for name in topics.ALL
        ],
    )


async def possible_replication(bootstrap: str) -> int:
    """How many copies this cluster can keep, `REPLICATION` at most; raises LogUnavailable."""
    client = _client(bootstrap)  # Bound to a name: its requests end with it.
    try:
        cluster = await asyncio.wrap_future(client.describe_cluster(request_timeout=_TIMEOUT_S))
    except KafkaException as error:
        raise LogUnavailable(f"Kafka does not answer at {bootstrap}: {error.args[0].str()}.") from error
    return min(REPLICATION, len(cluster.nodes))


async def make_topics(bootstrap: str, wanted: Sequence[NewTopic]) -> Sequence[str]:
    """Create what is missing of `wanted` and return the names created once they can be written and read."""
    client = _client(bootstrap)  # Bound to a name: its requests end with it.
    pending = client.create_topics(list(wanted), operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S)
    created = []
    for name, future in pending.items():
        try:
            await asyncio.wrap_future(future)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise LogUnavailable(f"Topic {name} could not be created: {error.args[0].str()}") from error
        else:
            created.append(name)
    await _await_leaders(bootstrap, created)
    return created


async def _await_leaders(bootstrap: str, names: Sequence[str]) -> None:
    """The brokers hear of a topic some time after the controller has made it."""
    admin, offsets = KafkaAdmin(bootstrap), KafkaOffsets(bootstrap)
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    waiting = list(names)
    try:
        while waiting:
            try:
                await offsets.heads(await admin.topic(waiting[-1]))
            except (UnknownTopic, LogUnavailable):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_RETRY_S)
            else:
                waiting.pop()
    finally:
        await offsets.close()


async def describe_topics(bootstrap: str) -> Sequence[TopicState]:
    """The suite's topics as they are, in the order of `eventmodel.topics.ALL`; raises LogUnavailable."""
    client = _client(bootstrap)
    described = client.describe_topics(TopicCollection(list(topics.ALL)), request_timeout=_TIMEOUT_S)
    states = []
    for name, future in described.items():
        try:
            found = await asyncio.wrap_future(future)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                states.append(TopicState(name, 0, 0, ["missing: create it with footfall topics --create"]))
                continue
            raise LogUnavailable(f"Kafka did not describe {name}: {error.args[0].str()}") from error
        replication = min(len(partition.replicas) for partition in found.partitions)
        settings = await _settings(client, name)
        states.append(TopicState(name, len(found.partitions), replication, deviations(replication, settings)))
    return states


def deviations(replication: int, settings: Mapping[str, str]) -> Sequence[str]:
    """What in a topic's replication and settings breaks a promise, one sentence each."""
    found = []
    if replication < REPLICATION:
        found.append(
            f"replication factor {replication}: an accepted event may be lost with a disk; use {REPLICATION}"
        )
    if int(settings["min.insync.replicas"]) < MIN_IN_SYNC:
        found.append(
            f"min.insync.replicas {settings['min.insync.replicas']}: an event may be acknowledged that only one "
            f"broker holds; set {MIN_IN_SYNC}"
        )
    if settings["message.timestamp.type"] != "LogAppendTime":
        found.append(
            "message.timestamp.type is not LogAppendTime: recorded_at would be the sender's clock; set it"
        )
    if 0 <= int(settings["retention.ms"]) < MIN_RETENTION_D * _DAY_MS:
        found.append(
            f"retention.ms {settings['retention.ms']}: consumers that are away lose records; "
            f"set at least {MIN_RETENTION_D * _DAY_MS} ({MIN_RETENTION_D} days)"
        )
    if int(settings["retention.bytes"]) >= 0:
        found.append("retention.bytes is set: records leave by size before their time; set -1")
    if settings["cleanup.policy"] != "delete":
        found.append(
            f"cleanup.policy {settings['cleanup.policy']}: events of the same key vanish; set delete"
        )
    if int(settings["max.message.bytes"]) < MAX_BATCH_BYTES:
        found.append(
            f"max.message.bytes {settings['max.message.bytes']}: large events are refused; set {MAX_BATCH_BYTES}"
        )
    if settings["unclean.leader.election.enable"] == "true":
        found.append("unclean.leader.election.enable: acknowledged events may vanish; set false")
    return found


async def _settings(client: AdminClient, topic: str) -> Mapping[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    pending = client.describe_configs([resource], request_timeout=_TIMEOUT_S)
    try:
        entries = await asyncio.wrap_future(pending[resource])
    except KafkaException as error:
        raise LogUnavailable(f"Kafka did not tell the settings of {topic}: {error.args[0].str()}") from error
    return {name: entry.value for name, entry in entries.items()}


def _client(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
