"""From a request to `/v1/sources`: which key sent what, with which SDK, and what was refused."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from footfall_process import Up, eventually, footfall_up

pytestmark = pytest.mark.e2e

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
NODE = {"library": {"name": "analytics-node", "version": "2.1.0"}}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with footfall_up(tmp_path_factory.mktemp("sources") / "data") as running:
        yield running


def _sources(reader: httpx.Client) -> dict[tuple[str, str], dict[str, Any]]:
    answer = reader.get("/v1/sources")
    assert answer.status_code == 200, answer.text
    return {(item["kind"], item["sdk"]): item for item in answer.json()["items"]}


def test_what_arrives_shows_by_key_and_sdk_with_the_last_rejection(up: Up) -> None:
    with up.client() as server, up.client("write_key") as page:
        assert server.post(
            "/v1/events",
            json=[{"user": "ada", "action": "a", "context": NODE}, {"user": "bob", "context": NODE}],
        ).json()["rejected"]
        assert page.post("/v1/events", json={"action": "b"}, headers={"user-agent": BROWSER}).is_success
        assert page.get("/t.gif", params={"user": "eve"}, headers={"user-agent": BROWSER}).is_success
        eventually(lambda: sum(s["events"] + s["rejected"] for s in _sources(server).values()) == 4)
        node, browser = (
            _sources(server)["secret", "analytics-node/2.1.0"],
            _sources(server)["write", "browser"],
        )
        keys = {
            key["id"]: key for key in server.get(f"/v1/projects/{up.facts['project']}/keys").json()["items"]
        }
    for source, reason in ((node, "missing_action"), (browser, "missing_action")):
        assert (source["events"], source["rejected"], sum(source["per_minute"])) == (1, 1, 1)
        assert len(source["per_minute"]) == 60
        assert source["last_rejection"]["code"] == reason
        assert source["last_four"] == keys[source["key"]]["last_four"]
        assert source["last_rejection"]["at"] <= source["last_seen"]
