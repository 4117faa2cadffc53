"""Waiting for what other processes bring about."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(holds: Callable[[], Awaitable[object]], deadline_s: float = 20) -> None:
    """Wait until it holds; fails at the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while not await holds():
        if loop.time() > deadline:
            raise AssertionError(f"did not come to hold within {deadline_s} s")
        await asyncio.sleep(0.05)
