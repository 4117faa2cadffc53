"""aiokafka at the adapter's edge: its errors and its stray cancellations become the port's errors."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from eventlog.errors import LogUnavailable


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """What aiokafka raises inside comes out as LogUnavailable, which says what it was `doing`.

    Also a CancelledError that nobody asked for: aiokafka cancels tasks of its own and awaits them, and so
    would end the caller's task without an error, as if it had been cancelled.
    """
    try:
        yield
    except KafkaError as error:
        raise LogUnavailable(f"Kafka failed {doing}: {error}.") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise LogUnavailable(f"Kafka failed {doing}: the connection was lost.") from error


async def start_consumer(
    bootstrap: str, *, request_timeout_s: float, max_partition_fetch_bytes: int, fetch_max_wait_s: float
) -> AIOKafkaConsumer:
    """A consumer in no group, with nothing assigned; raises LogUnavailable."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        # Another choice would leap over records silently.
        auto_offset_reset="none",
        max_partition_fetch_bytes=max_partition_fetch_bytes,
        fetch_max_wait_ms=int(fetch_max_wait_s * 1000),
        request_timeout_ms=int(request_timeout_s * 1000),
        retry_backoff_ms=250,
    )
    try:
        with translated("to connect"):
            await consumer.start()
    except BaseException:
        await stop_consumer(consumer)
        raise
    return consumer


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer's connections go, also while no broker answers."""
    try:
        with translated("to disconnect"):
            await consumer.stop()
    except LogUnavailable:
        # It gave up at its own first cancelled fetch; a second call would do nothing.
        await settle(consumer._fetcher._pending_tasks)
        await consumer._client.close()


async def settle(tasks: Iterable["asyncio.Task[None] | None"]) -> None:
    """Cancel tasks that aiokafka has left behind and wait for their end."""
    left = {task for task in tasks if task is not None}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
