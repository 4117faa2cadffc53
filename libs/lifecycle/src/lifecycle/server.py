"""uvicorn, set up for one process that drains: own signals, own sockets, deadlines on connections."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Generator, Sequence

import uvicorn
from starlette.types import ASGIApp

from lifecycle.connections import GuardedProtocol
from lifecycle.express import Express, ExpressConfig, ExpressProtocol, Heads
from lifecycle.failures import PortInUse, StartError
from lifecycle.limits import Limits
from telemetry.metrics import Metrics

BACKLOG = 2048
_CANCEL_S = 2.0
_NOISE = ("Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket library")
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Server(uvicorn.Server):
    """Leaves signals alone: uvicorn's own handling raises them again, and what consumes would never drain."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        limits: Limits,
        trusted_proxies: Sequence[str] = (),
        express: Express | None = None,
    ) -> None:
        config = ExpressConfig(
            app,
            http=GuardedProtocol if express is None else ExpressProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # What a client says of itself counts only where a proxy of ours wrote it down.
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            backlog=BACKLOG,
            timeout_keep_alive=limits.keep_alive_s,
        )
        config.limits = limits
        config.metrics = metrics
        if express is not None:
            config.heads = Heads(express)
        super().__init__(config)
        self.accepting = asyncio.Event()
        logging.getLogger("uvicorn.error").addFilter(_is_news)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `stop`; when cancelled, close what is open at once."""
        try:
            await super().serve(sockets)
        finally:
            await self._clear()

    def stop(self, within_s: float) -> None:
        """Accept no more, and let `serve` return once open requests are answered, or cut off `within_s`."""
        self.config.timeout_graceful_shutdown = within_s  # type: ignore[assignment]  # handed to wait_for
        self.should_exit = True

    async def _clear(self) -> None:
        for server in getattr(self, "servers", ()):
            server.close()
        requests = list(self.server_state.tasks)
        for request in requests:
            request.cancel()
        if requests:
            await asyncio.wait(requests, timeout=_CANCEL_S)
        for connection in list(self.server_state.connections):
            if isinstance(connection, GuardedProtocol):
                connection.transport.abort()


def _is_news(record: logging.LogRecord) -> bool:
    """Not what a client can cause at will, which is counted, and not each request that was cut off at the end."""
    cut_off = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut_off and not str(record.msg).startswith(_NOISE)


@contextlib.contextmanager
def listening(host: str, port: int) -> Generator[list[socket.socket], None, None]:
    """Sockets on every address of the host that this machine has; raises PortInUse or StartError in words."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(
            f"{host} is no address of this machine ({error.strerror}). Set FOOTFALL_HOST."
        ) from error
    absent: list[OSError] = []
    with contextlib.ExitStack() as stack:
        sockets = []
        for family, kind, _, _, address in dict.fromkeys(found):
            try:
                one = stack.enter_context(socket.socket(family, kind))
                _bind(one, address)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise _in_words(error, host, port) from error
                absent.append(error)
            else:
                sockets.append(one)
        if not sockets:
            raise _in_words(absent[0], host, port) from absent[0]
        yield sockets


def _bind(one: socket.socket, address: object) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(address)  # type: ignore[arg-type]  # as getaddrinfo made it for this family
    # Two sockets may both be bound with SO_REUSEADDR; only listening shows that the port is taken.
    one.listen(BACKLOG)
    one.setblocking(False)


def _in_words(error: OSError, host: str, port: int) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} is in use: another program listens on {host}:{port}. Stop it, or choose another "
            "port (FOOTFALL_PORT)."
        )
    return StartError(
        f"{host}:{port} cannot be listened on: {error.strerror}. Set FOOTFALL_HOST, FOOTFALL_PORT."
    )
