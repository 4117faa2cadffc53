"""The offline queue: order, bounds, damage, processes that end and come."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from footfall_client.disk_queue import DiskQueue
from footfall_client.queues import Bounds

BOUNDS = Bounds(body_events=3, body_bytes=10_000, queue_bytes=1_000_000)


def _drained(queue: DiskQueue) -> tuple[list[bytes], int]:
    """All events in order, and how many were damaged."""
    events: list[bytes] = []
    damaged = 0
    while queue.waiting:
        taken, bad = queue.take()
        events += taken
        damaged += bad
        queue.remove()
    return events, damaged


_KILLED = """
import os, signal, sys
from pathlib import Path
from footfall_client.disk_queue import DiskQueue
from footfall_client.queues import Bounds

queue = DiskQueue(Path(sys.argv[1]), Bounds(body_events=3, body_bytes=10_000, queue_bytes=1_000_000))
for number in range(int(sys.argv[2])):
    queue.put(b"%d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _left_behind(directory: Path, count: int) -> list[Path]:
    """The files of a process that was killed after it had put so many events."""
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(directory), str(count)], check=False)
    assert killed.returncode == -signal.SIGKILL
    return sorted(directory.glob("*/*.body"))


def test_what_a_killed_process_put_is_the_next_ones_in_order(tmp_path: Path) -> None:
    assert len(_left_behind(tmp_path, 7)) == 3
    queue = DiskQueue(tmp_path, BOUNDS)
    assert queue.waiting == 7
    queue.put(b"new")
    assert _drained(queue) == ([b"%d" % number for number in range(7)] + [b"new"], 0)
    queue.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"], "nothing is left on the disk"


def test_a_damaged_record_is_skipped_and_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    first, second, third = _left_behind(tmp_path, 9)
    lines = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(lines[0] + lines[1].replace(b" 1\n", b" 9\n") + lines[2])
    second.write_bytes(second.read_bytes()[:-1])
    third.write_bytes(third.read_bytes()[:-4])
    queue = DiskQueue(tmp_path, BOUNDS)
    assert _drained(queue) == ([b"0", b"2", b"3", b"4", b"5", b"6", b"7"], 2)
    queue.close()


def test_a_file_of_rubbish_holds_nothing_up(tmp_path: Path) -> None:
    _left_behind(tmp_path, 3)[0].write_bytes(os.urandom(300))
    queue = DiskQueue(tmp_path, BOUNDS)
    queue.put(b"new")
    events, damaged = _drained(queue)
    assert events == [b"new"]
    assert damaged > 0
    queue.close()


def test_processes_that_live_share_a_directory_and_take_nothing_from_each_other(tmp_path: Path) -> None:
    one = DiskQueue(tmp_path, BOUNDS)
    one.put(b"of one")
    other = DiskQueue(tmp_path, BOUNDS)
    assert other.waiting == 0
    other.put(b"of the other")
    assert _drained(one) == ([b"of one"], 0)
    assert _drained(other) == ([b"of the other"], 0)
    one.close()
    other.close()


def test_what_is_not_sent_before_closing_waits_for_the_next(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path, BOUNDS)
    queue.put(b"kept")
    queue.close()
    again = DiskQueue(tmp_path, BOUNDS)
    assert _drained(again) == ([b"kept"], 0)
    again.close()


def test_the_directory_is_bounded_also_by_what_was_left_behind(tmp_path: Path) -> None:
    _left_behind(tmp_path, 9)
    queue = DiskQueue(tmp_path, BOUNDS._replace(queue_bytes=120))
    assert queue.put(b"fits")
    assert not queue.put(b"x" * 100)
    assert len(_drained(queue)[0]) == 10
    assert queue.put(b"x" * 100)
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*.body")) <= 120
    queue.close()


def test_an_event_that_the_disk_takes_in_part_leaves_the_others_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = DiskQueue(tmp_path, BOUNDS)
    queue.put(b"before")
    write = os.write
    monkeypatch.setattr("os.write", lambda descriptor, line: write(descriptor, line[:5]))
    with pytest.raises(OSError, match="part"):
        queue.put(b"in part")
    monkeypatch.undo()
    queue.put(b"after")
    assert _drained(queue) == ([b"before", b"after"], 0)
    queue.close()


def test_what_was_put_is_synced_and_not_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def remembered(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", remembered)
    queue = DiskQueue(tmp_path / "events", BOUNDS)
    for number in range(4):
        queue.put(b"%d" % number)
    queue.sync()
    files = sorted((tmp_path / "events").glob("*/*.body"))
    assert {path.stat().st_ino for path in files} <= synced
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    queue.close()
