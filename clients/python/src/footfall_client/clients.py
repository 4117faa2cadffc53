"""The two clients: one waits, the other awaits; the same thread sends for both."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from footfall_client.calls import Calls
from footfall_client.delivery import Delivery


class Client(Calls[str]):
    """Sends events to Footfall from any number of threads. Close it, or use it in `with`.

    At the interpreter's end it sends what waits, for at most 5 s.
    """

    def flush(self, timeout_s: float = 30.0) -> Delivery:
        """Send what waits now; what became of events since the last flush, once that is done or time is up."""
        self._courier.wait_for(self._courier.hurry(), timeout_s)
        return self._courier.tell()

    def close(self, timeout_s: float = 10.0) -> Delivery:
        """Flush, and take no more. `waiting` events stay in the directory, or are lost without one."""
        return self._courier.close(timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, event_id: str, event: bytes) -> str:
        if self._courier.put(event):
            return event_id
        if self._blocks:
            self._courier.wait_for(lambda: self._courier.put(event), None)
        else:
            self._courier.drop()
        return event_id


class AsyncClient(Calls[Coroutine[Any, Any, str]]):
    """The same for asyncio: every call is awaited, and none of them holds the loop up.

    Close it, or use it in `async with`. It is not bound to one loop.
    """

    async def flush(self, timeout_s: float = 30.0) -> Delivery:
        """Send what waits now; what became of events since the last flush, once that is done or time is up."""
        await self._until(self._courier.hurry(), timeout_s)
        return self._courier.tell()

    async def close(self, timeout_s: float = 10.0) -> Delivery:
        """Flush, and take no more. `waiting` events stay in the directory, or are lost without one."""
        await self._until(self._courier.hurry(last=True), timeout_s)
        return await asyncio.to_thread(self._courier.end)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _put(self, event_id: str, event: bytes) -> str:
        if self._courier.put(event):
            return event_id
        if self._blocks:
            await self._until(lambda: self._courier.put(event), None)
        else:
            self._courier.drop()
        return event_id

    async def _until(self, happened: Callable[[], bool], timeout_s: float | None) -> bool:
        loop = asyncio.get_running_loop()
        until_s = None if timeout_s is None else loop.time() + timeout_s
        while True:
            progress: asyncio.Future[None] = loop.create_future()
            if self._courier.ask(happened, partial(_wake, loop, progress)):
                return True
            try:
                await asyncio.wait_for(progress, None if until_s is None else until_s - loop.time())
            except asyncio.TimeoutError:
                return False


def _wake(loop: asyncio.AbstractEventLoop, progress: "asyncio.Future[None]") -> None:
    """Let the loop know, from another thread."""
    try:
        loop.call_soon_threadsafe(_resolve, progress)
    except RuntimeError:
        return  # The loop has ended, and nobody waits in it any more.


def _resolve(progress: "asyncio.Future[None]") -> None:
    if not progress.done():
        progress.set_result(None)
