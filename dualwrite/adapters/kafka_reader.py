"""Reads one lane's topic as a member of its consumer group, in a thread of its own.

The client library blocks, so everything it does is done here; the event loop only looks at what is
ready. An offset is committed once all before it on its partition are acknowledged. The group's name
holds the topic's id, for a topic that was lost and made anew counts from 0 again.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState

from dualwrite.adapters.kafka_clients import Connections, built
from dualwrite.adapters.kafka_shares import Message, Shares
from dualwrite.adapters.kafka_topics import REQUEST_MS, KafkaPlace
from dualwrite.core.errors import EngineError, Unreachable

POLL_MS = 50
"""How long one poll waits for messages while some are held, which may be committed after it."""
IDLE_MS = 250
"""The same while none are: only a step back or the end has to wait for it."""
FETCH_MS = 500
"""How long a broker may hold back an answer that would be empty; no other request waits for it."""
JOIN_MS = 2_000
"""How long one poll waits while the member is not in its group yet. The library throws away a join
that ends between two polls and joins anew, so the polls of a join are long and follow at once."""
SESSION_MS = 6_000
"""How long a silent member keeps its partitions; a broker's own lower bound."""
HEARTBEAT_MS = 500
"""A member hears of another's coming or going by its next heartbeat."""
HAND_OVER_SECONDS_MAX = 2.0
"""How long what was taken may take to be done before its partition goes to another member. The
library's heartbeats wait too, so it is well under the session."""
REBALANCE_MS = 30_000
"""How long the group waits for a member that sends heartbeats and does not join again."""
READY_MAX = 400
"""Messages taken from the broker and not acknowledged; beyond, nothing more is fetched."""
BACK_OFF_SECONDS = 0.5
BROKEN_SECONDS = 5.0
"""The same after an error that no broker is the cause of: it may come again with each membership,
and every coming and going makes the others share the work out anew."""
ID_CHECK_SECONDS = 2.0
"""Without a message, between two looks at whether the topic is still the one it was."""
LEAVE_SECONDS_MAX = 4.0
"""How long a member that leaves waits for a join to end that has begun."""
FAREWELL_MS = 2_000
CLOSE_SECONDS_MAX = 10.0

log = structlog.get_logger()


class LaneReader(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """``take`` and ``ack`` never block; ``start`` and ``stop`` do. Whatever the library raises, the
    thread joins again."""

    def __init__(
        self,
        place: KafkaPlace,
        topic: str,
        topic_id: Callable[[], str | None],
        group: Callable[[str], str],
    ) -> None:
        """``topic_id`` asks the broker, and raises EngineError; ``group`` is the name of the group
        for a topic's id."""
        self._place = place
        self._topic = topic
        self._topic_id = topic_id
        self._group = group
        self._shares = Shares()
        self._arrived: list[Message] = []
        """Fetched, and not known yet to be of the topic whose id the group has."""
        self._again: dict[int, int] = {}
        """By partition that went away: the offset from which it is read if it comes back."""
        self._consumer: KafkaConsumer | None = None
        self._connections = Connections()
        self._joining = True
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
        self._shares.forget()

    def take(self, most: int) -> list[Message]:
        """Up to so many messages. Raises Unreachable where nobody reads any more."""
        if not self._stop.is_set() and not self._thread.is_alive():
            raise Unreachable(f"the thread that reads {self._topic} has ended; restart the process")
        if most > 0:
            self._away.clear()
        return self._shares.take(most)

    def ack(self, partition: int, offset: int, claim: int) -> None:
        """Note that a message's work is applied, if the claim still stands."""
        self._shares.ack(partition, offset, claim)

    # -- the group's news, from a thread of the library ---------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Another member may work on these keys as soon as this returns, and begins behind what is
        committed by then."""
        numbers = {one.partition for one in revoked}
        self._joining = True
        self._finish(numbers, 0.0 if self._leaving else HAND_OVER_SECONDS_MAX)
        due, consumer = self._shares.due(), self._consumer
        if due and consumer is not None:
            try:
                await consumer.commit_async(self._offsets(due))
            except Exception as error:
                log.info("work is done twice", topic=self._topic, error=type(error).__name__)
        self._shares.forget(numbers)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """Others have them already, and a commit would be refused."""
        self._joining = True
        numbers = {one.partition for one in lost}
        self._finish(numbers, 0.0)
        self._shares.forget(numbers)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """The library goes on behind what it gave before where a partition comes back to the same
        member, also where that was never done: without going back here it would be lost, and the
        next commit would say that it was done."""
        places = {one.partition: one for one in assigned}
        again, self._again = self._again, {}
        for number in again.keys() & places.keys():
            assert self._consumer is not None, "nothing went away before there was a consumer"
            self._consumer.seek(places[number], again[number])
        self._shares.assign(places)
        self._joining = False

    def _finish(self, numbers: set[int], seconds_max: float) -> None:
        """What waits here, also where it is not known yet of which topic it is, is read again; a
        join that fails makes a partition go away twice."""
        left = [*self._shares.finish(numbers, seconds_max).items()]
        left += [(one.partition, one.offset) for one in self._arrived if one.partition in numbers]
        for number, at in left:
            self._again[number] = min(at, self._again.get(number, at))

    # -- the thread ---------------------------------------------------------------------------

    @property
    def _leaving(self) -> bool:
        return self._stop.is_set() or self._away.is_set()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._away.is_set():
                self._stop.wait(POLL_MS / 1000)
                continue
            try:
                steps_back = self._steps_back
                identity = self._topic_id()
                if identity is None:
                    self._stop.wait(BACK_OFF_SECONDS)
                    continue
                self._consumer = self._connected(identity)
                self._read(self._consumer, identity, steps_back)
            except (KafkaError, EngineError, OSError) as error:
                log.warning("queue not read", topic=self._topic, error=type(error).__name__)
                self._stop.wait(BACK_OFF_SECONDS)
            except Exception:
                # The library's own mistakes end a membership, never the thread.
                log.exception("queue not read", topic=self._topic)
                self._stop.wait(BROKEN_SECONDS)
            finally:
                self._leave()

    def _connected(self, identity: str) -> KafkaConsumer:
        consumer = built(
            KafkaConsumer,
            self._connections,
            bootstrap_servers=list(self._place.servers),
            group_id=self._group(identity),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=REBALANCE_MS,
            fetch_max_wait_ms=FETCH_MS,
            request_timeout_ms=SESSION_MS * 2,
            bootstrap_timeout_ms=REQUEST_MS,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=2_000,
        )
        self._joining = True
        consumer.subscribe([self._topic], listener=self)
        return consumer

    def _leave(self) -> None:
        consumer, self._consumer, self._arrived = self._consumer, None, []
        self._again = {}
        if consumer is not None:
            for step in (self._commit, self._end_join, self._close):
                try:
                    step(consumer)
                except Exception as error:
                    log.info("group not left", topic=self._topic, error=type(error).__name__)
                self._shares.forget()
        self._connections.end()

    def _end_join(self, consumer: KafkaConsumer) -> None:
        """The broker reads nothing of a connection while it holds back the answer to a join, so a
        farewell sent by then would be lost, and the group wait for a member that is gone."""
        deadline = time.monotonic() + LEAVE_SECONDS_MAX
        while consumer.group_metadata().state is MemberState.REBALANCING:
            if time.monotonic() > deadline:
                return
            consumer.poll(timeout_ms=POLL_MS, max_records=1)

    def _close(self, consumer: KafkaConsumer) -> None:
        consumer.close(autocommit=False, timeout_ms=FAREWELL_MS)

    def _read(self, consumer: KafkaConsumer, identity: str, steps_back: int) -> None:
        """Until asked to stop or to step back, or the topic is another: then its offsets mean
        nothing. ``steps_back``: how many there were before this membership."""
        looked = time.monotonic()
        while not self._leaving and self._steps_back == steps_back:
            self._poll(consumer)
            if self._joining:
                continue
            if self._arrived or time.monotonic() - looked >= ID_CHECK_SECONDS:
                looked = time.monotonic()
                if not self._same(identity):
                    log.warning("the topic was made anew", topic=self._topic)
                    return
            self._commit(consumer)

    def _poll(self, consumer: KafkaConsumer) -> None:
        held = self._shares.held() + len(self._arrived)
        room = READY_MAX - held
        if room <= 0:
            consumer.pause(*consumer.assignment())
        elif consumer.paused():
            consumer.resume(*consumer.paused())
        found = consumer.poll(timeout_ms=self._patience_ms(held), max_records=max(1, room))
        for where, records in found.items():
            claim = self._shares.claim(where.partition)
            if claim is not None:
                self._arrived += [
                    Message(where.partition, r.offset, r.key or b"", r.value or b"", claim)
                    for r in records
                ]

    def _patience_ms(self, held: int) -> int:
        if self._joining:
            return JOIN_MS
        return POLL_MS if held or self._shares.due() else IDLE_MS

    def _same(self, identity: str) -> bool:
        """Whether the topic is the one it was; then all that had arrived was of that one too. Where
        nobody can say, it waits."""
        try:
            now = self._topic_id()
        except EngineError as error:
            log.info("the topic's id is not known", topic=self._topic, error=str(error))
            return True
        if now != identity:
            return False
        self._shares.add(self._arrived)
        self._arrived = []
        return True

    def _commit(self, consumer: KafkaConsumer) -> None:
        """A commit that failed is tried again in the next turn: either the member is still in its
        group, or it hears in its next poll that it is not."""
        due = self._shares.due()
        if not due:
            return
        try:
            consumer.commit(self._offsets(due), timeout_ms=REQUEST_MS)
        except (KafkaError, RuntimeError) as error:
            log.info("not committed", topic=self._topic, error=type(error).__name__)
        else:
            self._shares.committed(due)

    def _offsets(self, due: dict[int, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {
            TopicPartition(self._topic, number): OffsetAndMetadata(at, "", -1)
            for number, at in due.items()
        }
