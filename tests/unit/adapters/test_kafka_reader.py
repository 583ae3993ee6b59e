"""The thread that reads a lane, over a library that makes mistakes."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.structs import MemberState
from structlog.testing import capture_logs

from dualwrite.adapters import kafka_reader
from dualwrite.adapters.kafka_reader import LaneReader
from dualwrite.adapters.kafka_shares import Message
from dualwrite.adapters.kafka_topics import KafkaPlace
from dualwrite.core.errors import Unreachable
from tests.process_harness import until

WHERE = TopicPartition("t", 3)


class Library:
    """Consumers of one partition; a member's next poll raises what stands in ``mistakes``, and
    its messages come with the one after."""

    def __init__(self, mistakes: Iterable[Exception] = ()) -> None:
        self.mistakes = deque(mistakes)
        self.memberships = 0
        self.closed = 0

    def consumer(self, **settings: Any) -> "Member":
        self.memberships += 1
        return Member(self)


class Member:
    def __init__(self, library: Library) -> None:
        self._library = library
        self._records = [SimpleNamespace(offset=0, key=b"k", value=b"v")]

    def subscribe(self, topics: list[str], listener: Any) -> None:
        asyncio.run(listener.on_partitions_assigned([WHERE]))

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        if self._library.mistakes:
            raise self._library.mistakes.popleft()
        found, self._records = self._records, []
        return {WHERE: found}

    def paused(self) -> set[TopicPartition]:
        return set()

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(state=MemberState.STABLE)

    def close(self, **how: Any) -> None:
        self._library.closed += 1
        raise AssertionError("a mistake at the end too")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_reader, "BROKEN_SECONDS", 0.01)


def reading(library: Library, monkeypatch: pytest.MonkeyPatch) -> LaneReader:
    monkeypatch.setattr(kafka_reader, "KafkaConsumer", library.consumer)
    reader = LaneReader(KafkaPlace(("nobody:1",)), "t", lambda: "id", lambda identity: "group")
    reader.start()
    return reader


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "mistake", [KeyError("k"), AssertionError(), TypeError("t"), AttributeError("a"), IndexError()],
    ids=repr,
)  # fmt: skip
def test_a_mistake_of_the_library_costs_a_membership_and_no_more(
    mistake: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged with its trace, the consumer is ended, and another one brings the messages."""
    library = Library([mistake])
    taken: list[Message] = []
    with capture_logs() as logged:
        reader = reading(library, monkeypatch)
        until(lambda: bool(taken.extend(reader.take(1)) or taken))
        reader.stop()
    assert taken[0].value == b"v"
    assert (library.memberships, library.closed) == (2, 2)
    [line] = [line for line in logged if line["event"] == "queue not read"]
    assert line["exc_info"] is True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_whose_thread_is_dead_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is no answer from somebody who looks no more."""

    class Fatal(BaseException):
        pass

    def fatal() -> str:
        raise Fatal

    reader = LaneReader(KafkaPlace(("nobody:1",)), "t", fatal, lambda identity: "group")
    threads = threading.active_count()
    reader.start()
    until(lambda: threading.active_count() == threads)
    with pytest.raises(Unreachable, match="the thread that reads t has ended"):
        reader.take(1)


@pytest.mark.parametrize("goes", ["on_partitions_revoked", "on_partitions_lost"])
def test_a_partition_that_comes_back_is_read_from_what_was_not_done(
    goes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited here, and what had just arrived, is read again, also if it went away twice; a
    partition of which all was done, or that went to another member, goes on where it is."""
    monkeypatch.setattr(kafka_reader, "HAND_OVER_SECONDS_MAX", 0.0)
    reader = LaneReader(KafkaPlace(("nobody:1",)), "t", lambda: "id", lambda identity: "group")
    sought: list[tuple[TopicPartition, int]] = []

    async def commit(offsets: Any) -> None:
        pass

    reader._consumer = SimpleNamespace(
        seek=lambda where, at: sought.append((where, at)), commit_async=commit
    )
    places = [TopicPartition("t", number) for number in range(4)]

    def message(partition: int, offset: int) -> Message:
        return Message(partition, offset, b"", b"", reader._shares.claim(partition) or 0)

    async def go() -> None:
        await reader.on_partitions_assigned(places)
        reader._shares.add([message(0, 5), message(0, 6), message(1, 3), message(3, 1)])
        done = {0: 5, 1: 3}
        for one in reader._shares.take(4):
            if done.get(one.partition) == one.offset:
                reader.ack(one.partition, one.offset, one.claim)
        reader._arrived = [message(2, 9), message(2, 8), message(0, 7)]
        await getattr(reader, goes)(places)
        await reader.on_partitions_lost(places)
        await reader.on_partitions_assigned(places[:3])
        assert sorted(sought) == [(places[0], 6), (places[2], 8)]
        sought.clear()
        reader._arrived = []
        await getattr(reader, goes)(places[:3])
        await reader.on_partitions_assigned(places)
        assert sought == []

    asyncio.run(go())
