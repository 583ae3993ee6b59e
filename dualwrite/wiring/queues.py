"""The work queue and the mutation feed of a consumer, as its settings say."""

from dualwrite.adapters.record_queue import RecordQueue
from dualwrite.core.ports import MutationFeed, WorkQueue
from dualwrite.queue_url import QueueKind, QueueUrl, parse_kafka, parse_queue
from dualwrite.wiring.process import Parts


async def work_queue(parts: Parts) -> WorkQueue | None:
    """None where each consumer does what it finds. Raises WrongTopic, EngineError."""
    url = parse_queue(parts.settings.queue)
    match url.kind:
        case QueueKind.MEMORY:
            return None
        case QueueKind.DYNAMODB:
            return RecordQueue(parts.queue_records(), parts.clock, parts.process_id)
        case QueueKind.KAFKA:
            return await _kafka_queue(url)


async def mutation_feed(parts: Parts) -> MutationFeed | None:
    """None where nobody is told. Raises WrongTopic, EngineError."""
    if not parts.settings.feed:
        return None
    # Here, so that who uses no Kafka does not load its client.
    from dualwrite.adapters.kafka_feed import KafkaFeed
    from dualwrite.adapters.kafka_topics import KafkaPlace

    url = parse_kafka(parts.settings.feed)
    feed = KafkaFeed(KafkaPlace(url.servers, url.prefix))
    await feed.start()
    return feed


async def _kafka_queue(url: QueueUrl) -> WorkQueue:
    from dualwrite.adapters.kafka_queue import KafkaQueue
    from dualwrite.adapters.kafka_topics import KafkaPlace

    queue = KafkaQueue(KafkaPlace(url.servers, url.prefix))
    await queue.start()
    return queue
