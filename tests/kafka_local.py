"""A real Kafka broker, one KRaft node: fetched by Maven on request, like DynamoDB Local."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from dualwrite.adapters.kafka_topics import KafkaPlace
from tests.engines_chosen import KAFKA, fetched, free_port, lacking
from verifier.rehearsal.broker import CLUSTER, LOUD
from verifier.rehearsal.broker import PROPERTIES as OWN_PROPERTIES

HOME = Path(__file__).parent / "engines" / "kafka"
START_SECONDS_MAX = 120.0
PROPERTIES = f"""{OWN_PROPERTIES}\
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=200
"""


class Broker:
    """One broker on fixed ports, that may be killed, started again, and lose all it held."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.port, controller = free_port(), free_port()
        self._data = home / "data"
        self._properties = home / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(port=self.port, controller=controller, data=self._data)
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def place(self, prefix: str) -> KafkaPlace:
        return KafkaPlace((self.server,), prefix)

    def start(self) -> None:
        """Return once it answers."""
        if not self._data.exists():
            form = ["kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"]
            form += ["-t", CLUSTER, "-c", str(self._properties)]
            subprocess.run([*_java("64m"), *form], check=True, stdout=subprocess.DEVNULL)
        with (self._home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_java("256m"), "kafka.Kafka", str(self._properties)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            assert self._process.poll() is None, "the broker ended before it answered"
            assert time.monotonic() < deadline, "the broker did not answer in time"

    def kill(self) -> None:
        """SIGKILL; what it held is on its disk."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def lose_everything(self) -> None:
        """A killed broker's disk is gone: all topics, all offsets."""
        shutil.rmtree(self._data)

    def _answers(self) -> bool:
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.server, bootstrap_timeout_ms=1_000)
        except (KafkaError, OSError):
            time.sleep(0.1)
            return False
        try:
            admin.list_topics()
        except (KafkaError, OSError):
            return False
        else:
            return True
        finally:
            admin.close()


def _java(memory: str) -> list[str]:
    java = shutil.which("java")
    if java is None:
        lacking(KAFKA, "Java, which runs it, is not installed")
    return [java, f"-Xmx{memory}", LOUD, "-cp", str(HOME / "lib" / "*")]


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A running broker; a test takes a prefix of its own. Skips where there is none to run."""
    fetch = ["mvn", "-q", "-B", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    fetched(KAFKA, HOME, fetch, target="lib", source="pom.xml")
    with tempfile.TemporaryDirectory() as home:
        broker = Broker(Path(home))
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()


@pytest.fixture
def own_broker(kafka: Broker, tmp_path: Path) -> Iterator[Broker]:
    """A broker for one test, which may do with it what it likes."""
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()
