import os
import stat
from pathlib import Path

import pytest

from footfall.installation import AlreadyRunning, Installation, ProjectKeys, Running
from lifecycle.failures import StartError


def test_only_one_holds_a_directory_and_the_other_is_told_who(tmp_path: Path) -> None:
    first, second = Installation(tmp_path / "data"), Installation(tmp_path / "data")
    with first.hold():
        assert second.running() is None, "it still starts"
        with pytest.raises(AlreadyRunning, match="still starting"), second.hold():
            raise AssertionError
        first.write_run(Running("http://127.0.0.1:8087", 7, "token"))
        assert second.running() == Running("http://127.0.0.1:8087", 7, "token")
        with pytest.raises(AlreadyRunning, match=r"process 7 at http://127\.0\.0\.1:8087"), second.hold():
            raise AssertionError
    with second.hold():
        assert first.running() is None


def test_what_a_killed_process_left_is_not_taken_for_running(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    with installation.hold():
        installation.write_run(Running("http://127.0.0.1:8087", 7, "token"))
        left = (tmp_path / "run.json").read_bytes()
    (tmp_path / "run.json").write_bytes(left)
    assert installation.running() is None


def test_keys_come_back_as_they_were_kept_and_are_private(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    assert installation.read_keys() is None
    keys = ProjectKeys("ffw_x", "ffs_x", "p1")
    installation.write_keys(keys)
    assert installation.read_keys() == keys
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_broken_keys_are_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(StartError, match="Move it away"):
        Installation(tmp_path).read_keys()


def test_a_directory_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StartError, match="Choose another with --data"),
        Installation(tmp_path / "file" / "x").hold(),
    ):
        raise AssertionError
    assert os.listdir(tmp_path) == ["file"]
