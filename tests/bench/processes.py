"""Server processes to be measured: started on a free port, waited for, ended in order."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

_START_S = 60.0


@asynccontextmanager
async def serving(
    command: Sequence[str | Path], port: int, environ: Mapping[str, str] | None = None
) -> AsyncIterator[psutil.Process]:
    """The command's process once something accepts connections at the port; it says on stderr what it has to say."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_START_S):
            while not await _accepts(port):
                if process.returncode is not None:
                    raise RuntimeError(f"{command[0]} ended with {process.returncode}.")
                await asyncio.sleep(0.05)
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of the process, of every process it started, and of those of them that ended."""
    every = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:4]) for one in every)


def resident_mb(process: psutil.Process) -> float:
    """Resident memory of the process and of every process it started."""
    every = [process, *process.children(recursive=True)]
    return round(sum(one.memory_info().rss for one in every) / 2**20, 1)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
