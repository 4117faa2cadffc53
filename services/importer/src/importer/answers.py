"""What callers of /v1/imports see: the shapes of docs/importing.md."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from importer.frames import BadLine, Source
from importer.runs import Run, RunError, State


class BadLineAnswer(BaseModel):
    """A line that became no event."""

    byte_offset: int
    line: int
    code: str
    message: str
    field: str | None
    text: str


class RunAnswer(BaseModel):
    """A run and its progress."""

    run: str
    source: Source
    name: str
    account: str | None
    sha256: str
    state: State
    bytes_total: int
    bytes_done: int
    lines: int
    published: int
    rejected: int
    skipped: dict[str, int]
    rate_per_s: float | None
    eta_s: float | None
    error: RunError | None
    message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    last_rejected: list[BadLineAnswer]


class RunList(BaseModel):
    """One page of runs, newest first; `next` is the `before` of the page after it."""

    items: list[RunAnswer]
    next: str | None


class BadLineList(BaseModel):
    """One page of bad lines by byte offset; `next` is the `after` of the page after it."""

    items: list[BadLineAnswer]
    next: int | None


def run_answer(run: Run, bad: Sequence[BadLine]) -> RunAnswer:
    """The run as its owner sees it; speed and time left from the time spent working, not waiting."""
    rate = run.line_number / run.worked_s if run.worked_s > 0 and run.line_number else None
    left = run.bytes_total - run.bytes_done
    eta_s = (
        run.worked_s * left / run.bytes_done if run.state == "running" and rate and run.bytes_done else None
    )
    return RunAnswer(
        run=run.id,
        source=run.source,
        name=run.name,
        account=run.account,
        sha256=run.sha256.hex(),
        state=run.state,
        bytes_total=run.bytes_total,
        bytes_done=run.bytes_done,
        lines=run.line_number,
        published=run.published,
        rejected=run.rejected,
        skipped=run.skipped,
        rate_per_s=round(rate, 1) if rate is not None else None,
        eta_s=round(eta_s, 1) if eta_s is not None else None,
        error=run.error,
        message=run.message,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        last_rejected=[bad_line_answer(line) for line in bad],
    )


def bad_line_answer(line: BadLine) -> BadLineAnswer:
    return BadLineAnswer(
        byte_offset=line.byte_offset,
        line=line.line,
        code=line.code,
        message=line.message,
        field=line.field,
        text=line.text,
    )
