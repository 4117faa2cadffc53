"""`footfall verify`: the read model recounted from the log or from history, and compared."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from access.projects import Projects
from eventlog.errors import LogError, UnknownTopic
from eventlog.parts import Fenced, StoreUnavailable
from eventlog.postgres_parts import open_parts
from eventlog.postgres_positions import StalePosition
from eventmodel import ProjectId
from footfall.app import open_log
from footfall.databases import open_database
from footfall.outcomes import FAILED, OK, CommandFailed, UsageProblem, answer
from footfall.schemas import OWNERS
from footfall.suite_settings import LogPlace
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from lifecycle.migrations import await_schema
from stream_gateway.projection.comparison import Difference
from stream_gateway.projection.projector import GROUP
from stream_gateway.projection.verification import PartReport, Verification

_STATEMENT_S: Final = 3600.0


class Findings(NamedTuple):
    """What was found; with `repaired`, what was found and then put right: `parts` are as they are now."""

    parts: Sequence[PartReport]
    stale: Sequence[StalePosition]
    repaired: Sequence[PartReport]
    moved: bool

    @property
    def equal(self) -> bool:
        """Whether everything is as recounted now."""
        return not any(part.differences for part in self.parts) and (self.moved or not self.stale)


async def verify(
    kafka: str,
    data: Path | None,
    environ: Mapping[str, str],
    *,
    project: str | None,
    repair: bool,
    as_json: bool,
) -> int:
    """Recount and compare, after `repair` once more; FAILED when rows differ. Without it nothing is changed."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("parts, {task.fields[records]:,} records"),
        TimeElapsedColumn(),
        console=console,
        disable=as_json or not console.is_terminal,
    )
    try:
        async with _opened(kafka, data, environ, project, progress) as verification:
            findings = await _find(verification, progress, repair=repair)
    except UnknownTopic as error:
        hint = "" if kafka else " If the log is kept in Kafka, name it with --kafka."
        raise CommandFailed(f"{error}{hint}") from error
    except Fenced as error:
        raise CommandFailed(f"{error} Stop the services that project, and repair again.") from error
    except (LogError, StoreUnavailable) as error:
        raise CommandFailed(str(error)) from error
    answer(as_json, _as_json(findings), lambda shown: _show(shown, findings))
    return OK if findings.equal else FAILED


@asynccontextmanager
async def _opened(
    kafka: str, data: Path | None, environ: Mapping[str, str], project: str | None, progress: Progress
) -> AsyncIterator[Verification]:
    if environ.get("FOOTFALL_LOG") == "kafka" and not kafka:
        raise UsageProblem("FOOTFALL_LOG is kafka: say where with --kafka or FOOTFALL_KAFKA.")
    async with open_database(data, environ) as url:
        place = LogPlace("kafka", kafka) if kafka else LogPlace("postgres", url)
        async with (
            open_pool(url, max_size=3, application="footfall verify", command_timeout_s=_STATEMENT_S) as pool,
            open_log(place) as log,
        ):
            async with pool.acquire() as connection:
                await await_schema(connection, OWNERS, timeout_s=0)
            projects = Projects(pool, SystemClock())
            only = None if project is None else await _project(projects, project)
            task = progress.add_task("recounting", total=None, records=0)

            def counted(records: int) -> None:
                progress.update(task, records=progress.tasks[task].fields["records"] + records)

            yield Verification(pool, log, await open_parts(pool, GROUP), projects, only, counted)


async def _project(projects: Projects, named: str) -> ProjectId:
    for entry in await projects.list():
        if named in (entry.project.id, entry.project.name):
            return entry.project.id
    raise CommandFailed(f"There is no project {named!r}. See: footfall project list")


async def _find(verification: Verification, progress: Progress, *, repair: bool) -> Findings:
    stale = await verification.stale()
    if repair and stale:
        await verification.move(stale)
    numbers = await verification.parts()
    reports, repaired = [], []
    with progress:
        for number in progress.track(numbers, task_id=progress.task_ids[0]):
            report = await verification.verify(number)
            if repair and report.differences:
                repaired.append(await verification.repair(number))
                report = await verification.verify(number)
            reports.append(report)
    return Findings(reports, stale, repaired, moved=repair and bool(stale))


def _as_json(findings: Findings) -> dict[str, object]:
    return {
        "equal": findings.equal,
        "parts": [_part_as_json(part) for part in findings.parts],
        "repaired": [_part_as_json(part) for part in findings.repaired],
        "stale_positions": [position._asdict() for position in findings.stale],
        "moved": findings.moved,
    }


def _part_as_json(part: PartReport) -> dict[str, object]:
    return {
        **asdict(part),
        "differing": {table: count for table, count in part.differing.items() if count},
        "differences": part.differences,
        "examples": [_difference_as_json(one) for one in part.examples],
    }


def _difference_as_json(one: Difference) -> dict[str, object]:
    sides = {"key": one.key, "expected": one.expected, "found": one.found}
    return {"table": one.table, **{name: _plain(side) for name, side in sides.items()}}


def _plain(values: Mapping[str, Any] | None) -> dict[str, object] | None:
    if values is None:
        return None
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def _show(console: Console, findings: Findings) -> None:
    for (topic, group), found in groupby(findings.stale, key=lambda one: (one.topic, one.group)):
        moves = list(found)
        console.print(
            f"{topic}: group {group} stands in log {moves[0].log_id}, the topic is log {moves[0].found}."
            f" {'Moved' if findings.moved else 'Repair moves'}, by part: "
            + ", ".join(f"{one.part}: {one.position} to {one.moved_to}" for one in moves)
        )
    table = Table("part", "from", "records", "differences", box=None, pad_edge=False)
    for part in findings.parts:
        table.add_row(str(part.part), part.source, f"{part.records:,}", f"{part.differences:,}")
    console.print(table)
    for why in sorted({part.why for part in findings.parts if part.why}):
        numbers = ", ".join(str(part.part) for part in findings.parts if part.why == why)
        console.print(f"From history, part {numbers}: {why}")
    for part in findings.repaired:
        console.print(f"Part {part.part} was put right: {_by_table(part)}.")
        _show_examples(console, part)
    for part in findings.parts:
        if part.differences:
            console.print(f"Part {part.part} differs: {_by_table(part)}.")
            _show_examples(console, part)
    if findings.equal:
        console.print("Everything is as recounted.")
    elif not findings.repaired:
        console.print("Put it right with: footfall verify --repair")


def _by_table(part: PartReport) -> str:
    return ", ".join(f"{table} {count:,}" for table, count in part.differing.items() if count)


def _show_examples(console: Console, part: PartReport) -> None:
    for one in part.examples:
        key = " ".join(f"{name}={value}" for name, value in (_plain(one.key) or {}).items())
        console.print(f"  {one.table} {key}: {_told(one)}")


def _told(one: Difference) -> str:
    expected, found = _plain(one.expected), _plain(one.found)
    if found is None:
        return "missing"
    if expected is None:
        return "one too many"
    unlike = [name for name in expected if expected[name] != found[name]]
    return ", ".join(f"{name} is {found[name]}, recounted {expected[name]}" for name in unlike)
