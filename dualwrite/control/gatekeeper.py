"""Who says whether a move may be made. The verifier implements it."""

from typing import Protocol

from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import GateVerdict
from dualwrite.core.spec import MigratedTable


class GateKeeper(Protocol):
    """Judges moves by the evidence in the control table; asked again and again while it waits."""

    async def judge(
        self, table: MigratedTable, state: TableState, goal: Phase
    ) -> tuple[GateVerdict, ...]:
        """Every gate on the edge from ``state.phase`` to its neighbour ``goal``.

        For a flip that is still some steps away, ``state.phase`` is where it would start; what
        only time in that phase can prove must then say ``waits``.
        """
        ...

    async def judge_reads(
        self, table: MigratedTable, state: TableState, share: int
    ) -> tuple[GateVerdict, ...]:
        """Every gate on serving ``share`` percent of the reads from new."""
        ...

    async def judge_copy(self, table: MigratedTable, state: TableState) -> tuple[GateVerdict, ...]:
        """Every gate on beginning a backfill."""
        ...
