"""One process: the server and the service's tasks, which stand, drain and fall as one."""

import asyncio
import contextlib
import gc
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence

import structlog
import uvloop

from lifecycle.failures import Forced, SettingsError, StartError, TaskDied
from lifecycle.health import Health
from lifecycle.limits import Limits
from lifecycle.loop_lag import measure_loop_lag
from lifecycle.server import Server, listening
from lifecycle.service import Service, Task
from telemetry.logs import get_logger

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Left for closing connections when `drain` took the whole time.
_LEAST_CLOSE_S = 0.5
_CANCEL_AGAIN_S = 0.5
_log = get_logger(__name__)


async def run(
    service: Service,
    *,
    host: str,
    port: int,
    drain_s: float,
    on_ready: Callable[[], None] | None = None,
    limits: Limits | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve and run the tasks until SIGTERM, SIGINT or SIGHUP, then drain and return.

    Draining, in `drain_s` seconds: /readyz fails; `service.drain()`, while requests are still accepted; no
    more connections; open requests finish; tasks are cancelled. A second signal raises Forced. A task that
    ends takes everything down at once: TaskDied. StartError comes before anything has started.
    `trusted_proxies` are believed when they say in X-Forwarded-For whom they ask for.
    """
    health = Health(service.app, service.checks, service.metrics)
    server = Server(health, service.metrics, limits or Limits(), trusted_proxies, service.express)
    with listening(host, port) as sockets, _signals() as asked:
        try:
            async with asyncio.TaskGroup() as parts:
                serving = parts.create_task(server.serve(sockets), name="server")
                tasks = [
                    parts.create_task(_endless(name, task), name=name)
                    for name, task in {**service.tasks, "loop_lag": _loop_lag(service)}.items()
                ]
                await server.accepting.wait()
                health.status = "ready"
                _log.info("ready", host=host, port=port, tasks=sorted(service.tasks))
                if on_ready:
                    on_ready()
                await asked.wait()
                health.status = "draining"
                await _drain(service, server, serving, drain_s)
                for task in tasks:
                    task.cancel()
        except asyncio.CancelledError:
            if asked.again is None:
                raise
            raise Forced(asked.again) from None
        except BaseExceptionGroup as group:
            # Every member is a part that ended; each was logged with its traceback where it ended.
            raise group.exceptions[0] from None
    _log.info("stopped")


def main(entry: Coroutine[object, object, None]) -> int:
    """Run a program's coroutine on uvloop; return its exit code.

    0: it returned. 1: it could not start, or a part of it died. 2: the settings are wrong (the text goes to
    stderr). 128 + n: ended by signal n before everything was finished.
    """
    _allow_connections()
    collect_rarely()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(entry)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except StartError as error:
        _tell(error)
        return 1
    except Forced as error:
        _tell(error)
        return 128 + error.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except TaskDied:
        return 1
    except Exception:
        _log.exception("ended by an unexpected error")
        return 1
    return 0


class _Asked:
    """Whether, and how often, someone asked the process to stop."""

    def __init__(self, running: "asyncio.Task[object] | None") -> None:
        self.again: int | None = None
        self._running = running
        self._asked = asyncio.Event()

    async def wait(self) -> None:
        await self._asked.wait()

    def __call__(self, number: int) -> None:
        if not self._asked.is_set():
            _log.info("asked to stop", signal=signal.Signals(number).name)
            self._asked.set()
        elif self.again is None:
            self.again = number
            if self._running:
                self._running.cancel()


@contextlib.contextmanager
def _signals() -> Generator[_Asked, None, None]:
    loop = asyncio.get_running_loop()
    asked = _Asked(asyncio.current_task())
    for number in _SIGNALS:
        loop.add_signal_handler(number, asked, number)
    try:
        yield asked
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _endless(name: str, task: Task) -> None:
    work = asyncio.ensure_future(task())
    try:
        await asyncio.wait({work})
        work.result()
    except asyncio.CancelledError:
        await _cancel(name, work)
        raise
    except Exception as error:
        _log.exception("a task died, and the process with it", task=name)
        raise TaskDied(name, f"{type(error).__name__}: {error}") from error
    _log.error("a task returned, and the process ends with it", task=name)
    raise TaskDied(name, "it returned")


async def _cancel(name: str, work: "asyncio.Future[None]") -> None:
    """Cancel until it ends: an error in somebody's clean-up can take the place of the cancellation."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=_CANCEL_AGAIN_S)
    if not work.cancelled() and work.exception() is not None:
        _log.warning("a task failed while it was stopped", task=name, reason=str(work.exception()))


def _loop_lag(service: Service) -> Task:
    return lambda: measure_loop_lag(service.metrics)


async def _drain(service: Service, server: Server, serving: "asyncio.Task[None]", drain_s: float) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + drain_s
    try:
        async with asyncio.timeout_at(deadline_s):
            await service.drain()
    except TimeoutError:
        _log.warning("draining took too long and was cut off", drain_s=drain_s)
    except Exception:
        _log.exception("draining failed")
    server.stop(max(_LEAST_CLOSE_S, deadline_s - loop.time()))
    await serving


def _allow_connections() -> None:
    """Take all file descriptors the system grants: each connection is one, and 1,024 is the usual start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def collect_rarely() -> None:
    """Let the garbage collector look less often, and never at what was loaded before now.

    Records come and go by the ten thousand and hold no cycles; at Python's own thresholds looking for some
    takes a fifth of the CPU of a loaded process.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _tell(error: Exception) -> None:
    if structlog.is_configured():
        _log.error(str(error))
    else:
        sys.stderr.write(f"{error}\n")
