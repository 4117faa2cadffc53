"""Membership in a consumer group: aiokafka's group protocol alone, without its fetching.

A whole aiokafka consumer would read from the partitions it is assigned, and does so while its listener still
runs; here nothing is fetched, committed or positioned, so nothing of it can leak into the reader.
"""

import asyncio
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState

from eventlog.errors import LogUnavailable
from eventlog.kafka_assignor import StickyAssignor
from eventlog.kafka_driver import settle, translated

MAX_SILENCE_S: Final = 10
_SESSION_S: Final = 6
_HEARTBEAT_S: Final = 0.5
_LEAVE_S: Final = 2.0


class KafkaMember:
    """A Member of `group`; the parts are those of `topic`."""

    def __init__(self, bootstrap: str, group: str, topic: str) -> None:
        self._group = group
        self._topic = topic
        self._client = AIOKafkaClient(
            bootstrap_servers=bootstrap,
            # A join is answered when the slowest member has joined or its session is over.
            request_timeout_ms=(_SESSION_S + 4) * 1000,
            retry_backoff_ms=250,
        )
        self._subscription = SubscriptionState()
        self._coordinator: GroupCoordinator | None = None

    async def join(self) -> None:
        """Begin to join; raises LogUnavailable."""
        with translated(f"to join {self._group}"):
            await self._client.bootstrap()
            await self._client.set_topics([self._topic])
        self._subscription.register_fetch_waiters(set())
        self._subscription.subscribe({self._topic})
        self._coordinator = GroupCoordinator(
            self._client,
            self._subscription,
            group_id=self._group,
            session_timeout_ms=_SESSION_S * 1000,
            rebalance_timeout_ms=_SESSION_S * 1000,
            heartbeat_interval_ms=int(_HEARTBEAT_S * 1000),
            max_poll_interval_ms=MAX_SILENCE_S * 1000,
            enable_auto_commit=False,
            assignors=(StickyAssignor(),),
        )

    async def assignment(self) -> frozenset[int]:
        assert self._coordinator is not None
        # Stands for a poll: the coordinator leaves the group when none comes for MAX_SILENCE_S.
        with self._subscription.fetch_context():
            assigned = self._subscription.assigned_partitions()
        with translated(f"to keep the membership in {self._group}"):
            self._coordinator.check_errors()
        return frozenset(where.partition for where in assigned)

    async def leave(self) -> None:
        """Give the parts up at once, if the log answers."""
        try:
            if self._coordinator is not None:
                await self._close(self._coordinator)
        finally:
            await self._client.close()

    async def _close(self, coordinator: GroupCoordinator) -> None:
        try:
            async with asyncio.timeout(_LEAVE_S):
                with translated(f"to leave {self._group}"):
                    await coordinator.close()
        except (TimeoutError, LogUnavailable):
            # Cut off in the middle, as in a join that is answered late, it leaves tasks of its own behind.
            await settle(
                {
                    coordinator._coordination_task,
                    coordinator._heartbeat_task,
                    coordinator._commit_refresh_task,
                }
            )
