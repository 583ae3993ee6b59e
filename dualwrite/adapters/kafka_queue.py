"""The work queue on Kafka: a topic a lane, keyed by item key; consumer groups share it out.

kafka-python blocks, so it runs in threads: one a lane reads, one writes, one asks for offsets.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import orjson
import structlog
from kafka import KafkaProducer

from dualwrite.adapters.kafka_clients import Connections, built
from dualwrite.adapters.kafka_reader import LaneReader
from dualwrite.adapters.kafka_shares import Message
from dualwrite.adapters.kafka_topics import REQUEST_MS, KafkaPlace, TooLarge, Topics, reached
from dualwrite.core.errors import EngineError
from dualwrite.core.ports import Job, Lane, Parcel, Ticket

T = TypeVar("T")

SENT_SECONDS_MAX = 10.0
"""After which a message that no broker acknowledged is given up by us; it may be in."""
KEY_LENGTH_MAX = 1024
"""Of the key of a message that nobody understands and that is too large to be kept whole."""
OFFSETS_SECONDS = 0.05
"""Committed offsets are asked for no more often than this."""
IDS_SECONDS = 2.0
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""Sent by us, where a topic allows it (1 MB unless somebody raised it): two images of an item of
400 KB are hardly more than 6 MB as JSON."""

log = structlog.get_logger()


class Sender:
    """An idempotent producer that every replica in sync acknowledges. Blocks."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._producer: KafkaProducer | None = None

    def send(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> list[tuple[int, int]]:
        """Send keyed messages; the partition and offset of each. Raises TooLarge, Unreachable,
        after which any of them may be in."""
        with reached(self._place):
            try:
                producer = self._connected()
                sent = [producer.send(topic, value, key) for key, value in messages]
                deadline = time.monotonic() + SENT_SECONDS_MAX
                stored = [one.get(timeout=max(0.001, deadline - time.monotonic())) for one in sent]
            except Exception:
                # What a producer knows of its sequence is void after an error: begin anew.
                self.close()
                raise
        return [(one.partition, one.offset) for one in stored]

    def close(self) -> None:
        """End the producer; what it has not sent by then is given up."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close(timeout=1.0)
        except Exception:
            # It waited for its messages in vain, and would leave its thread at them for ever.
            producer._sender.force_close()

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = built(
                KafkaProducer,
                Connections(),
                bootstrap_servers=list(self._place.servers),
                enable_idempotence=True,
                acks="all",
                linger_ms=2,
                max_request_size=MESSAGE_BYTES_MAX,
                allow_auto_create_topics=False,
                max_block_ms=REQUEST_MS,
                request_timeout_ms=REQUEST_MS,
                delivery_timeout_ms=int(SENT_SECONDS_MAX * 1000),
                bootstrap_timeout_ms=REQUEST_MS,
                reconnect_backoff_max_ms=1_000,
                metadata_max_age_ms=5_000,
            )
        return self._producer


class KafkaQueue:
    """A ``WorkQueue`` over Kafka; ``start`` before use."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._topics = Topics(place)
        self._sender = Sender(place)
        self._writing = ThreadPoolExecutor(1, "kafka writes")
        self._asking = ThreadPoolExecutor(1, "kafka asks")
        self._readers: dict[Lane, LaneReader] = {}
        self._ids: dict[str, str] = {}
        self._ids_at = 0.0
        self._offsets: dict[Lane, dict[str, int]] = {}
        self._offsets_at: dict[Lane, float] = {}
        self._closed = False

    async def start(self) -> None:
        """Create and check the topics. Raises WrongTopic, Unreachable."""
        logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns of each of its retries
        await self._in(self._asking, self._ensure)

    async def put(self, lane: Lane, parcels: Sequence[Parcel]) -> tuple[Ticket, ...]:
        topic = self._place.topic(lane.value)
        messages = [(parcel.key.encode(), orjson.dumps(parcel.body)) for parcel in parcels]
        identity = await self._in(self._asking, partial(self._current, topic))
        stored = await self._in(self._writing, partial(self._sender.send, topic, messages))
        return tuple(Ticket(f"{identity}/{partition}", at) for partition, at in stored)

    async def take(self, lane: Lane, most: int) -> tuple[Job, ...]:
        if lane not in self._readers:
            self._join(lane)
        return tuple(_job(lane, message) for message in self._readers[lane].take(most))

    def _join(self, lane: Lane) -> None:
        """Who takes no work of a lane joins no group there, lest he be given what he never does."""
        topic = self._place.topic(lane.value)
        group = partial(self._place.group, lane)
        self._readers[lane] = LaneReader(self._place, topic, partial(self._id_of, topic), group)
        self._readers[lane].start()

    async def ack(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._readers[job.lane].ack(int(job.ticket.place), job.ticket.number, job.claim)

    async def bury(self, parcel: Parcel, reason: str) -> None:
        try:
            body = {"reason": reason, "parcel": parcel.body}
            await self.put(Lane.DEAD, [Parcel(parcel.key, body)])
        except TooLarge:
            # It must not block its partition for that; none of ours is so long.
            body = {"reason": f"{reason}; it is too large to be kept"}
            await self.put(Lane.DEAD, [Parcel(parcel.key[:KEY_LENGTH_MAX], body)])

    async def settled(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        now = time.monotonic()
        if now - self._offsets_at.get(lane, 0.0) >= OFFSETS_SECONDS:
            identities = {one.place.partition("/")[0] for one in tickets}
            asking = partial(self._committed, lane, identities)
            self._offsets[lane] = await self._in(self._asking, asking)
            self._offsets_at[lane] = now
        offsets = self._offsets[lane]
        return frozenset(one for one in tickets if offsets.get(one.place, 0) > one.number)

    async def standing(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        partitions = {int(one.place.partition("/")[2]) for one in tickets}
        asking = partial(self._ends, self._place.topic(lane.value), partitions)
        ends = await self._in(self._asking, asking)
        return frozenset(one for one in tickets if one.number < ends.get(one.place, 0))

    async def step_back(self, lane: Lane) -> None:
        if lane in self._readers:
            self._readers[lane].step_back()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(*(asyncio.to_thread(reader.stop) for reader in self._readers.values()))
        with contextlib.suppress(EngineError):
            await self._in(self._writing, self._sender.close)
        with contextlib.suppress(EngineError):
            await self._in(self._asking, self._topics.close)
        self._writing.shutdown(wait=False)
        self._asking.shutdown(wait=False)

    # -- in threads ---------------------------------------------------------------------------

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _ensure(self) -> None:
        self._ids = self._topics.ensure(tuple(lane.value for lane in Lane))
        self._ids_at = time.monotonic()

    def _current(self, topic: str) -> str:
        """A topic's id, known from before the message is sent: so an id never names a topic that
        the message did not go to, unless that topic is gone. Topics that are gone are made anew."""
        if time.monotonic() - self._ids_at > IDS_SECONDS:
            found = self._topics.ids(tuple(self._ids))
            if found.keys() == self._ids.keys():
                self._ids, self._ids_at = found, time.monotonic()
            else:
                self._ensure()
        return self._ids[topic]

    def _id_of(self, topic: str) -> str | None:
        return self._topics.ids((topic,)).get(topic)

    def _ends(self, topic: str, partitions: Collection[int]) -> dict[str, int]:
        """Where the partitions of the topic that has this name now end, by ticket place: a topic
        may be lost, and a broker that was not replicated may lose what it had not yet on disk."""
        identity = self._id_of(topic)
        ends = {} if identity is None else self._topics.ends(topic, partitions)
        return {f"{identity}/{partition}": end for partition, end in ends.items()}

    def _committed(self, lane: Lane, identities: Collection[str]) -> dict[str, int]:
        """Offsets by ticket place, of the topics with these ids."""
        return {
            f"{identity}/{partition}": offset
            for identity in identities
            for partition, offset in self._topics.committed(self._place.group(lane, identity))
        }


def _job(lane: Lane, message: Message) -> Job:
    """A message as a job; one that is no JSON object has an empty body, which nobody understands
    and the worker buries."""
    try:
        body = orjson.loads(message.value)
    except ValueError:
        body = {}
    parcel = Parcel(message.key.decode(errors="replace"), body if isinstance(body, dict) else {})
    return Job(lane, parcel, Ticket(str(message.partition), message.offset), message.claim)
