"""What a sender leaves behind whose broker does not answer."""

import threading
from pathlib import Path

import pytest

from dualwrite.adapters import kafka_queue
from dualwrite.adapters.kafka_queue import Sender
from dualwrite.adapters.kafka_topics import Topics
from dualwrite.core.errors import Unreachable
from tests.kafka_local import Broker, kafka, own_broker
from tests.process_harness import until

__all__ = ["kafka", "own_broker"]

pytestmark = pytest.mark.timeout(400)
"""A broker takes a minute to start on a machine that has other things to do."""
TIMES = 2
MESSAGES = [(str(n).encode(), b"v" * 100_000) for n in range(20)]


def open_now() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def test_what_a_frozen_broker_did_not_take_leaves_nothing_open(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each producer that is given up ends, though its messages wait for an answer."""
    monkeypatch.setattr(kafka_queue, "SENT_SECONDS_MAX", 6.0)
    place = own_broker.place("frozen")
    topics = Topics(place)
    topics.ensure(("mutations",))
    topics.close()
    sender = Sender(place)
    before = open_now()
    for _ in range(TIMES):
        sender.send(place.topic("mutations"), MESSAGES)
        own_broker.freeze()
        with pytest.raises(Unreachable):
            sender.send(place.topic("mutations"), MESSAGES)
        own_broker.thaw()
    until(lambda: open_now() == before)
