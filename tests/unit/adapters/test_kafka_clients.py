"""What a client of the Kafka library leaves behind that could not start, or whose loop broke."""

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dualwrite.adapters import kafka_queue, kafka_reader, kafka_topics
from dualwrite.adapters.kafka_clients import Connections
from dualwrite.adapters.kafka_queue import Sender
from dualwrite.adapters.kafka_reader import LaneReader
from dualwrite.adapters.kafka_topics import KafkaPlace, Topics
from dualwrite.core.errors import Unreachable
from tests.process_harness import until

TIMES = 3


@pytest.fixture
def mute() -> Iterator[str]:
    """A broker that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    """A process that serves is looked through seldom, so what only the collector ends is open."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_now() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def asked(place: KafkaPlace) -> None:
    Topics(place).ids(("t",))


def sent(place: KafkaPlace) -> None:
    Sender(place).send("t", [(b"k", b"v")])


def read(place: KafkaPlace) -> None:
    """A reader whose thread tries to join, and is told to stop meanwhile."""
    asked_at: list[None] = []

    def topic_id() -> str:
        asked_at.append(None)
        return "id"

    reader = LaneReader(place, "t", topic_id, lambda identity: f"group.{identity}")
    reader.start()
    until(lambda: len(asked_at) > 1)
    reader.stop()
    raise Unreachable("as the others")


@pytest.mark.parametrize("use", [asked, sent, read])
def test_a_client_that_cannot_start_leaves_nothing_open(
    mute: str, use: Callable[[KafkaPlace], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither threads nor descriptors, however often it is tried."""
    for module in (kafka_queue, kafka_reader, kafka_topics):
        monkeypatch.setattr(module, "REQUEST_MS", 100)
    monkeypatch.setattr(kafka_reader, "BACK_OFF_SECONDS", 0.01)
    before = open_now()
    for _ in range(TIMES):
        with pytest.raises(Unreachable):
            use(KafkaPlace((mute,)))
    assert open_now() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_whose_loop_broke_is_ended(mute: str) -> None:
    """Its own end raises again what broke it, and closes nothing."""
    before = open_now()
    connections = Connections()
    client = connections(bootstrap_servers=mute)

    def broken(events: object) -> None:
        raise KeyError("a mistake of the library's")

    client._net._process_events = broken
    client._net.start()
    client._net.wakeup()
    until(lambda: client._net._exception is not None)
    with pytest.raises(KeyError):
        client.close()
    connections.end()
    assert open_now() == before
