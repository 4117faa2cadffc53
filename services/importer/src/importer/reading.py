"""The reading process: `python -m importer.reading`, a job on standard input, frames on standard output.

It sees one file and neither the log nor the database. Only the service starts it; nothing here is kept.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from eventmodel import ProjectId, RejectedRecord, derived_event_id, wire
from importer.frames import BadLine, Batch, End, Failure, Frame, Job, Plan, encode, read_job
from importer.sources import LineReader, Refusal, Skipped, line_reader
from importer.spooled import Line, Spooled, TruncatedFile, open_spooled

BATCH_EVENTS: Final = 250
BATCH_BYTES: Final = 1024 * 1024
BATCH_LINES: Final = 5_000
BATCH_REFUSED: Final = 50
KEPT_BAD_LINES: Final = 1_000
"""How many of a run's bad lines its owner can look up afterwards."""
MAX_REJECTED_RECORDS: Final = 10_000
"""How many of a run's bad lines go to footfall.rejected; the rest are only counted."""
KEPT_BODY_BYTES: Final = 16 * 1024
SHOWN_CHARS: Final = 200
PROBE_LINES: Final = 1_000
PROBE_BYTES: Final = 8 * 1024 * 1024
PLAN_LINES: Final = 10_000
PLAN_SAMPLES: Final = 5
PLAN_BAD_LINES: Final = 20

_FORMATS: Final = {
    "access-log": 'the combined (or common) log format, like: 203.0.113.9 - - [22/Nov/2026:09:30:00 +0000] "GET / '
    'HTTP/1.1" 200 512 "https://example.com/" "Mozilla/5.0 …"',
    "ndjson": 'one event a line, like: {"user": "ada@acme.example", "action": "opened report", "time": '
    '"2026-11-22T09:30:00Z"}',
}


def main() -> None:
    """Read the job and write its frames until the file is over or nobody listens."""
    os.nice(10)
    job = read_job(sys.stdin.buffer)
    output = sys.stdout.buffer
    with suppress(BrokenPipeError):
        for frame in _guarded(job):
            output.write(encode(frame))
            output.flush()
    # The interpreter would flush once more and complain that nobody listens.
    os._exit(0)


def _guarded(job: Job) -> Iterator[Frame]:
    try:
        with open_spooled(Path(job.path)) as spooled:
            yield from (plan(job, spooled),) if job.plan else run(job, spooled)
    except BrokenPipeError:
        raise
    except Exception:  # the service logs it and decides whether to try again
        yield Failure(error="internal", message="", detail=traceback.format_exc()[-4096:])


def run(job: Job, spooled: Spooled) -> Iterator[Frame]:
    """Batches from the checkpoint on, then End or Failure. A file of the wrong format is refused before its first."""
    read = line_reader(job)
    if job.offset == 0 and (wrong := _wrong_format(job, spooled, read)):
        yield Failure(error="wrong_format", message=wrong)
        return
    batch = _Building(job)
    try:
        for line in spooled.lines(job.offset, job.number):
            if line.end > job.max_unpacked_bytes:
                yield from batch.rest(spooled)
                yield Failure(error="too_large", message=_too_large(job, line))
                return
            batch.add(line, read)
            if batch.is_full():
                yield batch.built(spooled)
    except TruncatedFile:
        yield from batch.rest(spooled)
        yield Failure(error="truncated", message=_truncated(batch.number))
        return
    yield from batch.rest(spooled)
    yield End()


def plan(job: Job, spooled: Spooled) -> Plan:
    """What the first lines would become; a body that was cut is planned as far as it goes."""
    read = line_reader(job)
    batch = _Building(job)
    first: datetime | None = None
    last: datetime | None = None
    complete = True
    try:
        for line in spooled.lines():
            if batch.number == PLAN_LINES:
                complete = False
                break
            if line.open_ended and isinstance(read(line), Refusal):
                complete = False
                break
            before = len(batch.events)
            batch.add(line, read)
            for _, value in batch.events[before:]:
                at = wire.decode(value).occurred_at
                first = at if first is None else min(first, at)
                last = at if last is None else max(last, at)
    except TruncatedFile:
        complete = False
    wrong = _too_many_bad(job, batch)
    return Plan(
        source=job.source,
        lines=batch.number,
        bytes_read=spooled.bytes_done(),
        complete=complete,
        publish=len(batch.events),
        rejected=batch.rejected,
        skipped=batch.skipped,
        first=first,
        last=last,
        sample=[msgspec.json.decode(value) for _, value in batch.events[:PLAN_SAMPLES]],
        bad_lines=batch.bad[:PLAN_BAD_LINES],
        usable=wrong is None,
        message=wrong,
    )


class _Building:
    """A batch in the making; totals that bound what is kept of bad lines run over all of a run's batches."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rejected_before = job.rejected
        self.offset = job.offset
        self.number = job.number
        self._clear()

    def add(self, line: Line, read: LineReader) -> None:
        outcome = read(line)
        self.offset, self.number = line.end, line.number
        self._lines += 1
        match outcome:
            case Skipped(rule):
                self.skipped[rule] = self.skipped.get(rule, 0) + 1
            case Refusal():
                self._refuse(line, outcome)
            case key, value:
                self.events.append((key, value))
                self._bytes += len(key) + len(value)

    def is_full(self) -> bool:
        return (
            len(self.events) >= BATCH_EVENTS
            or self._bytes >= BATCH_BYTES
            or self._lines >= BATCH_LINES
            or len(self._records) >= BATCH_REFUSED
        )

    def built(self, spooled: Spooled) -> Batch:
        """The batch; a new one begins."""
        batch = Batch(
            events=self.events,
            rejected=self.rejected,
            rejected_records=self._records,
            bad=self.bad,
            skipped=self.skipped,
            offset=self.offset,
            number=self.number,
            bytes_done=spooled.bytes_done(),
        )
        self._rejected_before += self.rejected
        self._clear()
        return batch

    def rest(self, spooled: Spooled) -> Iterator[Batch]:
        """The last batch, unless there is nothing in it: each batch moves the checkpoint."""
        if self._lines:
            yield self.built(spooled)

    def _clear(self) -> None:
        self.events: list[tuple[bytes, bytes]] = []
        self.rejected = 0
        self.bad: list[BadLine] = []
        self.skipped: dict[str, int] = {}
        self._records: list[tuple[bytes, bytes]] = []
        self._bytes = 0
        self._lines = 0

    def _refuse(self, line: Line, refusal: Refusal) -> None:
        so_far = self._rejected_before + self.rejected
        self.rejected += 1
        if so_far < KEPT_BAD_LINES:
            self.bad.append(
                BadLine(
                    byte_offset=line.offset,
                    line=line.number,
                    code=refusal.code,
                    message=_storable(refusal.message),
                    field=_storable(refusal.field) if refusal.field else None,
                    text=_storable(
                        (refusal.kept or b"")[: 4 * SHOWN_CHARS].decode(errors="replace")[:SHOWN_CHARS]
                    ),
                )
            )
        if so_far < MAX_REJECTED_RECORDS and refusal.kept is not None:
            self._records.append(_rejected_record(self._job, line, refusal, refusal.kept))


def _storable(text: str) -> str:
    """The text without what PostgreSQL cannot keep."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _rejected_record(job: Job, line: Line, refusal: Refusal, body: bytes) -> tuple[bytes, bytes]:
    project = ProjectId(job.project)
    record_id = derived_event_id("rejected", job.source, job.identity, line.offset, line.text)
    record = RejectedRecord(
        id=record_id,
        project=project,
        received_at=job.received_at,
        source="import",
        code=refusal.code,
        message=refusal.message,
        field=refusal.field,
        hint=refusal.hint,
        place={"name": job.name, "byte_offset": line.offset, "line": line.number},
        run=job.run,
        **wire.body_fields(body, KEPT_BODY_BYTES),
    )
    return wire.record_key(project, "e:" + record_id), wire.encode(record)


def _wrong_format(job: Job, spooled: Spooled, read: LineReader) -> str | None:
    """Why this file is none of the source's, judged by its first lines; nothing of it was published."""
    probe = _Building(job)
    with suppress(TruncatedFile):
        for line in spooled.lines():
            probe.add(line, read)
            if probe.number >= PROBE_LINES or probe.offset >= PROBE_BYTES:
                break
    return _too_many_bad(job, probe)


def _too_many_bad(job: Job, probe: _Building) -> str | None:
    if 2 * probe.rejected <= probe.number or not probe.bad:
        return None
    worst = probe.bad[0]
    return (
        f"{probe.rejected:,} of the first {probe.number:,} lines cannot be read, so this is probably not what it "
        f"was said to be ({job.source}). Nothing was imported. Line {worst.line}: {worst.message} Expected is "
        f"{_FORMATS[job.source]}"
    )


def _truncated(number: int) -> str:
    return (
        f"The gzip data ends or breaks after line {number:,}; the lines up to there were imported. Upload the whole "
        "file: what was imported already is not counted twice."
    )


def _too_large(job: Job, line: Line) -> str:
    return (
        f"The file unpacks to more than {job.max_unpacked_bytes:,} bytes; the lines up to {line.number - 1:,} were "
        "imported. Split it and upload the rest."
    )


if __name__ == "__main__":
    main()
