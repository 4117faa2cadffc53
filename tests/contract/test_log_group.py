"""The log's contract, membership: the parts of a group are shared, and change hands."""

import asyncio
from collections.abc import Sequence

from eventlog.port import Member
from log_harness import PARTITIONS, LogHarness

DEADLINE_S = 45
ALL = frozenset(range(PARTITIONS))


async def test_one_member_owns_every_part(harness: LogHarness) -> None:
    async with harness.log.join("contract", [harness.topic, harness.other_topic]) as member:
        await _settled([member])


async def test_members_share_the_parts_and_take_over(harness: LogHarness) -> None:
    topics = [harness.topic, harness.other_topic]
    async with harness.log.join("contract", topics) as first:
        await _settled([first])
        async with harness.peer() as peer, peer.join("contract", topics) as second:
            await _settled([first, second])
            async with peer.join("contract", topics) as third:
                await _settled([first, second, third])
            await _settled([first, second])
        await _settled([first])


async def test_groups_are_apart(harness: LogHarness) -> None:
    async with (
        harness.log.join("contract-a", [harness.topic]) as one,
        harness.log.join("contract-b", [harness.topic]) as two,
    ):
        await _settled([one])
        await _settled([two])


async def _settled(members: Sequence[Member]) -> None:
    """Wait until the members own every part once, in shares that differ by one at most."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            owned = [await member.assignment() for member in members]
            sizes = [len(parts) for parts in owned]
            if sum(sizes) == PARTITIONS and frozenset().union(*owned) == ALL and max(sizes) - min(sizes) <= 1:
                return
            await asyncio.sleep(0.1)
