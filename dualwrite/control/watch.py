"""Turns what stands in the records into metrics: states, gates of the next move, repairs."""

import structlog

from dualwrite.control.gatekeeper import GateKeeper
from dualwrite.control.mover import Mover
from dualwrite.control.tasks import within
from dualwrite.core import metric_names
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import NEXT, Phase, TableState
from dualwrite.core.ports import Clock, Metrics, Records
from dualwrite.core.records import CLOSED, OPEN, GateVerdict
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.queued import queued

LOOK_SECONDS_MAX = 60.0
"""At one table; one whose repair queue is longer than that hides no other."""
DUTY = 20
"""A look that took long, over a long repair queue, is followed by a pause this much longer."""
_VALUES = {OPEN: 1.0, CLOSED: 0.0}

log = structlog.get_logger()


class Watch:
    """One look after the other; what it cannot see it leaves as it was."""

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        metrics: Metrics,
        gates: GateKeeper,
        mover: Mover,
        *,
        pause_seconds: float,
    ) -> None:
        self._records = records
        self._migration = migration
        self._clock = clock
        self._metrics = metrics
        self._gates = gates
        self._mover = mover
        self._pause_seconds = pause_seconds
        self._shown: dict[str, set[str]] = {}
        """By table: the gates that have a value."""

    async def run(self) -> None:
        """Look for ever; survives what the engine does."""
        while True:
            began = self._clock.monotonic_seconds()
            try:
                await self._look()
            except EngineError as error:
                log.warning("could not look at the states", why=str(error))
            took = self._clock.monotonic_seconds() - began
            await self._clock.sleep(max(self._pause_seconds, took * DUTY))

    async def _look(self) -> None:
        states = await within(self._clock, LOOK_SECONDS_MAX, self._mover.states())
        for table in self._migration.tables:
            look = self._look_at(table, states[table.name])
            try:
                await within(self._clock, LOOK_SECONDS_MAX, look)
            except EngineError as error:
                log.warning("could not look at a table", table=table.name, why=str(error))

    async def _look_at(self, table: MigratedTable, state: TableState) -> None:
        self._show_state(state)
        await self._show_gates(table, state)
        await self._show_repairs(table)

    def _show_state(self, state: TableState) -> None:
        name = state.table
        self._metrics.set(metric_names.EPOCH, name, value=state.epoch)
        self._metrics.set(metric_names.READ_SHARE, name, value=state.read_share)
        for phase in Phase:
            self._metrics.set(
                metric_names.PHASE, name, phase.value, value=float(phase is state.phase)
            )

    async def _show_gates(self, table: MigratedTable, state: TableState) -> None:
        verdicts: tuple[GateVerdict, ...] = ()
        following = NEXT[table.kind][state.phase]
        if following:
            verdicts = await self._gates.judge(table, state, following[0])
        values = {gate.gate: _VALUES.get(gate.verdict, -1.0) for gate in verdicts}
        shown = self._shown.setdefault(table.name, set())
        # A gate that the next move does not have keeps nobody out.
        for gate in shown - values.keys():
            self._metrics.set(metric_names.GATE, table.name, gate, value=1.0)
        for gate, value in values.items():
            self._metrics.set(metric_names.GATE, table.name, gate, value=value)
        shown.update(values)

    async def _show_repairs(self, table: MigratedTable) -> None:
        found = await queued(self._records, table.name)
        for poison, count in (("false", found.waiting), ("true", found.poison)):
            self._metrics.set(metric_names.REPAIRS_WAITING, table.name, poison, value=count)
        age_seconds = found.age_seconds(self._clock.wall_ms())
        self._metrics.set(metric_names.REPAIRS_AGE_SECONDS, table.name, value=age_seconds)
