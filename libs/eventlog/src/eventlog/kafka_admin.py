"""What the adapter asks a Kafka cluster: whether it answers, and which topic a name stands for."""

import asyncio
import hashlib

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from eventlog.errors import LogUnavailable, UnknownTopic
from eventlog.port import Topic

_TIMEOUT_S = 2.0


class KafkaAdmin:
    """Questions to the cluster; every one is answered or fails within about 2 s."""

    def __init__(self, bootstrap: str) -> None:
        # Its own log lines would go to stderr past the process's logging; errors come with each answer.
        self._client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    async def topic(self, name: str) -> Topic:
        """Raises UnknownTopic or LogUnavailable."""
        asked = self._client.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT_S)
        try:
            described = await asyncio.wrap_future(asked[name])
        except KafkaException as error:
            raise log_error(error.args[0], name) from error
        partitions = len(described.partitions)
        return Topic(name, _log_id(str(described.topic_id), partitions), partitions)

    async def ping(self) -> None:
        """Return when a broker answers; raises LogUnavailable."""
        try:
            await asyncio.wrap_future(self._client.describe_cluster(request_timeout=_TIMEOUT_S))
        except KafkaException as error:
            raise LogUnavailable(f"Kafka does not answer: {error.args[0].str()}.") from error


def log_error(error: KafkaError, topic: str) -> LogUnavailable | UnknownTopic:
    """What a driver's error means to the port's caller."""
    if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
        return UnknownTopic(topic)
    return LogUnavailable(f"Kafka did not do its work for {topic}: {error.str()}.")


def _log_id(topic_id: str, partitions: int) -> str:
    return hashlib.blake2b(f"{topic_id}/{partitions}".encode(), digest_size=8).hexdigest()
