"""aiokafka at the adapter's edge: its errors and its stray cancellations become the port's errors."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from eventlog.errors import LogUnavailable

_CANCEL_AGAIN_S = 5.0


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
    stopping = asyncio.ensure_future(consumer.stop())
    try:
        while not (await asyncio.wait({stopping}, timeout=_CANCEL_AGAIN_S))[0]:
            for task in _tasks(consumer):
                task.cancel()
        with translated("to disconnect"):
            stopping.result()
    except LogUnavailable:
        # It gave up at its own first cancelled fetch; a second call would do nothing.
        await settle(_tasks(consumer))
        await consumer._client.close()
    finally:
        stopping.cancel()


async def settle(tasks: Iterable["asyncio.Task[None] | None"]) -> None:
    """Cancel tasks that aiokafka has left behind until they have ended."""
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)


def _tasks(consumer: AIOKafkaConsumer) -> "list[asyncio.Task[None]]":
    """The tasks that `stop` cancels once and awaits: in Python 3.11 a cancellation can get lost in `wait_for`."""
    fetcher = consumer._fetcher
    tasks = [
        getattr(fetcher, "_fetch_task", None),
        *getattr(fetcher, "_pending_tasks", ()),
        getattr(consumer._coordinator, "_reset_committed_task", None),
        consumer._client._sync_task,
    ]
    return [task for task in tasks if task is not None and not task.done()]
