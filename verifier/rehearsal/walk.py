"""The walk: every step of a migration, each asked for as an operator would and waited for."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from dualwrite.core.errors import DualwriteError
from dualwrite.core.phases import Kind, Phase, Side
from dualwrite.core.records import SWEEP, Command, SweepOrder, load
from verifier.rehearsal.gaps import Flip, Window
from verifier.rehearsal.monitor import Monitor, Seen
from verifier.rehearsal.options import Wiring, World
from verifier.rehearsal.patience import (
    Patience,
    Settling,
    backfill_shown,
    least,
    states_shown,
    sweep_shown,
)

ALL = "*"
WHO = "rehearsal"
BACKFILL = "together=20"
"""Four segments, no rate limit, 20 items in a transaction: an embedded engine's cost is calls."""
POLL_SECONDS = 0.25
AGAIN_SECONDS = 0.7
"""Before a refused command is asked for again."""
MARGIN_SECONDS = 1.0
"""A flip's window reaches this far before the command and past its last acknowledgement."""
SWEEPS_MAX = 6
"""Sweeps in a row that find no less than those before; then more of them will not help."""
SWEEP_GATES = frozenset({"sweep_clean", "swept_since_flip"})

Progress = Callable[[Seen], object]
"""Shows a value that changes only when what is waited for is nearer than ever before."""


class StepFailed(DualwriteError):
    """A step's conditions came no nearer for too long, or its command failed."""


@dataclass(slots=True)
class Step:
    """One step as the report tells it; monotonic seconds."""

    name: str
    started: float
    ended: float = 0.0
    refusals: list[str] = field(default_factory=list)
    """Gates that were closed when it was first asked for."""
    sweeps: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A move that was asked for too early, on purpose."""

    asked: str
    status: str
    message: str
    gates: tuple[str, ...]

    @property
    def held(self) -> bool:
        return self.status == "refused" and bool(self.gates)


class Walk:
    """Walks the square; keeps what happened, also when it does not come to its end."""

    def __init__(
        self,
        world: World,
        wiring: Wiring,
        monitor: Monitor,
        *,
        dwell_seconds: float,
        stall_seconds_max: float,
        on_step: Callable[[Step], None],
    ) -> None:
        self._world = world
        self._ask_controller = wiring.ask
        self._monitor = monitor
        self._dwell_seconds = dwell_seconds
        self._stall_seconds_max = stall_seconds_max
        self._on_step = on_step
        self.steps: list[Step] = []
        self.flips: list[Flip] = []
        self.refusals: list[Refusal] = []

    async def step(self, name: str, body: Callable[[Step], Awaitable[None]]) -> None:
        """Run one step and dwell in it. Raises StepFailed."""
        step = Step(name, self._now())
        self.steps.append(step)
        self._on_step(step)
        try:
            await body(step)
            await self._world.clock.sleep(self._dwell_seconds)
        finally:
            step.ended = self._now()

    # -- what the steps are made of ------------------------------------------------------------

    async def dwell(self, _step: Step) -> None:
        """Nothing but the dwell itself."""

    def advance(self, goal: Phase) -> Callable[[Step], Awaitable[None]]:
        async def body(step: Step) -> None:
            await self._until_done(step, "advance", goal.value)
            await self._until_all_at(step, goal)

        return body

    def reads(self, percent: int) -> Callable[[Step], Awaitable[None]]:
        async def body(step: Step) -> None:
            await self._until_done(step, "reads", str(percent))

        return body

    def flip(self, verb: str, direction: Side) -> Callable[[Step], Awaitable[None]]:
        goal = Phase.ATOMIC_NEW if direction is Side.NEW else Phase.ATOMIC_OLD

        async def body(step: Step) -> None:
            begun = await self._until_done(step, verb, "")
            await self._until_all_at(step, goal)
            window = Window(begun - MARGIN_SECONDS, self._now() + MARGIN_SECONDS)
            self.flips.append(Flip(direction, window))
            await self._world.clock.sleep(MARGIN_SECONDS)

        return body

    async def backfill(self, step: Step) -> None:
        """Copy the past, to the end. Raises StepFailed."""
        await self._until_done(step, "backfill-start", BACKFILL)
        tables = [table.name for table in self._world.migration.tables]
        await self._until(
            step,
            "the backfill is over",
            lambda: all(map(self._monitor.seen.backfilled, tables)),
            backfill_shown,
        )

    async def sweep(self, step: Step) -> None:
        """Compare everything, until a sweep is clean. Raises StepFailed."""
        drift_min: int | None = None
        in_vain = 0
        while True:
            step.sweeps += 1
            await self._until_done(step, "verify", "", sweep_shown)
            runs = {
                record.name: load(SweepOrder, record.value).run
                for record in await self._world.records.list(SWEEP)
            }
            await self._until(step, "the sweep is over", partial(self._swept, runs), sweep_shown)
            if all(self._monitor.seen.swept[name].clean for name in runs):
                return
            drift = self._monitor.seen.drift
            in_vain = 0 if drift_min is not None and drift < drift_min else in_vain + 1
            drift_min = least(drift_min, drift)
            if in_vain >= SWEEPS_MAX:
                raise StepFailed(f"{step.name}: {in_vain} sweeps found {drift_min} keys or more")

    async def too_early(self, verb: str) -> None:
        """Ask for what a closed gate must refuse."""
        command = await self._command(verb, "", self._stall_seconds_max)
        gates = tuple(sorted({f"{gate['gate']}: {gate['reason']}" for gate in command.gates}))
        self.refusals.append(Refusal(verb, command.status, command.message, gates))

    async def drained(self, step: Step) -> None:
        """Wait until all that was written up to now is applied, on every stream. Raises
        StepFailed."""
        since_ms = self._world.clock.wall_ms() + 1000
        names = [
            f"{table.name}/{side.value}"
            for table in self._world.migration.tables
            if table.kind is Kind.REKEY
            for side in Side
        ]

        def applied() -> bool:
            seen = self._monitor.seen
            return seen.waiting == 0 and all(
                name in seen.streams and seen.streams[name].tip_ms > since_ms for name in names
            )

        settling = Settling(since_ms + 1)
        await self._until(
            step, "the streams are drained and no repair waits", applied, settling.shown
        )

    # -- asking and waiting ----------------------------------------------------------------------

    async def _until_done(
        self, step: Step, verb: str, argument: str, progress: Progress = states_shown
    ) -> float:
        """Ask until it is done; where gates are closed, do what opens them. When it was asked for
        the last time, in monotonic seconds. ``progress`` is what it moves while it is at work."""
        patience = Patience(self._stall_seconds_max, self._now())
        settling = Settling(self._world.clock.wall_ms())
        closed_min: int | None = None
        while True:
            begun = self._now()
            command = await self._carried_out(step, verb, argument, progress)
            if command.status == "done":
                return begun
            if command.status != "refused":
                raise StepFailed(
                    f"{step.name}: {verb} {argument} {command.status}: {command.message}"
                )
            closed = {gate["gate"] for gate in command.gates}
            step.refusals = (
                step.refusals
                or sorted({f"{gate['gate']}: {gate['reason']}" for gate in command.gates})
                or [command.message]
            )
            if closed & SWEEP_GATES:
                await self.sweep(step)
            else:
                await self._world.clock.sleep(AGAIN_SECONDS)
            await self._monitor.read_control()
            closed_min = least(closed_min, len(command.gates))
            shown = (step.sweeps, closed_min, settling.shown(self._monitor.seen))
            if not patience.lasts(shown, self._now()):
                raise self._in_vain(step, f"{verb} {argument} is accepted ({command.message})")

    async def _carried_out(
        self, step: Step, verb: str, argument: str, progress: Progress
    ) -> Command:
        """The command's end, however long it is at work: a sweep takes as long as its tables are
        large. Raises StepFailed."""
        asked = asyncio.ensure_future(self._command(verb, argument, math.inf))
        try:
            await self._until(
                step, f"{verb} {argument}".strip() + " has ended", asked.done, progress
            )
            return await asked
        finally:
            asked.cancel()

    async def _command(self, verb: str, argument: str, seconds_max: float) -> Command:
        command = Command(verb, ALL, argument, reason="rehearsal", who=WHO)
        return await self._ask_controller(self._world, command, seconds_max)

    async def _until_all_at(self, step: Step, goal: Phase) -> None:
        what = f"all tables are {goal.value}"
        await self._until(step, what, lambda: self._all_at(goal), states_shown)

    async def _until(
        self,
        step: Step,
        what: str,
        holds: Callable[[], bool],
        progress: Progress,
    ) -> None:
        """Wait for as long as ``progress`` shows any. Raises StepFailed."""
        patience = Patience(self._stall_seconds_max, self._now())
        await self._monitor.read_control()
        while not holds():
            if not patience.lasts(progress(self._monitor.seen), self._now()):
                raise self._in_vain(step, what)
            await self._world.clock.sleep(POLL_SECONDS)
            await self._monitor.read_control()

    def _in_vain(self, step: Step, what: str) -> StepFailed:
        return StepFailed(
            f"{step.name}: nothing moved for {self._stall_seconds_max:g} s, waiting until {what}"
        )

    def _all_at(self, goal: Phase) -> bool:
        states = self._monitor.seen.states
        return all(
            states[table.name].phase is goal
            for table in self._world.migration.tables
            if table.kind is Kind.REKEY or goal is Phase.DONE
        )

    def _swept(self, runs: dict[str, str]) -> bool:
        swept = self._monitor.seen.swept
        return all(name in swept and swept[name].run == run and swept[name].done
                   for name, run in runs.items())  # fmt: skip

    def _now(self) -> float:
        return self._world.clock.monotonic_seconds()
