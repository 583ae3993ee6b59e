"""Reads one lane's topic as a member of its consumer group, in a thread of its own.

The client library blocks, so everything it does is done here; the event loop only looks at what is
ready. An offset is committed once all before it on its partition are acknowledged. A commit names
the topic's id, for a topic that was lost and made anew counts from 0 again.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState

from dualwrite.adapters.kafka_topics import REQUEST_MS, KafkaPlace
from dualwrite.core.errors import EngineError

POLL_MS = 50
JOIN_MS = 1_000
"""How long one poll waits while the member is not in its group yet. The library throws away a join
that ends between two polls and joins anew, so short polls on a busy machine may never get in."""
SESSION_MS = 6_000
"""How long a silent member keeps its partitions; a broker's own lower bound."""
READY_MAX = 400
"""Messages taken from the broker and not acknowledged; beyond, nothing more is fetched."""
BACK_OFF_SECONDS = 0.5
ID_CHECK_TURNS = 40
"""Turns between two looks at whether the topic is still the one it was."""
CLOSE_SECONDS_MAX = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    """One message, and the claim under which it was fetched."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    claim: int


@dataclass(slots=True)
class _Share:
    """One partition that is assigned to this member."""

    claim: int
    fresh: bool = True
    """Not positioned yet: what was fetched by then does not count."""
    open: deque[int] = field(default_factory=deque)
    """Offsets handed out and not yet in the committed prefix, in order."""
    acked: set[int] = field(default_factory=set)
    next: int = -1
    """The offset to commit; -1: nothing new."""


class LaneReader(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """``take`` and ``ack`` never block; ``start`` and ``stop`` do."""

    def __init__(
        self,
        place: KafkaPlace,
        topic: str,
        group: str,
        topic_id: Callable[[], str | None],
    ) -> None:
        """``topic_id`` asks the broker; raises EngineError."""
        self._place = place
        self._topic = topic
        self._group = group
        self._topic_id = topic_id
        self._id: str | None = None
        self._lock = threading.Lock()
        self._shares: dict[int, _Share] = {}
        self._ready: deque[Message] = deque()
        self._claims = 0
        self._stop = threading.Event()
        self._away = threading.Event()
        self._steps_back = 0
        """Counted, so that a ``take`` right after one does not hide it from the thread."""
        self._thread = threading.Thread(target=self._run, name=f"kafka {topic}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what is acknowledged and leave the group."""
        self._stop.set()
        self._thread.join(CLOSE_SECONDS_MAX)

    def step_back(self) -> None:
        """Leave the group until the next ``take``."""
        self._steps_back += 1
        self._away.set()
        self._forget(set(self._shares))

    def take(self, most: int) -> list[Message]:
        if most > 0:
            self._away.clear()
        with self._lock:
            return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def ack(self, partition: int, offset: int, claim: int) -> None:
        """Note that a message's work is applied, if the claim still stands."""
        with self._lock:
            share = self._shares.get(partition)
            if share is None or share.claim != claim:
                return
            share.acked.add(offset)
            while share.open and share.open[0] in share.acked:
                share.next = share.open.popleft() + 1
                share.acked.discard(share.next - 1)

    # -- the group's news, from a thread of the library ---------------------------------------

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._forget({one.partition for one in revoked})

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._forget({one.partition for one in lost})

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        with self._lock:
            for one in assigned:
                self._claims += 1
                self._shares[one.partition] = _Share(self._claims)

    def _forget(self, partitions: set[int]) -> None:
        with self._lock:
            for partition in partitions:
                self._shares.pop(partition, None)
            self._ready = deque(m for m in self._ready if m.partition not in partitions)

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._away.is_set():
                self._stop.wait(POLL_MS / 1000)
                continue
            consumer: KafkaConsumer | None = None
            try:
                steps_back = self._steps_back
                self._id = self._topic_id()
                consumer = self._connected()
                self._read(consumer, steps_back)
                self._commit(consumer)
            except (KafkaError, EngineError, OSError, ValueError, RuntimeError) as error:
                log.warning("queue not read", topic=self._topic, error=type(error).__name__)
                self._stop.wait(BACK_OFF_SECONDS)
            finally:
                self._forget(set(self._shares))
                if consumer is not None:
                    try:
                        consumer.close(autocommit=False, timeout_ms=2_000)
                    except (KafkaError, OSError, RuntimeError) as error:
                        log.info("group not left", topic=self._topic, error=type(error).__name__)

    def _connected(self) -> KafkaConsumer:
        consumer = KafkaConsumer(
            bootstrap_servers=list(self._place.servers),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=1_000,
            fetch_max_wait_ms=POLL_MS,
            request_timeout_ms=SESSION_MS * 2,
            bootstrap_timeout_ms=REQUEST_MS,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=2_000,
        )
        consumer.subscribe([self._topic], listener=self)
        return consumer

    def _read(self, consumer: KafkaConsumer, steps_back: int) -> None:
        """Until asked to stop or to step back, or the topic is another: then its offsets mean
        nothing. ``steps_back``: how many there were before this membership."""
        turn = 0
        while not (self._stop.is_set() or self._away.is_set()):
            if self._steps_back != steps_back:
                return
            turn += 1
            if turn % ID_CHECK_TURNS == 0 and self._topic_id() != self._id:
                log.warning("the topic was made anew", topic=self._topic)
                return
            self._turn(consumer)

    def _turn(self, consumer: KafkaConsumer) -> None:
        with self._lock:
            room = READY_MAX - sum(len(share.open) for share in self._shares.values())
        assigned = consumer.assignment()
        if room <= 0:
            consumer.pause(*assigned)
        elif consumer.paused():
            consumer.resume(*consumer.paused())
        joined = consumer.group_metadata().state is MemberState.STABLE
        found = consumer.poll(timeout_ms=POLL_MS if joined else JOIN_MS, max_records=max(1, room))
        fresh = self._position(consumer)
        with self._lock:
            for where, records in found.items():
                share = self._shares.get(where.partition)
                if share is None or where.partition in fresh:
                    continue
                for record in records:
                    share.open.append(record.offset)
                    self._ready.append(
                        Message(
                            where.partition,
                            record.offset,
                            record.key or b"",
                            record.value or b"",
                            share.claim,
                        )
                    )
        self._commit(consumer)

    def _position(self, consumer: KafkaConsumer) -> set[int]:
        """Go to where newly assigned partitions were left, unless that was another topic's."""
        with self._lock:
            fresh = {number: share for number, share in self._shares.items() if share.fresh}
        for number, share in fresh.items():
            where = TopicPartition(self._topic, number)
            if where not in consumer.assignment():
                continue
            left = consumer.committed(where, metadata=True, timeout_ms=REQUEST_MS)
            if left is not None and left.offset >= 0 and left.metadata == self._id:
                consumer.seek(where, left.offset)
            else:
                consumer.seek_to_beginning(where)
            share.fresh = False
        return set(fresh)

    def _commit(self, consumer: KafkaConsumer) -> None:
        with self._lock:
            due = {
                TopicPartition(self._topic, number): (share, share.next)
                for number, share in self._shares.items()
                if share.next >= 0
            }
        if not due:
            return
        consumer.commit(
            {where: OffsetAndMetadata(at, self._id or "", -1) for where, (_, at) in due.items()},
            timeout_ms=REQUEST_MS,
        )
        with self._lock:
            for share, at in due.values():
                if share.next == at:
                    share.next = -1
