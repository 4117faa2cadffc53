import os
import random
import threading
from contextlib import closing
from pathlib import Path

import pytest

from eventlog.port import Message
from ingest_api.spool.segments import Segments, SpoolFull, SpoolUnusable, line_of, salvage

MIB = 1024 * 1024
MESSAGES = [
    (
        "footfall.events",
        Message(f"p1:u:user\n{n}".encode(), b'{"id":"%d","text":"%b"}' % (n, b"x" * (n * 7 % 90))),
    )
    for n in range(40)
]


def _written(directory: Path, messages: list[tuple[str, Message]]) -> Path:
    with closing(Segments(directory, 64 * MIB)) as held:
        held.write(b"".join(line_of(*message) for message in messages))
    (path,) = directory.glob("*.spool")
    return path


def _read_all(directory: Path) -> tuple[list[tuple[str, Message]], list[bytes]]:
    messages: list[tuple[str, Message]] = []
    damaged: list[bytes] = []
    with closing(Segments(directory, 64 * MIB)) as held:
        while (path := held.oldest()) is not None:
            for salvaged in held.read(path):
                messages += salvaged.messages
                damaged += salvaged.damaged
            held.remove(path)
    return messages, damaged


def test_what_was_written_is_read_again_in_order_after_a_restart(tmp_path: Path) -> None:
    with closing(Segments(tmp_path, 64 * MIB)) as held:
        for message in MESSAGES:
            held.write(line_of(*message))
    assert _read_all(tmp_path) == (MESSAGES, [])


def test_a_segment_cut_at_any_byte_loses_only_the_line_that_was_cut(tmp_path: Path) -> None:
    path = _written(tmp_path, MESSAGES)
    whole = path.read_bytes()
    ends = [0]
    for message in MESSAGES:
        ends.append(ends[-1] + len(line_of(*message)))
    for size in range(len(whole)):
        messages = salvage(whole[:size], final=True)[0].messages
        # The line feed itself may be missing: the line before it is whole.
        assert messages == MESSAGES[: sum(end - 1 <= size for end in ends[1:])], size
    path.write_bytes(whole[:-5])
    assert _read_all(tmp_path)[0] == MESSAGES[:-1]


def test_ten_thousand_damaged_bytes_cost_a_line_each_at_most_and_never_the_start(tmp_path: Path) -> None:
    path = _written(tmp_path, MESSAGES)
    whole = path.read_bytes()
    chance = random.Random(7)
    for _ in range(10_000):
        bad = bytearray(whole)
        at = chance.randrange(len(bad))
        bad[at] ^= 1 << chance.randrange(8)
        salvaged = salvage(bytes(bad), final=True)[0]
        assert len(salvaged.messages) >= len(MESSAGES) - 1
        assert [message for message in MESSAGES if message in salvaged.messages] == salvaged.messages


def test_noise_in_the_middle_is_passed_over_and_kept_aside(tmp_path: Path) -> None:
    path = _written(tmp_path, MESSAGES)
    whole = path.read_bytes()
    middle = len(line_of(*MESSAGES[0]))
    noise = random.Random(1).randbytes(300_000).replace(b"\n", b" ")
    path.write_bytes(whole[:middle] + noise + b"\n" + whole[middle:])
    messages, damaged = _read_all(tmp_path)
    assert messages == MESSAGES
    assert b"\n".join(damaged) == noise


def test_a_large_segment_is_read_piece_by_piece(tmp_path: Path) -> None:
    big = [("footfall.rejected", Message(b"p1:u:%d" % n, b"v" * 700_000)) for n in range(9)]
    _written(tmp_path, big)
    assert _read_all(tmp_path) == (big, [])


def test_beyond_the_bound_nothing_is_kept_and_what_was_kept_stays(tmp_path: Path) -> None:
    line = line_of("footfall.events", Message(b"p1:u:a", b"v" * 1000))
    with closing(Segments(tmp_path, 10 * len(line))) as held:
        for _ in range(10):
            held.write(line)
        with pytest.raises(SpoolFull):
            held.write(line)
        assert held.held_bytes == 10 * len(line)
    assert len(_read_all(tmp_path)[0]) == 10


def test_a_disk_that_takes_no_more_is_full_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = line_of(*MESSAGES[3])
    with closing(Segments(tmp_path, MIB)) as held:
        held.write(line)
        real_write = os.write

        def half(descriptor: int, data: bytes) -> int:
            real_write(descriptor, bytes(data)[:10])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", half)
            with pytest.raises(SpoolFull, match="No space left"):
                held.write(line_of(*MESSAGES[4]))
        held.write(line_of(*MESSAGES[5]))
    assert _read_all(tmp_path) == ([MESSAGES[3], MESSAGES[5]], [])


def test_closing_waits_for_a_write_that_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Segments(tmp_path, MIB)
    writing, go_on = threading.Event(), threading.Event()
    real_sync = os.fdatasync

    def slow(descriptor: int) -> None:
        writing.set()
        assert go_on.wait(30)
        real_sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    failures: list[BaseException] = []

    def write() -> None:
        try:
            held.write(line_of(*MESSAGES[0]))
        except SpoolFull as error:
            failures.append(error)

    writer, closer = threading.Thread(target=write), threading.Thread(target=held.close)
    writer.start()
    assert writing.wait(30)
    closer.start()
    closer.join(0.2)
    go_on.set()
    writer.join(30)
    closer.join(30)
    monkeypatch.undo()
    assert failures == []
    assert _read_all(tmp_path) == ([MESSAGES[0]], [])


def test_two_processes_never_share_a_spool(tmp_path: Path) -> None:
    with closing(Segments(tmp_path, MIB)), pytest.raises(SpoolUnusable, match="of its own"):
        Segments(tmp_path, MIB)
    Segments(tmp_path, MIB).close()


def test_a_directory_nobody_can_write_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusable, match="cannot be written to"):
        Segments(tmp_path / "file" / "spool", MIB)
