import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from footfall_process import alive, eventually, family, footfall_up, start_up

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose first start is behind it."""
    directory = tmp_path_factory.mktemp("made") / "data"
    with footfall_up(directory):
        pass
    return directory


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_cleanly(made: Path, number: signal.Signals) -> None:
    with footfall_up(made) as up:
        processes = up.family()
        assert len(processes) > 3, "the guard, PostgreSQL and its workers"
        assert up.stop(number) == 0
        assert alive(processes) == []
    assert not (made / "run.json").exists()


def test_ctrl_c_in_a_terminal_reaches_the_whole_group_and_still_ends_cleanly(made: Path) -> None:
    with footfall_up(made) as up:
        processes = up.family()
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.process.wait(timeout=30) == 0
        assert alive(processes) == []
    log = (made / "postgres" / "server.log").read_text().splitlines()
    assert "database system is shut down" in log[-1]


def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start_up(tmp_path / "data")
    eventually(lambda: len(family(process)) > 2)
    processes = family(process)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    eventually(lambda: not alive(processes))
    with footfall_up(tmp_path / "data") as up, up.client() as client:
        assert client.get("/readyz").status_code == 200


def test_a_killed_process_takes_postgres_with_it_and_the_next_start_has_all_data(made: Path) -> None:
    with footfall_up(made) as up:
        processes = up.family()
        sent = {"user": "ada", "action": "survived a kill", "id": "kill-1"}
        with up.client() as client:
            assert client.post("/v1/events", json=sent).json() == {"accepted": 1, "rejected": []}
        up.process.kill()
        up.process.wait()
        eventually(lambda: not alive(processes), 5)
        keys = (up.facts["project"], up.facts["write_key"], up.facts["secret_key"])
    with footfall_up(made) as again:
        assert (again.facts["project"], again.facts["write_key"], again.facts["secret_key"]) == keys
        with again.client() as client:
            eventually(lambda: client.get("/v1/activity/kill-1").status_code == 200)


def test_a_start_right_after_a_kill_does_not_trip_over_what_is_left(made: Path) -> None:
    with footfall_up(made) as up:
        up.process.kill()
        with footfall_up(made) as again, again.client() as client:
            assert client.get("/readyz").json()["status"] == "ready"


def test_a_killed_guard_ends_everything_with_a_reason(made: Path) -> None:
    with footfall_up(made) as up:
        processes = up.family()
        [guard] = [one for one in processes if "footfall.guard" in one.cmdline()]
        guard.kill()
        assert up.process.wait(timeout=30) == 1
        eventually(lambda: not alive(processes))


def test_a_second_up_on_the_same_directory_names_the_first(made: Path) -> None:
    with footfall_up(made) as up:
        second = start_up(made)
        _, said = second.communicate(timeout=60)
        assert second.returncode == 1
        assert said == (
            f"Footfall already runs on {made}: process {up.process.pid} at {up.url}. "
            "Use that one, or choose another --data.\n"
        )


def test_a_taken_port_is_said_before_the_database_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start_up(tmp_path / "data", "--port", str(port))
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"port {port} is in use" in said
    assert "Traceback" not in said
    assert not (tmp_path / "data" / "postgres").exists()


@pytest.mark.parametrize("name", ["closed/data", "l" * 120])
def test_a_directory_behind_a_closed_parent_or_with_a_long_path_works(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.parent.mkdir(exist_ok=True)
    directory.parent.chmod(0o700)
    with footfall_up(directory) as up, up.client() as client:
        assert client.get("/readyz").json() == {
            "status": "ready",
            **dict.fromkeys(client.get("/readyz").json().keys() - {"status"}, "ok"),
        }
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_uid == os.geteuid()


def test_keys_and_run_files_are_for_their_owner_alone(made: Path) -> None:
    with footfall_up(made):
        modes = {name: (made / name).stat().st_mode & 0o777 for name in ("keys.json", "run.json", "lock")}
    assert modes == dict.fromkeys(modes, 0o600)


def test_settings_nobody_reads_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    process = start_up(tmp_path / "data", environ={"FOOTFALL_DRAIN": "3"})
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "FOOTFALL_DRAIN is not a setting: did you mean FOOTFALL_DRAIN_S?" in said
    assert not (tmp_path / "data").exists()


def test_no_more_connections_than_the_embedded_database_is_meant_for(made: Path) -> None:
    with footfall_up(made) as up:
        [server] = [one for one in up.family() if "-D" in one.cmdline()]
        backends = [one for one in server.children() if "footfall footfall" in " ".join(one.cmdline())]
        assert 0 < len(backends) < 60, psutil.Process(server.pid)
