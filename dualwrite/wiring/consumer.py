"""The process that reads streams, copies and repairs."""

from consumers.consumer import Consumer
from dualwrite.settings import Role, Settings
from dualwrite.wiring.process import Parts, run, running


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
    )
    await member.start()
    async with running(parts, member.run(), consumer.run()):
        parts.ready(Role.CONSUMER)
        await parts.stop.wait()
        await consumer.stop()
        await member.stop()
