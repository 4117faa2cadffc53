"""Reading a log to a known end."""

import asyncio
from collections.abc import Mapping

from eventlog.port import EventLog, Message, Record, TopicPart

DEADLINE_S = 30


def keyed(count: int) -> list[Message]:
    """`count` small messages, spread over the partitions by their keys."""
    return [Message(b"p:u:%d" % n, b"value %d" % n) for n in range(count)]


async def read_all(
    log: EventLog, topic: str, count: int, positions: Mapping[TopicPart, int] | None = None
) -> list[Record]:
    """The next `count` records of the topic, in the order read, from `positions`, else from the starts."""
    if positions is None:
        positions = {TopicPart(topic, n): start for n, start in enumerate(await log.starts(topic))}
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S), log.reader() as reader:
        reader.assign(positions)
        while len(records) < count:
            records += await reader.fetch(100, 1)
    return records
