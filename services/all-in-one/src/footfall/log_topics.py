"""`footfall topics`: how the log's topics are, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from eventlog.errors import LogError
from footfall.app import TopicReport, make_topics, report_topics
from footfall.databases import open_database
from footfall.outcomes import FAILED, OK, CommandFailed, answer
from footfall.suite_settings import LogPlace


class Creation(NamedTuple):
    """How missing topics are made; None takes what suits the log."""

    partitions: int | None
    replication: int | None


async def show_topics(
    kafka: str, data: Path | None, environ: Mapping[str, str], *, create: Creation | None, as_json: bool
) -> int:
    """Show all topics, after making the missing ones with `create`; FAILED when something is wrong with one."""
    try:
        if kafka:
            reports = await _reports(LogPlace("kafka", kafka), create)
        else:
            async with open_database(data, environ) as url:
                reports = await _reports(LogPlace("postgres", url), create)
    except LogError as error:
        raise CommandFailed(str(error)) from error
    answer(
        as_json,
        {"log": "kafka" if kafka else "postgres", "topics": [report._asdict() for report in reports]},
        lambda console: _show(console, reports),
    )
    return FAILED if any(report.deviations for report in reports) else OK


async def _reports(place: LogPlace, create: Creation | None) -> Sequence[TopicReport]:
    if create is not None:
        await make_topics(place, *create)
    return await report_topics(place)


def _show(console: Console, reports: Sequence[TopicReport]) -> None:
    for report in reports:
        console.print(f"{report.name:<20} {report.partitions:>3} partitions  {report.detail}")
        for deviation in report.deviations:
            console.print(f"  {deviation}", style="yellow")
