"""Strikes the service's processes as the plan says, and keeps them up as a supervisor would."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from verifier.rehearsal.faults import DOWN_SECONDS, Blow, Fault, Struck
from verifier.rehearsal.fleet import Fleet
from verifier.rehearsal.processes import ChildFailed, Processes

LOOK_SECONDS = 0.2


class Keeper:
    """Serves one rehearsal; ``told`` hears of each blow once its process is back."""

    def __init__(self, processes: Processes, fleet: Fleet, told: Callable[[Struck], None]) -> None:
        self._processes = processes
        self._fleet = fleet
        self._told = told
        self.plan: tuple[Fault, ...] = ()
        self._step = ""
        self.died: list[str] = []
        """Processes of the service that ended by a fault of their own, and were brought back."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._hands = {name: asyncio.Lock() for name in fleet.names}
        self._planned = asyncio.Lock()
        """One planned blow at a time: an application that has no proxy left has no database."""

    def begin(self, step: str) -> None:
        """Let the plan's blows for a step fall in their time."""
        self._step = step
        for fault in self.plan:
            if fault.step == step:
                self._start(self._strike(fault))

    async def run(self) -> None:
        """Bring back what ended without being asked to, for ever.

        Raises ChildFailed where that fails, and where a process ended that cannot be brought
        back: the engine, or the application.
        """
        while True:
            for name in self._fleet.fallen():
                blow = self._fleet.let_go(name)
                if blow is Blow.DIED:
                    self.died.append(name)
                self._start(self._bring_back(name, self._step, blow))
            lost = [name for name in self._processes.died() if name not in self._hands]
            if lost:
                raise ChildFailed(f"{', '.join(lost)} ended; see the logs")
            for task in [task for task in self._tasks if task.done()]:
                self._tasks.remove(task)
                task.result()
            await asyncio.sleep(LOOK_SECONDS)

    async def settled(self) -> None:
        """Return when all that was struck is back. Raises ChildFailed."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Strike and bring back no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _strike(self, fault: Fault) -> None:
        await asyncio.sleep(fault.delay_seconds)
        async with self._planned, self._hands[fault.victim]:
            began = time.monotonic()
            if fault.blow is Blow.FROZEN:
                await self._fleet.freeze(fault.victim, fault.seconds)
            else:
                await self._fleet.kill(fault.victim)
                await asyncio.sleep(fault.seconds)
                await self._fleet.restart(fault.victim)
            self._told(Struck(fault.victim, fault.step, fault.blow, began, time.monotonic()))

    async def _bring_back(self, name: str, step: str, blow: Blow) -> None:
        began = time.monotonic()
        async with self._hands[name]:
            if self._fleet.alive(name):
                return
            await asyncio.sleep(DOWN_SECONDS)
            await self._fleet.restart(name)
            self._told(Struck(name, step, blow, began, time.monotonic()))
