"""ingest-api on a memory log, with one project whose keys are known."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from starlette.types import ASGIApp

from access.cache import Access
from access.errors import AccessUnavailable
from access.keys import new_key
from access.model import Principal, Project, ProjectSettings, StoredPlan
from access.usage import KEPT, UsageRow
from access_in_memory import access_for
from eventlog.memory import MemoryLog
from eventlog.port import LogWriter, Record, TopicPart
from eventmodel import Event, ProjectId, RejectedRecord, topics, wire
from ingest_api.accounting import Accounting
from ingest_api.app import create_app
from ingest_api.settings import IngestSettings
from ingest_api.spool.spool import Spool
from lifecycle.clock import SystemClock
from lifecycle.express import Express
from lifecycle.limits import Limits
from lifecycle.server import Server, listening
from policy import DEFAULT_RULES, PrivacyRules, read_plan
from telemetry.metrics import Metrics

PROJECT = ProjectId("pabcdefgh234")
HASH_KEY = b"secret of the project"
OTHER_PROJECT = ProjectId("pzzzzzzzzzzz")


@dataclass
class UsageInMemory:
    """What ingest wrote down; while `away`, as a database that does not answer."""

    rows: dict[tuple[str, ProjectId, datetime, str, str], UsageRow] = field(default_factory=dict)
    away: bool = False

    async def put(self, instance: str, rows: Sequence[UsageRow]) -> None:
        if self.away:
            raise AccessUnavailable("The database does not answer.")
        self.rows |= {(instance, row.project, row.at, row.key, row.sdk): row for row in rows}

    async def tidy(self, now: datetime) -> None:
        for place in [place for place, row in self.rows.items() if row.at < now - KEPT]:
            del self.rows[place]


@dataclass
class IngestStand:
    """The app, and what it was given."""

    app: ASGIApp
    express: Express
    log: MemoryLog
    access: Access
    accounting: Accounting
    usage: "UsageInMemory"
    metrics: Metrics
    write_key: str
    secret_key: str
    other_write_key: str
    authorization: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.authorization = {"authorization": f"Bearer {self.write_key}"}

    async def records(self, topic: str) -> list[Record]:
        """All records of the topic, in order within each partition."""
        async with self.log.reader() as reader:
            partitions = (await self.log.topic(topic)).partitions
            reader.assign({TopicPart(topic, part): 0 for part in range(partitions)})
            found: list[Record] = []
            while fetched := await reader.fetch(10_000, 0):
                found += fetched
            return found

    async def events(self) -> list[Event]:
        """All events in the log, the live ones first."""
        return [
            wire.decode(record.value)
            for topic in (topics.EVENTS, topics.BACKFILL)
            for record in await self.records(topic)
        ]

    async def rejected(self) -> list[RejectedRecord]:
        """All that was kept of rejected events."""
        records = await self.records(topics.REJECTED)
        return [msgspec.json.decode(record.value, type=RejectedRecord) for record in records]

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 when nobody has touched it."""
        value = self.metrics.registry.get_sample_value(name, {"service": "ingest-api", **labels})
        return value or 0.0


async def open_stand(
    log: MemoryLog | None = None,
    *,
    writer: LogWriter | None = None,
    spool: Spool | None = None,
    metrics: Metrics | None = None,
    rules: PrivacyRules = DEFAULT_RULES,
    plan: object = None,
    **settings: Any,
) -> IngestStand:
    """The app with these settings, appending to `writer` when given, else to `log`; nothing needs closing.

    PROJECT has the rules and the plan, a document.
    """
    clock, metrics = SystemClock(), metrics or Metrics("ingest-api")
    write_key, secret_key, other_write_key = new_key("write"), new_key("secret"), new_key("write")
    access = await access_for(
        [
            Project(
                PROJECT,
                PROJECT,
                ProjectSettings(privacy=rules),
                HASH_KEY,
                None if plan is None else StoredPlan(1, read_plan(plan), clock.now()),
            ),
            Project(OTHER_PROJECT, OTHER_PROJECT, ProjectSettings()),
        ],
        [
            (write_key, Principal(PROJECT, "write", "kaaaaaaaaaaa")),
            (secret_key, Principal(PROJECT, "secret", "kbbbbbbbbbbb")),
            (other_write_key, Principal(OTHER_PROJECT, "write", "kccccccccccc")),
        ],
        clock,
    )
    memory, usage = log or MemoryLog(partitions=4), UsageInMemory()
    accounting = Accounting(usage, clock, metrics)
    given = {"database_url": "postgresql://unused", "log": "postgres", **settings}
    app, express = create_app(
        IngestSettings.model_validate(given),
        log=writer or memory,
        access=access,
        accounting=accounting,
        clock=clock,
        metrics=metrics,
        spool=spool,
    )
    return IngestStand(
        app, express, memory, access, accounting, usage, metrics, write_key, secret_key, other_write_key
    )


@asynccontextmanager
async def serving(stand: IngestStand) -> AsyncIterator[str]:
    """The address of the stand behind a real socket and the product's own server."""
    server = Server(stand.app, stand.metrics, Limits(), express=stand.express)
    with listening("127.0.0.1", 0) as sockets:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets))
            await server.accepting.wait()
            try:
                yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            finally:
                server.stop(1)
