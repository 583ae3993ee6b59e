"""The mutation feed's end; what it stores is tested over a real broker."""

import asyncio

from dualwrite.adapters.kafka_feed import KafkaFeed
from dualwrite.adapters.kafka_topics import KafkaPlace


def test_a_feed_is_closed_as_often_as_one_likes() -> None:
    """Also twice at once, and again afterwards."""

    async def go() -> None:
        feed = KafkaFeed(KafkaPlace(("nobody:1",)))
        await asyncio.gather(feed.close(), feed.close())
        await feed.close()

    asyncio.run(go())
