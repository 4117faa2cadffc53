"""The database schemas of the suite, by owner."""

from collections.abc import Sequence
from typing import Final

from lifecycle.database import open_pool
from lifecycle.migrations import Owner, migrate

OWNERS: Final = (
    Owner("log", "eventlog.log_schema"),
    Owner("runtime", "eventlog.runtime_schema"),
    Owner("access", "access"),
    Owner("gateway", "stream_gateway"),
    Owner("rules", "rule_engine"),
    Owner("importer", "importer"),
)


async def prepare_database(url: str) -> Sequence[str]:
    """Bring all schemas up to this release; the names of the migrations applied. Raises StartError."""
    async with (
        open_pool(url, max_size=1, application="footfall migrate") as pool,
        pool.acquire() as connection,
    ):
        return await migrate(connection, OWNERS)
