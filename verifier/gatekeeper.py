"""Judges moves and shares by the gates; the controller asks it before it changes anything."""

from dualwrite.core.phases import Phase, TableState
from dualwrite.core.ports import Clock, Records
from dualwrite.core.records import STREAM, GateVerdict
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stillness import Stillness
from verifier.evidence import Policy, gather
from verifier.gates import ABOUT_POISON, COPY, gates_of_move, gates_of_reads
from verifier.gates.verdicts import Gate, judged

WATCH_SECONDS = 2.5
"""Twice the time between two reports of a stream, and some more."""


class Gates:
    """The ``GateKeeper`` of the service: gathers evidence anew for each judgement."""

    def __init__(
        self,
        records: Records,
        migration: Migration,
        clock: Clock,
        *,
        policy: Policy | None = None,
    ) -> None:
        self._records = records
        self._tables = frozenset(migration.by_name)
        self._apart = migration.apart
        self._spec = migration.digest
        self._clock = clock
        self._policy = policy or Policy()
        self._stillness = Stillness(clock)

    async def watch(self) -> None:
        """Look at the streams for as long as it takes to see that they are read: for who asks one
        question and is gone, where others ask again and again. Raises EngineError."""
        for _ in range(2):
            for record in await self._records.list(STREAM):
                self._stillness.see(record)
            await self._clock.sleep(WATCH_SECONDS / 2)

    async def judge(
        self, table: MigratedTable, state: TableState, goal: Phase
    ) -> tuple[GateVerdict, ...]:
        """One verdict for each gate of the move from ``state`` to ``goal``; all must be open.

        Raises KeyError for a move that is not legal (the caller walks ``phases.route``) and for a
        table of another migration.
        """
        return await self._verdicts(table, state, gates_of_move(table.kind, state.phase, goal))

    async def judge_reads(
        self, table: MigratedTable, state: TableState, share: int
    ) -> tuple[GateVerdict, ...]:
        """One verdict for each gate of giving new ``share`` percent of the reads; none where the
        leader serves more of them than before."""
        return await self._verdicts(table, state, gates_of_reads(state, share))

    async def judge_copy(self, table: MigratedTable, state: TableState) -> tuple[GateVerdict, ...]:
        """One verdict for each gate of a backfill's beginning."""
        return await self._verdicts(table, state, COPY)

    async def _verdicts(
        self, table: MigratedTable, state: TableState, gates: tuple[Gate, ...]
    ) -> tuple[GateVerdict, ...]:
        if table.name not in self._tables:
            raise KeyError(f"{table.name} is not a table of this migration")
        if not gates:
            return ()
        seen = await gather(
            self._records, table, state, self._clock.wall_ms(), self._stillness, self._policy,
            apart=self._apart, spec=self._spec, poison=not ABOUT_POISON.isdisjoint(gates),
        )  # fmt: skip
        return tuple(judged(gate, seen) for gate in gates)
