"""The workload's processes: started, paused, restarted in the new dialect, ended."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dualwrite.core.phases import Side
from examples.ai_coordination_engine.workload import Plan
from verifier.rehearsal.casting import Cast
from verifier.rehearsal.history import Entry, Tail
from verifier.rehearsal.processes import Child, Processes

READY_SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 40.0
"""A pause waits for each thread's operation, and one call may last as long as its time-out."""


class Crew:
    """All workload processes and their histories."""

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        spec: Path,
        endpoints: Sequence[str],
        cast: Cast,
        *,
        seed: int,
        rate: float,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for left_behind in folder.glob("w*.json*"):
            left_behind.unlink()
        self._processes = processes
        self._folder = folder
        count = len(cast.owned)
        self._plans = [
            Plan(
                worker=f"w{number}",
                spec=str(spec),
                endpoints=list(endpoints),
                dialect=Side.OLD.value,
                seed=seed,
                writes_per_second=rate / count,
                history=str(folder / f"w{number}.jsonl"),
                sites=cast.sites,
                counters=cast.counters,
                claims=cast.claims,
                owned=owned,
            )
            for number, owned in enumerate(cast.owned)
        ]
        self._children: list[Child] = []
        self._tails = [Tail(Path(plan.history)) for plan in self._plans]
        self.entries: list[Entry] = []
        """All that was read so far; ``read`` adds to it."""
        self.listeners: list[Callable[[list[Entry]], None]] = []
        """Called with what is new."""

    async def start(self) -> None:
        """Start all in the old dialect; returns when they work."""
        self._children = [await self._launch(plan) for plan in self._plans]
        for child in self._children:
            await child.line(READY_SECONDS_MAX)

    async def speak_new(self) -> None:
        """Restart half of them as new code: the new design's names, keys and tenant."""
        half = range(len(self._plans) // 2, len(self._plans))
        await asyncio.gather(*(self._children[i].finish(ANSWER_SECONDS_MAX) for i in half))
        for i in half:
            before = self._plans[i]
            worker = f"{before.worker}n"
            history = self._folder / f"{worker}.jsonl"
            self._plans[i] = replace(
                before,
                worker=worker,
                dialect=Side.NEW.value,
                history=str(history),
                resume=[*before.resume, before.history],
            )
            self._tails.append(Tail(history))
            self._children[i] = await self._launch(self._plans[i])
        for i in half:
            await self._children[i].line(READY_SECONDS_MAX)

    async def pause(self) -> None:
        """Return when no call is in flight and all is written down."""
        await asyncio.gather(*(child.tell("pause", ANSWER_SECONDS_MAX) for child in self._children))
        self.read()

    async def resume(self) -> None:
        await asyncio.gather(
            *(child.tell("resume", ANSWER_SECONDS_MAX) for child in self._children)
        )

    async def finish(self) -> None:
        """End all in order. Raises ChildFailed where one does not."""
        await asyncio.gather(*(child.finish(ANSWER_SECONDS_MAX) for child in self._children))
        self.read()

    def read(self) -> None:
        """Take in what was written down since the last call."""
        new = [entry for tail in self._tails for entry in tail.read()]
        self.entries += new
        for listener in self.listeners:
            listener(new)

    async def _launch(self, plan: Plan) -> Child:
        path = self._folder / f"{plan.worker}.plan.json"
        path.write_text(plan.dump())
        module = "examples.ai_coordination_engine.workload"
        return await self._processes.start(plan.worker, [sys.executable, "-m", module, str(path)])
