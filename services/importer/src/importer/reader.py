"""The process that reads a file, seen from the service: a job in, frames out, gone when nobody listens."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from importer.frames import Batch, Frame, Job, encode, read_frame


class ReaderDied(Exception):
    """The reading process ended without its last frame, or wrote something that is no frame."""


@asynccontextmanager
async def start_reader(job: Job) -> AsyncIterator[AsyncIterator[Frame]]:
    """The frames of `job`, read in a process of their own so that parsing never stalls the event loop.

    At most one pipe's content is read ahead: a caller that waits makes the process wait. Iterating raises
    ReaderDied. The process does not outlive the context.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "importer.reading",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    frames = _Frames(process.stdout)
    try:
        with suppress(ConnectionError):
            process.stdin.write(encode(job))
            await process.stdin.drain()
        process.stdin.close()
        yield frames
    finally:
        # One that ends by itself is left to: a signal would race with whoever waits for its end.
        if not frames.over:
            with suppress(ProcessLookupError):
                process.kill()
        # A pipe that is not read to its end keeps its transport open.
        while await process.stdout.read(1 << 16):
            continue
        await process.wait()


class _Frames:
    """The frames of a stream; `over` once the process has said its last."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.over = False
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        try:
            frame = await read_frame(self._stream)
        except (asyncio.IncompleteReadError, ValueError) as error:
            raise ReaderDied(str(error)) from error
        self.over = not isinstance(frame, Batch)
        if frame is None:
            raise ReaderDied("The reading process ended before the file did.")
        return frame
