import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from footfall_process import FOOTFALL, Up, eventually, footfall, footfall_up

pytestmark = pytest.mark.e2e

_LOG_LINE = (
    '93.184.216.34 - ada [22/Nov/2026:09:30:00 +0000] "GET /reports/7 HTTP/1.1" 200 512 "-" "Mozilla/5.0"\n'
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with footfall_up(tmp_path_factory.mktemp("commands") / "data") as running:
        yield running


def test_a_project_lives_from_create_to_delete(up: Up) -> None:
    data = ("--data", str(up.directory), "--json")
    made = json.loads(footfall("project", "create", "staging", *data).stdout)
    assert made.keys() == {"project", "write_key", "secret_key"}
    headers = {"authorization": f"Bearer {made['write_key']}"}
    sent = httpx.post(
        f"{up.url}/v1/events", json={"user": "u", "action": "a"}, headers=headers, trust_env=False
    )
    assert sent.json() == {"accepted": 1, "rejected": []}
    listed = json.loads(footfall("project", "list", *data).stdout)["items"]
    assert [entry["name"] for entry in listed] == ["main", "staging"]
    refused = footfall("project", "delete", "staging", *data)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert json.loads(footfall("project", "delete", "staging", "--yes", *data).stdout) == {
        "deleted": made["project"]
    }
    taken = footfall("project", "create", "main", *data)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "A project named main exists already." in taken.stderr


def test_event_sends_what_it_is_told(up: Up) -> None:
    done = footfall(
        "event", "ada", "upgraded", "--account", "acme", "--property", "seats=5", "--property", "plan=pro",
        "--id", "cli-1", "--data", str(up.directory),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "Accepted: the event is stored.\n")
    with up.client() as client:
        eventually(lambda: client.get("/v1/activity/cli-1").status_code == 200)
        stored = client.get("/v1/activity/cli-1").json()
    assert (stored["user"], stored["account"], stored["action"]) == ("ada", "acme", "upgraded")
    assert stored["properties"] == {"seats": 5, "plan": "pro"}


def test_commands_reach_a_remote_installation_by_url_and_key(up: Up, tmp_path: Path) -> None:
    remote = {"FOOTFALL_URL": up.url, "FOOTFALL_KEY": str(up.facts["secret_key"])}
    done = footfall("event", "ada", "signed in", "--json", environ=remote, cwd=tmp_path)
    assert json.loads(done.stdout) == {"accepted": 1, "rejected": []}
    nowhere = footfall(
        "event", "ada", "signed in", environ={"FOOTFALL_URL": "http://127.0.0.1:9"}, cwd=tmp_path
    )
    assert nowhere.returncode == 2
    assert "FOOTFALL_KEY" in nowhere.stderr
    away = footfall("event", "a", "b", environ={**remote, "FOOTFALL_URL": "http://127.0.0.1:9"}, cwd=tmp_path)
    assert away.returncode == 1
    assert away.stderr.startswith("http://127.0.0.1:9 does not answer")
    assert not any(tmp_path.iterdir())


def test_login_prints_a_link_that_works(up: Up) -> None:
    link = footfall("login", "--data", str(up.directory)).stdout.strip()
    assert link.startswith(f"{up.url}/login?token=")
    assert "Log in" in httpx.get(link, trust_env=False).text


def test_topics_and_migrate_look_at_the_running_installation(up: Up) -> None:
    topics = json.loads(footfall("topics", "--data", str(up.directory), "--json").stdout)
    assert topics["log"] == "postgres"
    assert {topic["name"]: topic["partitions"] for topic in topics["topics"]} == dict.fromkeys(
        ("footfall.events", "footfall.backfill", "footfall.actions", "footfall.signals", "footfall.rejected"),
        8,
    )
    migrated = footfall("migrate", "--data", str(up.directory), "--json")
    assert json.loads(migrated.stdout) == {"applied": []}


def test_an_import_is_planned_run_and_joined_when_run_again(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text(_LOG_LINE * 3)
    of = ("access-log", str(file), "--data", str(up.directory), "--json")
    plan = json.loads(footfall("import", "plan", *of).stdout)
    assert (plan["lines"], plan["usable"]) == (3, True)
    done = footfall("import", "run", *of)
    run = json.loads(done.stdout)
    assert (done.returncode, run["state"], run["lines"]) == (0, "done", 3)
    assert json.loads(footfall("import", "run", *of).stdout)["run"] == run["run"]
    runs = json.loads(footfall("import", "status", "--data", str(up.directory), "--json").stdout)["items"]
    assert [one["run"] for one in runs] == [run["run"]]
    missing = footfall("import", "run", "access-log", str(tmp_path / "none.log"), "--data", str(up.directory))
    assert missing.returncode == 2
    assert missing.stderr == f"{tmp_path / 'none.log'} cannot be read: No such file or directory.\n"


def test_the_printed_curl_lines_work_as_pasted(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [FOOTFALL, "up", "--data", str(tmp_path / "data"), "--port", "0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = []
        while "Ctrl-C stops everything." not in (line := process.stdout.readline()):
            assert line, "footfall up ended"
            assert "\x1b" not in line, "no colours in a pipe"
            lines.append(line.strip())
        send, watch = (line for line in lines if line.startswith("curl "))
        with subprocess.Popen([*shlex.split(watch), "-s"], stdout=subprocess.PIPE, text=True) as stream:
            assert stream.stdout is not None
            answer = subprocess.run([*shlex.split(send), "-s"], capture_output=True, text=True, check=True)
            assert json.loads(answer.stdout) == {"accepted": 1, "rejected": []}
            assert any('"opened report"' in line for line in stream.stdout)
            stream.terminate()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_where_none_runs_a_command_starts_one_for_itself_and_login_says_how(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    refused = footfall("login", *data)
    assert refused.returncode == 1
    assert f"footfall up --data {tmp_path / 'data'}" in refused.stderr
    made = footfall("project", "create", "early", *data, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout).keys() == {"project", "write_key", "secret_key"}
    assert not (tmp_path / "data" / "run.json").exists()
    assert not (tmp_path / "data" / "postgres" / "data" / "postmaster.pid").exists()
    with footfall_up(tmp_path / "data") as up, up.client() as client:
        key = {"authorization": f"Bearer {json.loads(made.stdout)['secret_key']}"}
        assert client.get("/v1/activity", headers=key).status_code == 200


def test_rules_check_points_at_the_mistake_and_needs_no_installation(tmp_path: Path) -> None:
    file = tmp_path / "some.rules"
    file.write_text("this is no rule\n")
    done = footfall("rules", "check", str(file), cwd=tmp_path)
    assert done.returncode == 1
    assert f"{file}:1:" in done.stdout
    assert "^" in done.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["some.rules"]
