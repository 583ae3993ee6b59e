"""The mutation feed on Kafka: one topic, keyed by item key: writes of a key keep their order."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dualwrite.adapters.kafka_queue import MESSAGE_BYTES_MAX, Sender
from dualwrite.adapters.kafka_topics import MESSAGE_BYTES_MIN, KafkaPlace, TooLarge, Topics
from dualwrite.core.ports import FeedEvent

TOPIC = "mutations"
HEADER_BYTES = 1024
"""More than broker and library count in a message beside its key and value."""


class KafkaFeed:
    """A ``MutationFeed``; ``start`` before use. The topic's own settings say how long an event may
    be; one that a broker refuses all the same halves that, for settings change."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._sender = Sender(place)
        self._thread = ThreadPoolExecutor(1, "kafka feed")
        self._message_bytes_max = MESSAGE_BYTES_MIN
        self._closed = False

    @property
    def event_bytes_max(self) -> int:
        return self._message_bytes_max - HEADER_BYTES

    async def start(self) -> None:
        """Create and check the topic. Raises WrongTopic, Unreachable."""
        await self._in(self._ensure)

    async def tell(self, events: Sequence[FeedEvent]) -> None:
        messages = [(event.key, event.body) for event in events]
        try:
            await self._in(partial(self._send, messages))
        except TooLarge:
            self._message_bytes_max = max(MESSAGE_BYTES_MIN, self._message_bytes_max // 2)
            raise

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._in(self._sender.close)
        self._thread.shutdown(wait=False)

    async def _in(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _send(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        self._sender.send(self._place.topic(TOPIC), messages)

    def _ensure(self) -> None:
        topics = Topics(self._place)
        try:
            topics.ensure((TOPIC,))
            allowed = topics.message_bytes_max(self._place.topic(TOPIC))
            self._message_bytes_max = min(allowed, MESSAGE_BYTES_MAX)
        finally:
            topics.close()
