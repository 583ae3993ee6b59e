"""The process that reads streams, copies and repairs."""

from consumers.consumer import Consumer
from consumers.mutations import Mutations
from dualwrite.settings import Role, Settings
from dualwrite.wiring.process import Parts, run, running
from dualwrite.wiring.queues import mutation_feed, work_queue


def run_consumer(settings: Settings) -> None:
    """Consume until a signal; raises DualwriteError where it cannot start or go on."""
    run(settings, _consumer)


async def _consumer(parts: Parts) -> None:
    member = parts.member(Role.CONSUMER)
    consumer = Consumer(
        parts.dynamo,
        parts.records,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        parts.metrics,
        process_id=parts.process_id,
        probe_table=_probe_table(parts),
        queue=await work_queue(parts),
        feed=await mutation_feed(parts),
        mutations=Mutations(images=parts.settings.feed_images),
    )
    await member.start()
    async with running(parts, member.run(), consumer.run()):
        parts.ready(Role.CONSUMER)
        await parts.stop.wait()
        await consumer.stop()
        await member.stop()


def _probe_table(parts: Parts) -> str:
    """Statements of one call cannot go to two places, so there none are used."""
    if parts.migration.apart:
        return ""
    return f"{parts.migration.control_table}-probe-{parts.process_id}"
