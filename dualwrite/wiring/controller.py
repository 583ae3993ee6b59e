"""The process that changes states and sweeps."""

import os
from dataclasses import replace

from dualwrite.adapters.table_sizes import DescribedSizes
from dualwrite.control.controller import Controller
from dualwrite.core.records import Role
from dualwrite.core.vouching import REQUEST_MARGIN_SECONDS
from dualwrite.settings import Settings
from dualwrite.wiring.process import Parts, new_process_id, run, running
from dualwrite.wiring.queues import work_queue
from verifier.gatekeeper import Gates
from verifier.sweep import Sweeper


def run_controller(settings: Settings) -> None:
    """Control until a signal; raises DualwriteError where it cannot start or go on."""
    run(settings, _controller)


async def _controller(parts: Parts) -> None:
    settings = parts.settings
    queue = await work_queue(parts)
    # The sweeper reads under a lease of its own; the controller awaits members, not itself.
    member = replace(parts, process_id=new_process_id()).member(Role.VERIFIER)
    sweeper = Sweeper(
        parts.dynamo,
        parts.records,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        parts.metrics,
        process_id=parts.process_id,
        queue=queue,
    )
    controller = Controller(
        parts.records,
        parts.migration,
        parts.clock,
        parts.metrics,
        Gates(parts.records, parts.migration, parts.clock),
        DescribedSizes(parts.dynamo),
        process_id=parts.process_id,
        lease_seconds=settings.lease_seconds,
        request_life_seconds=parts.migration.timeout_seconds_max + REQUEST_MARGIN_SECONDS,
        pid=os.getpid(),
        metrics_port=parts.metrics_port,
    )
    async with running(parts, controller.run()):
        if await _controls(parts, controller):
            await member.start()
            async with running(parts, member.run(), sweeper.run()):
                parts.ready(Role.CONTROLLER)
                await parts.stop.wait()
                await sweeper.stop()
                await member.stop()
        await controller.stop()
    if queue is not None:
        await queue.close()


async def _controls(parts: Parts, controller: Controller) -> bool:
    """Wait until the controller's lease is ours; its holder of before may have died lately."""
    while not parts.stop.is_set():
        if controller.controls:
            return True
        await parts.clock.sleep(0.1)
    return False
