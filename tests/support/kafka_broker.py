"""A real Kafka for tests: the one FOOTFALL_KAFKA names, a container, or a native broker on Java 17."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from confluent_kafka.admin import AdminClient

VERSION = "4.1.0"
START_S = 90

_CLUSTER_ID = "Zm9vdGZhbGwtdGVzdC1rYQ"
_POM = Path(__file__).parent / "kafka" / "pom.xml"
# A test broker lives for seconds: a quick start and cores left to the tests are worth more than throughput.
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
# Ends the broker as its stdin says. When that closes, the test run was killed: nothing stays behind.
_GUARD = """
"$@" & broker=$!
read -r signal || { kill -KILL $broker; wait $broker; rm -rf "$0"; exit; }
kill -"$signal" $broker; wait $broker
"""
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # A killed broker may register again only when its old session is over.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    "log.cleaner.enable": "false",
    "num.io.threads": "2",
    "num.network.threads": "2",
}


class Broker(Protocol):
    """One Kafka broker. It answers at `bootstrap`, the same address after a restart.

    Only what is `ours` may be ended or frozen.
    """

    bootstrap: str
    ours: bool

    def kill(self) -> None:
        """End it as a crash does; return when it is gone."""
        ...

    def stop(self) -> None:
        """End it in order; return when it is gone."""
        ...

    def start(self) -> None:
        """Start it on the data it had; return when it answers."""
        ...

    def freeze(self) -> None:
        """Let it hang: connections stand, nothing is answered."""
        ...

    def thaw(self) -> None:
        """Let it go on."""
        ...


@contextmanager
def running_broker(*, own: bool = False) -> Iterator[Broker]:
    """A broker that answers, gone with its data on leaving.

    Looks for FOOTFALL_KAFKA, then for a container engine, then for Maven and Java 17 or newer; raises
    RuntimeError when there is none of the three. `own` asks for a broker that may be ended and frozen, and so
    passes FOOTFALL_KAFKA over.
    """
    given = os.environ.get("FOOTFALL_KAFKA")
    with ExitStack() as cleanup:
        if given and not own:
            broker: Broker = _GivenBroker(given)
        elif _container_engine_answers():
            broker = _ContainerBroker(cleanup)
        elif shutil.which("mvn") and shutil.which("java"):
            broker = _NativeBroker(cleanup)
        else:
            raise RuntimeError(
                "No Kafka to test with. Set FOOTFALL_KAFKA to a broker's host:port, or start a container "
                "engine, or install Maven and Java 17, with which the tests start their own broker."
            )
        broker.start()
        yield broker


class _GivenBroker:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.ours = False

    def start(self) -> None:
        _await_answer(self.bootstrap)

    def stop(self) -> None:
        raise RuntimeError("FOOTFALL_KAFKA is not the tests' to touch: ask for running_broker(own=True).")

    kill = freeze = thaw = stop


class _ContainerBroker:
    def __init__(self, cleanup: ExitStack) -> None:
        from testcontainers.core.container import DockerContainer

        port = _free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.ours = True
        settings = {
            **_SETTINGS,
            "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": "1@localhost:9093",
        }
        self._container = DockerContainer(f"apache/kafka:{VERSION}").with_bind_ports(port, port)
        for name, value in settings.items():
            self._container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        self._started = False
        cleanup.callback(self._remove)

    def start(self) -> None:
        if self._started:
            self._container.get_wrapped_container().start()
        else:
            self._started = True
            self._container.start()
        _await_answer(self.bootstrap)

    def stop(self) -> None:
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def freeze(self) -> None:
        self._container.get_wrapped_container().pause()

    def thaw(self) -> None:
        self._container.get_wrapped_container().unpause()

    def _remove(self) -> None:
        if self._started:
            self._container.stop(force=True, delete_volume=True)


class _NativeBroker:
    def __init__(self, cleanup: ExitStack) -> None:
        self._jars = _native_jars()
        self._directory = Path(tempfile.mkdtemp(prefix="footfall-kafka-"))
        cleanup.callback(shutil.rmtree, self._directory, ignore_errors=True)
        port, controller = _free_port(), _free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.ours = True
        self._settings = self._directory / "server.properties"
        settings = {
            **_SETTINGS,
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(self._directory / "data"),
        }
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._output = self._directory / "server.log"
        self._guard: subprocess.Popen[bytes] | None = None
        cleanup.callback(self.kill)

    def start(self) -> None:
        if not (self._directory / "data").exists():
            subprocess.run(
                self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._settings)),
                check=True,
                stdout=subprocess.DEVNULL,
            )
        with self._output.open("ab") as output:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, self._directory, *self._java("kafka.Kafka", str(self._settings))],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _await_answer(self.bootstrap)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self._output.read_text()[-4000:]}") from error

    def stop(self) -> None:
        self._end(b"TERM\n")

    def kill(self) -> None:
        self._end(b"KILL\n")

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._guard is not None
        os.killpg(self._guard.pid, number)

    def _end(self, how: bytes) -> None:
        if self._guard is None:
            return
        self.thaw()
        self._guard.communicate(how, timeout=60)
        self._guard = None

    def _java(self, *arguments: str) -> list[str]:
        return ["java", *_JVM, "-cp", f"{self._jars}/*", *arguments]


def _container_engine_answers() -> bool:
    kind, _, where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    if kind != "unix":
        # Somebody named it: when it does not answer, that is an error to see.
        return True
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(5)
        try:
            engine.connect(where)
            engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in engine.recv(64)
        except OSError:
            return False


def _native_jars() -> Path:
    """The directory of the broker's jars, filled on first use; two test runs may do so at once."""
    jars = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "footfall" / f"kafka-{VERSION}"
    if jars.exists():
        return jars
    jars.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="kafka-", dir=jars.parent))
    copy = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(_POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={partial}",
    ]
    subprocess.run(copy, check=True)
    try:
        # A directory appears under its last name only when it is complete.
        partial.rename(jars)
    except OSError:
        shutil.rmtree(partial)
        if not jars.exists():
            raise
    return jars


def _free_port() -> int:
    """A port below those that outgoing connections take: it stays free while a broker is down."""
    while True:
        port = random.randint(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _await_answer(bootstrap: str) -> None:
    deadline = time.monotonic() + START_S
    host, _, port = bootstrap.split(",")[0].rpartition(":")
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kafka at {bootstrap} did not answer within {START_S} s.") from error
            time.sleep(0.05)
    # The listener accepts before the broker is ready; the answer to a request comes once it is.
    AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=START_S)
