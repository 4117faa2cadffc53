import json
import re
from collections.abc import Iterator

import httpx
import pytest

from footfall_process import Up, eventually, footfall_up

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with footfall_up(tmp_path_factory.mktemp("stream") / "data") as running:
        yield running


def _activities(response: httpx.Response) -> Iterator[dict[str, object]]:
    kind = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "activity":
            yield json.loads(value)


def test_an_event_sent_shows_in_the_stream_the_history_and_the_pulse(up: Up) -> None:
    sent = {"user": "ada@acme.example", "action": "opened report", "account": "acme", "id": "shown-1"}
    with up.client() as reader, up.client("write_key") as sender:
        with reader.stream("GET", "/v1/stream") as stream:
            answer = sender.post("/v1/events", json=sent)
            assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
            shown = next(_activities(stream))
        assert {name: shown[name] for name in ("user", "action", "account", "id")} == sent
        eventually(lambda: reader.get("/v1/activity/shown-1").status_code == 200)
        assert reader.get("/v1/pulse").json()["active_users"]["today"] == 1


def test_each_service_answers_its_paths_and_counts_them_under_its_name(up: Up) -> None:
    paths = {
        "importer": "/v1/imports",
        "rule-engine": "/v1/rules",
        "stream-gateway": "/v1/activity",
        "ingest-api": "/js/footfall.js",
    }
    with up.client() as client:
        assert {path: client.get(path).status_code for path in paths.values()} == dict.fromkeys(
            paths.values(), 200
        )
        page = client.get("/metrics").text
    counted = set(re.findall(r'footfall_http_request_seconds_count\{.*?service="([a-z-]+)"', page))
    assert counted == set(paths)


def test_the_login_link_opens_a_session_once(up: Up) -> None:
    token = httpx.URL(up.facts["login_url"]).params["token"]
    with httpx.Client(base_url=up.url, trust_env=False) as browser:
        assert "Log in" in browser.get(up.facts["login_url"]).text
        form = {"data": {"token": token}, "headers": {"origin": up.url}}
        first = browser.post("/login", data=form["data"], headers=form["headers"])
        assert first.status_code == 303
        assert browser.cookies
    with httpx.Client(base_url=up.url, trust_env=False) as other:
        assert other.post("/login", data=form["data"], headers=form["headers"]).status_code == 410
