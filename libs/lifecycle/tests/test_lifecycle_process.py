"""A process stands, drains and falls as one: real processes, real signals."""

import signal
import socket
import time

import httpx
import pytest

from probe_service import ProbeProcess, probe_process

pytestmark = pytest.mark.e2e


def _url(probe: ProbeProcess, path: str) -> str:
    return f"http://127.0.0.1:{probe.port}{path}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_then_cancels_tasks_then_closes_resources(number: int) -> None:
    with probe_process() as probe:
        assert httpx.get(_url(probe, "/hello")).text == "hello"
        probe.signal(number)
        assert probe.exit_code() == 0
        events = probe.events()
    order = ["ready", "asked to stop", "drain called", "task over", "stopped", "resources closed"]
    assert [event for event in events if event in order] == order


def test_a_request_in_flight_is_answered_and_new_ones_are_served_while_draining() -> None:
    with probe_process(drain="hangs", drain_s=3) as probe, httpx.Client() as client:
        with socket.create_connection(("127.0.0.1", probe.port)) as waiting:
            waiting.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.get(_url(probe, "/readyz")).status_code == 200
            probe.signal(signal.SIGTERM)
            probe.wait_for("drain called")
            ready = client.get(_url(probe, "/readyz"))
            assert (ready.status_code, ready.json()["status"]) == (503, "draining")
            assert client.get(_url(probe, "/livez")).status_code == 200
            assert client.get(_url(probe, "/hello")).text == "hello"
            assert waiting.recv(65536).endswith(b"finished")
        assert probe.exit_code() == 0


def test_a_stream_is_ended_whole_by_the_drain() -> None:
    with probe_process() as probe, httpx.stream("GET", _url(probe, "/stream"), timeout=20) as response:
        chunks = response.iter_text()
        assert "tick" in next(chunks)
        probe.signal(signal.SIGTERM)
        rest = "".join(chunks)  # raises when the body does not end as HTTP says
        assert rest.endswith("event: bye\ndata:\n\n")
        assert probe.exit_code() == 0


def test_a_stream_that_does_not_listen_is_cut_and_the_exit_is_clean() -> None:
    with probe_process(drain_s=0.5) as probe, httpx.stream("GET", _url(probe, "/endless")) as response:
        chunks = response.iter_text()
        assert "open" in next(chunks)
        probe.signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)
        assert probe.exit_code() == 0
        assert "resources closed" in probe.events()
        assert "Traceback" not in probe.text


@pytest.mark.parametrize(
    ("drain", "said"), [("hangs", "draining took too long"), ("fails", "draining failed")]
)
def test_a_drain_that_hangs_or_fails_does_not_keep_the_process(drain: str, said: str) -> None:
    with probe_process(drain=drain, drain_s=0.5) as probe:
        probe.signal(signal.SIGTERM)
        assert probe.exit_code() == 0
        assert said in probe.text
        assert "task over" in probe.events()


def test_a_second_signal_ends_it_at_once_but_closes_resources() -> None:
    with probe_process(drain="hangs", drain_s=600) as probe:
        probe.signal(signal.SIGTERM)
        probe.wait_for("drain called")
        probe.signal(signal.SIGTERM)
        assert probe.exit_code() == 128 + signal.SIGTERM
        assert "resources closed" in probe.events()


@pytest.mark.parametrize(
    ("task", "said"), [("raises", "the projector met a bug"), ("returns", "a task returned")]
)
def test_a_dead_task_brings_the_server_down_and_says_why(task: str, said: str) -> None:
    with probe_process(ready=False, task=task) as probe:
        assert probe.exit_code() == 1
        assert said in probe.text
        assert any(line.get("task") == "worker" and line["level"] == "error" for line in probe.lines)
        assert "resources closed" in probe.events()


def test_a_port_in_use_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with probe_process(ready=False, port=port) as probe:
            assert probe.exit_code() == 1
            assert f"port {port} is in use" in probe.text
            assert "Traceback" not in probe.text


def test_wrong_settings_exit_with_2_and_the_text() -> None:
    with probe_process(ready=False, settings=True, environ={"FOOTFALL_PROT": "1"}) as probe:
        assert probe.exit_code() == 2
        assert "did you mean FOOTFALL_PORT?" in probe.text
        assert "FOOTFALL_DATABASE_URL is missing" in probe.text
        assert "Traceback" not in probe.text


def test_the_loop_lag_is_measured() -> None:
    with probe_process() as probe:
        deadline = time.monotonic() + 20
        while (
            'footfall_loop_lag_seconds_count{service="probe"}' not in httpx.get(_url(probe, "/metrics")).text
        ):
            assert time.monotonic() < deadline
