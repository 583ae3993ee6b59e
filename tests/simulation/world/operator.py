"""An operator who wants the migration done, but pauses, turns round and changes their mind."""

from collections.abc import Callable
from random import Random

from dualwrite.adapters.control_table import ControlTable
from dualwrite.control import commands
from dualwrite.core.errors import DualwriteError
from dualwrite.core.phases import Kind, Phase, TableState
from dualwrite.core.records import STATE, Command, load
from dualwrite.core.spec import Migration
from tests.simulation.machine.clock import SimClock
from tests.simulation.world.bypass import Bypass
from tests.simulation.world.plan import Plan

ASK_SECONDS = 25.0
SWEPT = ("sweep_clean", "swept_since_flip", "coverage_unbroken", "no_gap")
"""Gates that a sweep opens."""

Ask = tuple[str, str, float]
"""Verb, argument, weight."""
WISHES: dict[Phase, tuple[Ask, ...]] = {
    Phase.OFF: (("advance", "mirror/old", 1.0),),
    Phase.MIRROR_OLD: (
        ("backfill-start", "segments=2", 2.0),
        ("backfill-start", "segments=3 together=4", 1.0),
        ("backfill-change", "segments=2", 0.7),
        ("backfill-change", "segments=3", 0.7),
        ("backfill-pause", "", 0.3),
        ("backfill-resume", "", 0.6),
        ("verify", "", 1.0),
        ("reads", "30", 0.6),
        ("reads", "0", 0.3),
        ("shadow", "50", 0.2),
        ("advance", "atomic/old", 3.0),
        ("advance", "off", 0.05),
    ),
    Phase.ATOMIC_OLD: (
        ("verify", "", 1.0),
        ("flip", "", 5.0),
        ("reads", "60", 0.4),
        ("advance", "mirror/old", 0.4),
    ),
    Phase.ATOMIC_NEW: (
        ("verify", "", 0.6),
        ("advance", "mirror/new", 2.0),
        ("rollback", "", 1.5),
        ("reads", "100", 0.6),
    ),
    Phase.MIRROR_NEW: (
        ("reads", "100", 1.0),
        ("verify", "", 0.8),
        ("rollback", "", 1.2),
        ("advance", "done", 0.5),
        ("advance", "atomic/new", 0.3),
    ),
    Phase.DONE: (("reads", "100", 1.0),),
}


STRAIGHT: dict[Phase, tuple[tuple[str, str], ...]] = {
    Phase.OFF: (("advance", "mirror/old"),),
    Phase.MIRROR_OLD: (("backfill-start", "segments=2"), ("advance", "atomic/old")),
    Phase.ATOMIC_OLD: (("verify", ""), ("flip", "")),
    Phase.ATOMIC_NEW: (("reads", "100"), ("advance", "mirror/new"), ("rollback", "")),
    Phase.MIRROR_NEW: (("verify", ""), ("rollback", ""), ("advance", "done")),
    Phase.DONE: (("reads", "100"),),
}
"""The way of an operator in a hurry; each once in a phase, then from the first again."""
TO_ATOMIC, TO_THE_FLIP = ("advance", "atomic/old"), ("flip", "")
"""Out of mirror mode: the next phase, or through it."""


class Operator:
    """Asks the controller for one thing after the other."""

    def __init__(
        self, migration: Migration, records: ControlTable, clock: SimClock, random: Random,
        bypass: Bypass, count: Callable[[str], None], plan: Plan,
    ) -> None:  # fmt: skip
        self.stopped = False
        self._migration = migration
        self._records = records
        self._clock = clock
        self._random = random
        self._bypass = bypass
        self._count = count
        self._plan = plan
        self._asked = 0
        self._done: tuple[Phase, list[tuple[str, str]]] = (Phase.OFF, [])

    async def run(self) -> None:
        """Until stopped."""
        pause_seconds = 0.3 if self._plan.hurried else 1.2
        while not self.stopped:
            await self._clock.sleep(0.1 + self._random.random() * pause_seconds)
            try:
                states = await self._states()
                if self._leading not in states:
                    continue
                phase = states[self._leading].phase
                verb, argument = self._next(phase)
                if (verb, argument) == TO_ATOMIC:
                    if self._plan.straight:
                        verb, argument = TO_THE_FLIP
                    await self._bypass.end(self._clock)
                done = await self.ask(verb, argument)
                if any(gate["gate"] in SWEPT for gate in done.gates):
                    await self.ask("verify")
            except DualwriteError:
                continue

    def _next(self, phase: Phase) -> tuple[str, str]:
        dwell_seconds = self._plan.dwell_seconds
        if phase is Phase.MIRROR_OLD and self._clock.monotonic_seconds() < dwell_seconds:
            return self._random.choice((("backfill-start", "segments=2"), ("verify", "")))
        if not self._plan.hurried:
            asks = WISHES[phase]
            verb, argument, _ = self._random.choices(asks, [ask[2] for ask in asks])[0]
            return verb, argument
        if self._done[0] is not phase or len(self._done[1]) == len(STRAIGHT[phase]):
            self._done = (phase, [])
        way = STRAIGHT[phase]
        ask = (way[::-1] if self._plan.bold else way)[len(self._done[1])]
        self._done[1].append(ask)
        return ask

    @property
    def _leading(self) -> str:
        return next(t.name for t in self._migration.tables if t.kind is Kind.REKEY)

    async def ask(self, verb: str, argument: str = "", table: str = "*") -> Command:
        """One command, to its end. Raises EngineError."""
        command = Command(verb, table, argument, reason="the seed says so", who="operator")
        self._asked += 1
        number = self._asked
        done = await commands.ask(
            self._records, self._clock, command, timeout_seconds=ASK_SECONDS,
            new_id=lambda: f"{number:08x}",
        )  # fmt: skip
        self._count(f"command {verb} {argument} {done.status}".replace("  ", " "))
        for gate in done.gates:
            self._count(f"gate {gate['gate']} {gate['verdict']}")
        return done

    async def _states(self) -> dict[str, TableState]:
        return {
            record.name: load(TableState, record.value)
            for record in await self._records.list(STATE)
        }
