"""What the reading process and the service say to each other: length-prefixed msgpack over two pipes."""

import asyncio
from datetime import datetime
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import msgspec

from policy import DEFAULT_RULES, PrivacyRules
from policy import Plan as TrackingPlan

Source: TypeAlias = Literal["access-log", "ndjson"]

_LENGTH_BYTES: Final = 4
_MAX_FRAME_BYTES: Final = 64 * 1024 * 1024


class BadLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that did not become an event: its place, why, and how it starts. `line` counts from 1."""

    byte_offset: int
    line: int
    code: str
    message: str
    field: str | None
    text: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to read: one file of one run, from a checkpoint on: `offset` is the end of line `number`, `rejected`
    how many lines up to there were refused.

    `plan` reads a dry run's first lines instead. `privacy`, `hash_key` and `tracking_plan` make the project's policy.
    `received_at` is the run's, so that the same line gives
    the same record whenever it is read.
    """

    path: str
    source: Source
    name: str
    project: str
    run: str
    account: str | None
    identity: str
    salt: bytes
    received_at: datetime
    offset: int = 0
    number: int = 0
    rejected: int = 0
    max_unpacked_bytes: int
    plan: bool = False
    privacy: PrivacyRules = DEFAULT_RULES
    hash_key: bytes = b""
    tracking_plan: TrackingPlan | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """The lines since the batch before: (key, value) of the events, refused lines, skipped lines by rule.

    `rejected_records` are ready for `footfall.rejected`, bounded per run; `bad` is every refused line's
    place, as many as are kept. `offset` is the end of line `number`, the last line of the batch.
    """

    events: list[tuple[bytes, bytes]]
    rejected: int
    rejected_records: list[tuple[bytes, bytes]]
    bad: list[BadLine]
    skipped: dict[str, int]
    offset: int
    number: int
    bytes_done: int


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """The whole file was read."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="failure"):
    """The run cannot go on; `message` is for its owner, `detail` for the operator's log."""

    error: Literal["wrong_format", "truncated", "too_large", "internal"]
    message: str
    detail: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """What the first lines would become: see docs/importing.md."""

    source: Source
    lines: int
    bytes_read: int
    complete: bool
    publish: int
    rejected: int
    skipped: dict[str, int]
    first: datetime | None
    last: datetime | None
    sample: list[dict[str, Any]]
    bad_lines: list[BadLine]
    usable: bool
    message: str | None


Frame: TypeAlias = Batch | End | Failure | Plan

_encoder = msgspec.msgpack.Encoder()
_frames: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)
_jobs = msgspec.msgpack.Decoder(Job)


def encode(message: Frame | Job) -> bytes:
    payload = _encoder.encode(message)
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


def read_job(stream: BinaryIO) -> Job:
    """The job that the service writes at the start of the process's input."""
    return _jobs.decode(stream.read(int.from_bytes(stream.read(_LENGTH_BYTES), "big")))


async def read_frame(stream: asyncio.StreamReader) -> Frame | None:
    """The next frame, or None when the process closed its output between two of them.

    Raises asyncio.IncompleteReadError when it died within one, ValueError when the bytes are no frame.
    """
    try:
        head = await stream.readexactly(_LENGTH_BYTES)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    size = int.from_bytes(head, "big")
    if size > _MAX_FRAME_BYTES:
        raise ValueError(f"The reading process announced a frame of {size:,} bytes.")
    return _frames.decode(await stream.readexactly(size))
