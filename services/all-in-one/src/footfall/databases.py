"""Which database an operator's command works on, and `footfall migrate`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from footfall.embedded import open_postgres, running_url
from footfall.installation import DEFAULT_DIRECTORY, Installation
from footfall.outcomes import OK, answer
from footfall.schemas import prepare_database


@asynccontextmanager
async def open_database(data: Path | None, environ: Mapping[str, str]) -> AsyncIterator[str]:
    """The URL of FOOTFALL_DATABASE_URL, else of the embedded database, which is started when it does not run."""
    given = environ.get("FOOTFALL_DATABASE_URL")
    if data is None and given:
        yield given
        return
    installation = Installation(data or DEFAULT_DIRECTORY)
    if installation.running() is not None:
        yield running_url(installation.directory)
        return
    with installation.hold():
        async with open_postgres(installation.directory) as postgres:
            yield postgres.url


async def migrate_database(data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Bring every schema up to this release; may run as often as you like."""
    async with open_database(data, environ) as url:
        applied = await prepare_database(url)

    def show(console: Console) -> None:
        for name in applied:
            console.print(name)
        console.print(f"{len(applied)} migrations applied." if applied else "Nothing to do: all are applied.")

    answer(as_json, {"applied": list(applied)}, show)
    return OK
