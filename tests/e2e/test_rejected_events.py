"""From a refused event to one that counts: listed, corrected, replayed, shown on the stream; by HTTP and by command."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from footfall_process import Up, eventually, footfall, footfall_up

pytestmark = pytest.mark.e2e

RULE = 'rule "told" { on "opened report" do dashboard(note: "told") }'


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with footfall_up(tmp_path_factory.mktemp("rejected") / "data") as running:
        yield running


def _refused(client: httpx.Client, account: str, **sent: Any) -> dict[str, Any]:
    """Send an event that is refused; the rejection, once it is listed."""
    event = {"userId": "ada", "account": account, "action": "opened report", **sent}
    assert client.post("/v1/events", json=event).status_code == 400

    def ours() -> list[dict[str, Any]]:
        items = client.get("/v1/rejected", params={"state": "open"}).json()["items"]
        return [item for item in items if account in client.get(f"/v1/rejected/{item['id']}").json()["body"]]

    eventually(ours)
    return ours()[0]


def test_a_corrected_event_is_on_the_stream_counts_once_and_acts_on_nobody(up: Up) -> None:
    with up.client() as client:
        assert client.post("/v1/rules", json={"text": RULE}).status_code == 200
        rejection = _refused(client, "acme")
        assert (rejection["code"], rejection["fix"]) == ("unknown_field", {"rename": {"userId": "user"}})
        path = f"/v1/rejected/{rejection['id']}/replay"
        corrected = {"event": {"user": "ada", "account": "acme", "action": "opened report"}}
        with client.stream("GET", "/v1/stream") as stream:
            for _ in range(2):
                assert client.post(path, json=corrected).json()["accepted"] == 1
            shown = next(
                json.loads(line[6:]) for line in stream.iter_lines() if line.startswith('data: {"id"')
            )
        assert (shown["user"], shown["origin"]) == ("ada", "replay")
        assert shown["occurred_at"] == rejection["received_at"]
        live = {"user": "bob", "account": "acme", "action": "opened report", "id": "after"}
        assert client.post("/v1/events", json=live).status_code == 200
        eventually(lambda: client.get("/v1/activity/after").status_code == 200)
        assert client.get("/v1/accounts/acme").json()["activities"] == 2
        eventually(lambda: len(client.get("/v1/actions").json()["items"]) == 2)
        actions = {item["user"]: item for item in client.get("/v1/actions").json()["items"]}
    assert (actions["ada"]["status"], actions["ada"]["reason"]) == ("suppressed", "history")
    assert actions["bob"]["status"] == "sent"


def test_commands_list_check_replay_and_dismiss(up: Up) -> None:
    data = ("--data", str(up.directory))
    with up.client() as client:
        first = _refused(client, "foo")
        second = _refused(client, "foo-too", action=None)
        told = footfall("rejected", "list", *data)
        assert told.returncode == 0
        assert f"footfall rejected replay {first['id']} --rename userId=user" in told.stdout
        assert '"userId": "ada"' in footfall("rejected", "show", first["id"], *data).stdout.replace(
            '":"', '": "'
        )
        fix = ("replay", "--code", "unknown_field", "--rename", "userId=user", *data)
        checked = footfall("rejected", *fix, "--dry-run")
        assert (checked.returncode, checked.stdout) == (0, "1 would be accepted, 0 refused again.\n")
        assert client.get("/v1/accounts/foo").status_code == 404
        assert footfall("rejected", *fix).stdout == "1 accepted, 0 refused again.\n"
        assert footfall("rejected", *fix).stdout == "0 accepted, 0 refused again.\n"
        eventually(lambda: client.get("/v1/accounts/foo").status_code == 200)
        assert client.get("/v1/accounts/foo").json()["activities"] == 1
        again = footfall("rejected", "replay", second["id"], "--event", '{"user": "ada"}', *data)
        assert (again.returncode, "missing_action" in again.stdout) == (1, True)
        result = json.loads(
            footfall("rejected", "replay", second["id"], "--set", "action=upgraded", *data, "--json").stdout
        )
        assert [one["code"] for one in result["rejected"]] == ["unknown_field"]
        gone = json.loads(footfall("rejected", "dismiss", "--all", *data, "--json").stdout)
        assert gone == {"dismissed": 1}
        assert client.get(f"/v1/rejected/{second['id']}").json()["state"] == "dismissed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("dismiss",),
        ("replay", "one", "--all"),
        ("replay", "--all", "--rename", "userId"),
        ("replay", "one", "two", "--event", "{}"),
        ("replay", "one", "--event", "{"),
    ],
)
def test_what_a_command_cannot_work_with_it_says(arguments: tuple[str, ...]) -> None:
    done = footfall("rejected", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(".\n") or done.stderr.endswith(").\n")
