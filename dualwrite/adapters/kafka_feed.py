"""The mutation feed on Kafka: one topic, keyed by item key: writes of a key keep their order."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson

from dualwrite.adapters.kafka_queue import Sender
from dualwrite.adapters.kafka_topics import KafkaPlace, Topics
from dualwrite.core.ports import Parcel

TOPIC = "mutations"


class KafkaFeed:
    """A ``MutationFeed``; ``start`` before use."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._sender = Sender(place)
        self._thread = ThreadPoolExecutor(1, "kafka feed")

    async def start(self) -> None:
        """Create and check the topic. Raises WrongTopic, Unreachable."""
        await self._in(self._ensure)

    async def tell(self, events: Sequence[Parcel]) -> None:
        messages = [(event.key.encode(), orjson.dumps(event.body)) for event in events]
        await self._in(partial(self._send, messages))

    async def close(self) -> None:
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
        finally:
            topics.close()
