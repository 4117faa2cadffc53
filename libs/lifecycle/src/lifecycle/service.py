"""What a service hands to the process that runs it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from starlette.types import ASGIApp

from lifecycle.express import Express
from telemetry.metrics import Metrics

Check: TypeAlias = Callable[[], Awaitable[str]]
Task: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """A service whose resources are open and whose work has not begun.

    `app` answers HTTP; its lifespan never runs, because a task that dies there would leave the server up.
    `tasks` run until they are cancelled: one that returns or raises ends the process. `drain` is called when
    the process is asked to stop, before the server closes: take no more work, say goodbye to streams, flush;
    it is cut off after `drain_s`, and the tasks still run meanwhile. `checks` answer "ok" or a sentence; they
    are shown in /readyz and never fail it. `express` answers some requests without the app.
    """

    name: str
    app: ASGIApp
    tasks: Mapping[str, Task]
    drain: Callable[[], Awaitable[None]]
    checks: Mapping[str, Check]
    metrics: Metrics
    express: Express | None = None
