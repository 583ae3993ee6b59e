"""The process that reads streams, copies and repairs."""

from consumers.consumer import Consumer
from consumers.mutations import Mutations
from dualwrite.control.member import Member
from dualwrite.core.ports import WorkQueue
from dualwrite.core.records import Role
from dualwrite.settings import Settings
from dualwrite.wiring.process import Parts, run, running
from dualwrite.wiring.queues import mutation_feed, work_queue
from verifier.parts import PartWorker


def run_consumer(settings: Settings) -> None:
    """Consume until a signal; raises DualwriteError where it cannot start or go on."""
    run(settings, _consumer)


async def _consumer(parts: Parts) -> None:
    member = parts.member(Role.CONSUMER)
    queue = await work_queue(parts)
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
        queue=queue,
        feed=await mutation_feed(parts),
        mutations=Mutations(images=parts.settings.feed_images),
    )
    await member.start()
    works = [member.run(), consumer.run()]
    if queue is not None:
        works.append(_part_worker(parts, queue, member).run())
    async with running(parts, *works):
        parts.ready(Role.CONSUMER)
        await parts.stop.wait()
        try:
            await consumer.stop()
        finally:
            await member.stop()


def _part_worker(parts: Parts, queue: WorkQueue, member: Member) -> PartWorker:
    return PartWorker(
        parts.dynamo,
        parts.records,
        queue,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        process_id=parts.process_id,
    )


def _probe_table(parts: Parts) -> str:
    """Statements of one call cannot go to two places, so there none are used."""
    if parts.migration.apart:
        return ""
    return f"{parts.migration.control_table}-probe-{parts.process_id}"
